/**
 * The joins that run at one device as primary: those that the MDM asks for, no others (replication design, section 3.8).
 *
 * @module
 */
import type { JoinReport, JoinTask } from "@/shared/api/sds.ts";
import { sameIncarnation } from "@/shared/ids.ts";
import type { Group } from "@/sds/replication/group.ts";
import { JoinOut } from "@/sds/replication/join_out.ts";
import type { ReplicaDevice } from "@/sds/replication/replica_device.ts";

/** Ended joins whose report the MDM has not answered yet. */
const ENDED_JOINS_MAX = 4096;

/** Joins of one device. */
export class JoinSet {
  readonly #device: ReplicaDevice;
  #joinSession = 0;
  #ended: JoinOut[] = [];

  constructor(device: ReplicaDevice) {
    this.#device = device;
  }

  /** Starts and stops joins so that they are the ones of the last heartbeat answer. */
  set(tasks: readonly JoinTask[]): void {
    const wanted = new Map(tasks.map((task) => [task.pgId, task]));
    for (const group of this.#device.groups.values()) {
      const join = group.primary?.join;
      const task = wanted.get(group.pgId);
      if (join !== undefined && !join.addMemberOutstanding && !sameTask(join.task, task)) {
        join.abandon("the MDM does not ask for it any more");
      }
      if (task !== undefined && this.#mayStart(group, task)) this.#start(group, task);
    }
  }

  /** For the next heartbeat. */
  reports(): JoinReport[] {
    const running = [...this.#device.groups.values()].flatMap((group) => group.primary?.join?.report() ?? []);
    return [...running, ...this.#ended.map((join) => join.report())];
  }

  /** The MDM has answered a beat that carried these. */
  reportsTaken(reports: readonly JoinReport[]): void {
    const taken = new Set(reports.filter((report) => report.state !== "running").map(nameOf));
    this.#ended = this.#ended.filter((join) => !taken.has(nameOf(join.task)));
  }

  #mayStart(group: Group, task: JoinTask): boolean {
    const role = group.primary;
    if (role === undefined || role.join !== undefined || !role.mayServe()) return false;
    return role.config.epoch === task.epoch && !this.#ended.some((join) => sameTask(join.task, task));
  }

  #start(group: Group, task: JoinTask): void {
    const join = new JoinOut(group.primary!, { task, joinSession: ++this.#joinSession });
    join.run();
    join.ended.then(() => {
      this.#ended.push(join);
      if (this.#ended.length > ENDED_JOINS_MAX) this.#ended.shift();
      this.#device.configurationsChanged();
    });
  }
}

function nameOf(join: { readonly pgId: number; readonly epoch: number; readonly deviceId: number }): string {
  return `${join.pgId}/${join.epoch}/${join.deviceId}`;
}

function sameTask(a: JoinTask, b: JoinTask | undefined): boolean {
  return b !== undefined && nameOf(a) === nameOf(b) && sameIncarnation(a.incarnation, b.incarnation);
}
