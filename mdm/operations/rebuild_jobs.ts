/**
 * Jobs and tasks: the copies that are wanted, written down, so that a restart of the MDM and people know of them (replication
 * design, section 8). The joins do the work; this file follows them.
 *
 *   queued ── given to a primary ──► running ── all is copied ──► verifying ── the joiner is a member ──► done
 *      └─────────── failed, tried again later: back to queued, counted ────────────┘      not wanted any more ──► dropped
 *
 * @module
 */
import { type MdmContext, recordEvent } from "@/mdm/context.ts";
import type { PgRecord } from "@/mdm/core/placement_groups.ts";
import { type JobKind, jobKindOf, RateMeter } from "@/mdm/core/rebuild.ts";
import { takesPart } from "@/mdm/operations/targets.ts";
import { listDevices } from "@/mdm/store/devices.ts";
import { pgById } from "@/mdm/store/pgs.ts";
import { poolById } from "@/mdm/store/pools.ts";
import {
  endJob,
  insertJob,
  insertTask,
  noteTaskFailure,
  openTasks,
  runningJobs,
  type TaskRow,
  updateTask,
} from "@/mdm/store/rebuild.ts";
import type { PgId, PoolId } from "@/shared/ids.ts";

/** Failures of one copy after which the operator is told. */
const FAILURES_TOLD = 3;

const CAUSES: Readonly<Record<JobKind, string>> = {
  return: "a storage server was away and is given what it missed",
  rebuild: "copies were lost and are made elsewhere",
  drain: "a device is emptied",
  rebalance: "a device has room for more",
};

/** Writes down which copies are wanted now: `wanted` are all groups that lack one or have one elsewhere. */
export function noteTasks(context: MdmContext, wanted: readonly PgRecord[]): void {
  const open = openTasks(context.db);
  if (wanted.length === 0 && open.length === 0 && context.live.jobsQuiet) return;
  const partakes = new Set(
    listDevices(context.db).filter((device) => takesPart(context, device)).map((device) => device.deviceId),
  );
  context.db.transaction(() => {
    const jobs = new OpenJobs(context);
    const tasks = new Map(open.map((task) => [task.pgId, task]));
    for (const pg of wanted) {
      const jobId = jobs.idOf(pg.poolId, jobKindOf(pg, (deviceId) => partakes.has(deviceId)));
      const task = tasks.get(pg.pgId);
      if (task === undefined) insertTask(context.db, { jobId, pgId: pg.pgId });
      else follow(context, { task, jobId });
      tasks.delete(pg.pgId);
    }
    for (const task of tasks.values()) end(context, task);
    jobs.endThoseDone();
  });
  context.live.jobsQuiet = wanted.length === 0;
}

/** A join made progress. */
export function noteCopied(context: MdmContext, progress: { readonly pgId: PgId; readonly bytes: number }): void {
  const poolId = pgById(context.db, progress.pgId)?.poolId;
  if (poolId === undefined) return;
  const meter = context.live.copyMeters.get(poolId) ?? new RateMeter();
  context.live.copyMeters.set(poolId, meter);
  meter.add(progress.bytes, context.clock.monotonicMs());
}

/** A join failed. */
export function noteFailure(context: MdmContext, failure: { readonly pgId: PgId; readonly message: string }): void {
  if (noteTaskFailure(context.db, failure) !== FAILURES_TOLD) return;
  recordEvent(context, {
    type: "rebuild_failed",
    severity: "error",
    subject: `pg-${failure.pgId}`,
    message: `A copy of group ${failure.pgId} failed ${FAILURES_TOLD} times, and is tried again: ${failure.message}`,
  });
}

function follow(context: MdmContext, options: { task: TaskRow; jobId: number }): void {
  const { task, jobId } = options;
  const join = context.live.joins.get(task.pgId);
  const next: TaskRow = join === undefined ? { ...task, jobId, state: "queued" } : {
    ...task,
    jobId,
    state: join.verifying ? "verifying" : "running",
    sourceSdsId: join.primarySdsId,
    targetDeviceId: join.deviceId,
    mode: join.mode,
    bytesCopied: join.bytesCopied,
  };
  const isSame = next.jobId === task.jobId && next.state === task.state &&
    next.targetDeviceId === task.targetDeviceId &&
    next.mode === task.mode;
  // Progress within a state is in memory; it is written when the state changes.
  if (!isSame) updateTask(context.db, next);
}

/** The group wants no copy any more: because it was made, or for another reason. */
function end(context: MdmContext, task: TaskRow): void {
  const members = pgById(context.db, task.pgId)?.members ?? [];
  const made = members.some((member) => member.deviceId === task.targetDeviceId);
  const bytesCopied = Math.max(task.bytesCopied, context.live.joins.takeCopied(task.pgId));
  const endedAtMs = context.time.nowMs();
  updateTask(context.db, { ...task, state: made ? "done" : "dropped", bytesCopied, endedAtMs });
}

/** The running jobs, made when they are needed. */
class OpenJobs {
  readonly #context: MdmContext;
  readonly #ids = new Map<string, number>();

  constructor(context: MdmContext) {
    this.#context = context;
    for (const job of runningJobs(context.db)) this.#ids.set(`${job.poolId}/${job.kind}`, job.jobId);
  }

  idOf(poolId: PoolId, kind: JobKind): number {
    const key = `${poolId}/${kind}`;
    let jobId = this.#ids.get(key);
    if (jobId === undefined) {
      const { db, time } = this.#context;
      jobId = insertJob(db, { poolId, kind, cause: CAUSES[kind], atMs: time.nowMs() });
      this.#ids.set(key, jobId);
      this.#tell("rebuild_start", poolId, kind);
    }
    return jobId;
  }

  endThoseDone(): void {
    const { db, time } = this.#context;
    for (const job of runningJobs(db)) {
      if (job.tasksEnded < job.tasksTotal) continue;
      endJob(db, { jobId: job.jobId, poolId: job.poolId, atMs: time.nowMs() });
      this.#tell("rebuild_complete", job.poolId, job.kind);
    }
  }

  /** Loss and return of copies are told with the health of the pool. */
  #tell(type: "rebuild_start" | "rebuild_complete", poolId: PoolId, kind: JobKind): void {
    if (kind === "return" || kind === "rebuild") return;
    const name = poolById(this.#context.db, poolId)?.name ?? `pool ${poolId}`;
    const message = type === "rebuild_start"
      ? `Pool ${name} moves copies: ${CAUSES[kind]}`
      : `Pool ${name} has moved all copies (${kind})`;
    recordEvent(this.#context, { type, severity: "info", subject: name, message });
  }
}
