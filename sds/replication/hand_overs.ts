/**
 * What the MDM asks of this device as primary: to hand groups over, to have members removed (replication design, section 3.2).
 *
 *   serving ── ordered ──► draining: nothing is served, what runs ends ──┬─► asked, never again served under this epoch ──► next epoch
 *                                                                       └── not drained in time ──► serving
 *
 * A drained hand-over needs no grace: the next primary holds what this one held, and this one has stopped.
 *
 * @module
 */
import type { PgOrder } from "@/shared/api/sds.ts";
import { sleep } from "@/shared/clock.ts";
import type { PrimaryRole } from "@/sds/replication/primary_role.ts";
import type { ReplicaDevice } from "@/sds/replication/replica_device.ts";

/** A group whose writes do not end within this time is served again, and handed over later. In ms. */
const DRAIN_MS = 1_000;
/** Pause between two requests to go on after the MDM refused a hand-over. */
const BUMP_RETRY_MS = 250;

/** Orders of one device. */
export class HandOvers {
  readonly #device: ReplicaDevice;
  readonly #stop = new AbortController();

  constructor(device: ReplicaDevice) {
    this.#device = device;
  }

  /** Carries out what the last heartbeat answer asks for, unless it is under way. */
  set(orders: readonly PgOrder[]): void {
    for (const order of orders) {
      const role = this.#device.groups.get(order.pgId)?.primary;
      if (role === undefined || role.config.epoch !== order.epoch) continue;
      if (order.kind === "remove_secondary") this.#remove(role, order);
      else if (this.#mayBegin(role, order)) this.#handOver(role, order);
    }
  }

  /** The device failed: whoever leads next need not wait for grace. Its groups have stopped. */
  leaveAll(orders: readonly Omit<PgOrder, "kind">[]): void {
    for (const order of orders) this.#device.changes.ask({ kind: "hand_over", ...order, drained: false });
  }

  stop(): void {
    this.#stop.abort();
  }

  #remove(role: PrimaryRole, order: PgOrder): void {
    const target = role.targets.find(({ deviceId, join }) => deviceId === order.deviceId && join === undefined);
    if (target !== undefined) role.removeMember(target, "the MDM asks for it");
  }

  #mayBegin(role: PrimaryRole, order: PgOrder): boolean {
    if (role.leaving || !role.mayServe() || heirOf(role, order) === undefined) return false;
    if (role.join?.addMemberOutstanding) return false;
    role.join?.abandon("its primary hands the group over");
    return true;
  }

  async #handOver(role: PrimaryRole, order: PgOrder): Promise<void> {
    const { clock, log } = this.#device.context;
    const { pgId, epoch, deviceId } = order;
    const isCurrent = () => !role.stopped && role.config.epoch === epoch;
    const late = new AbortController();
    const drained = await Promise.race([
      role.drain().then(() => true),
      sleep(clock, DRAIN_MS, late.signal).then(() => false),
    ]);
    late.abort();
    if (!isCurrent()) return;
    if (!drained || !role.leaving || heirOf(role, order) === undefined) {
      log.debug("Group {pgId} is not handed over yet: its writes have not ended, or device {deviceId} is away", order);
      return role.resume();
    }
    await this.#device.changes.ask({ kind: "hand_over", pgId, epoch, deviceId, drained: true });
    while (isCurrent() && !this.#stop.signal.aborted) {
      await this.#device.changes.ask({ kind: "bump", pgId, epoch });
      if (isCurrent()) await sleep(clock, BUMP_RETRY_MS, this.#stop.signal);
    }
  }
}

/** The member that leads next, if it holds what this device holds. */
function heirOf(role: PrimaryRole, order: PgOrder) {
  return role.targets.find((target) => target.deviceId === order.deviceId && target.join === undefined && target.open);
}
