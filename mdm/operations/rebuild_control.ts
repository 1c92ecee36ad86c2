/**
 * What an operator says about the copies of a pool, and what is told of them.
 *
 * @module
 */
import { type MdmContext, recordEvent } from "@/mdm/context.ts";
import { copyRates, type JobKind, RateMeter, type RebuildState, rebuildStateOf } from "@/mdm/core/rebuild.ts";
import { announce } from "@/mdm/operations/pgs.ts";
import { poolViewOf } from "@/mdm/operations/pool_space.ts";
import { requirePool } from "@/mdm/operations/pools.ts";
import { devicesOfSds } from "@/mdm/store/devices.ts";
import { pgById } from "@/mdm/store/pgs.ts";
import {
  poolById,
  type PoolRow,
  type RebuildControl,
  setRebuildControl,
  setRebuildRateLimit,
} from "@/mdm/store/pools.ts";
import { type JobRow, jobsOfPool, openTasks, runningJobs, type TaskRow, tasksOfJob } from "@/mdm/store/rebuild.ts";
import type { SdsHeartbeatAnswer } from "@/shared/api/sds.ts";
import { CHUNK_BYTES } from "@/shared/constants.ts";
import type { DeviceId, PoolId, SdsId } from "@/shared/ids.ts";

/** Bytes of the MB in `rebuild_rate_limit_mbps`. */
const MB_BYTES = 1_000_000;

/** Lets copies of the pool be made, stand still, or ends them. @throws {StorageError} `not_found` */
export function controlRebuild(context: MdmContext, poolId: PoolId, control: RebuildControl): PoolRow {
  const pool = requirePool(context, poolId);
  setRebuildControl(context.db, poolId, control);
  if (control === "cancelled") {
    for (const join of [...context.live.joins.all()]) {
      if (pgById(context.db, join.pgId)?.poolId === poolId) context.live.joins.remove(join.pgId);
    }
    recordEvent(context, {
      type: "rebuild_failed",
      severity: "warning",
      subject: pool.name,
      message: `An operator ended the copying in pool ${pool.name}; it goes on with POST /rebuild/start/${poolId}`,
    });
  }
  if (control === "run") context.live.joins.forgetRetries();
  context.tendGroupsSoon();
  announce(context, { poolIds: [poolId] });
  return { ...pool, rebuildControl: control };
}

/** Changes how fast copies of the pool may be made, with effect at the next beat. @throws {StorageError} `not_found` */
export function limitRebuild(context: MdmContext, poolId: PoolId, limitMbps: number): void {
  requirePool(context, poolId);
  setRebuildRateLimit(context.db, poolId, limitMbps);
  announce(context, { poolIds: [poolId] });
}

/** How fast the devices of an SDS may copy now; those without a running copy are not named. */
export function copyRatesFor(context: MdmContext, sdsId: SdsId): NonNullable<SdsHeartbeatAnswer["copyRates"]> {
  const own = [...context.live.joins.all()].filter((join) => join.primarySdsId === sdsId);
  if (own.length === 0) return [];
  const devices = new Set(devicesOfSds(context.db, sdsId).map((device) => device.deviceId));
  const rates = new Map<DeviceId, number>();
  for (const poolId of new Set(own.flatMap((join) => pgById(context.db, join.pgId)?.poolId ?? []))) {
    const pool = poolById(context.db, poolId);
    if (pool === undefined) continue;
    const limit = pool.rebuildControl === "run" ? pool.rebuildRateLimitMbps * MB_BYTES : 0;
    for (const [deviceId, rate] of copyRates(runningCopies(context, poolId), limit)) {
      if (devices.has(deviceId)) rates.set(deviceId, rate);
    }
  }
  return [...rates].map(([deviceId, bytesPerSecond]) => ({ deviceId, bytesPerSecond }));
}

function runningCopies(context: MdmContext, poolId: PoolId) {
  const kinds = new Map<number, JobKind>(runningJobs(context.db).map((job) => [job.jobId, job.kind]));
  const tasks = new Map(openTasks(context.db).map((task) => [task.pgId, task]));
  return [...context.live.joins.all()].flatMap((join) => {
    const pg = pgById(context.db, join.pgId);
    if (pg?.poolId !== poolId) return [];
    return [{
      primaryDeviceId: pg.members[0]!.deviceId,
      kind: kinds.get(tasks.get(join.pgId)?.jobId ?? 0) ?? "rebuild",
    }];
  });
}

/** A pool's copying at this instant. */
export interface RebuildStatus {
  readonly pool: PoolRow;
  readonly state: RebuildState;
  /** 0 to 100, of the jobs that run; 100 when none does. */
  readonly progressPercent: number;
  readonly tasksTotal: number;
  readonly tasksDone: number;
  readonly bytesCopied: number;
  /** What was copied and what is expected to be. */
  readonly bytesTotal: number;
  readonly bytesPerSecond: number;
  /** Undefined while nothing is being copied. */
  readonly timeLeftMs: number | undefined;
  readonly jobs: readonly JobRow[];
}

/** How far the copying of a pool is. @throws {StorageError} `not_found` */
export function rebuildStatus(context: MdmContext, poolId: PoolId): RebuildStatus {
  const pool = requirePool(context, poolId);
  const jobs = jobsOfPool(context.db, poolId);
  const running = jobs.filter((job) => job.state === "running");
  const sums = running.map((job) => progressOf(context, job));
  const sum = (value: (one: JobProgress) => number) => sums.reduce((total, one) => total + value(one), 0);
  const openCount = sum((one) => one.openCount);
  const nowMs = context.clock.monotonicMs();
  const meter = context.live.copyMeters.get(poolId) ?? new RateMeter();
  const bytesPerSecond = openCount === 0 ? 0 : meter.bytesPerSecond(nowMs);
  const bytesCopied = sum((one) => one.bytesCopied);
  const bytesTotal = Math.max(bytesCopied, sum((one) => one.bytesTotal));
  const tasksTotal = sum((one) => one.taskCount);
  const startedMs = Math.max(0, ...running.map((job) => job.startedAtMs));
  const quietMs = Math.min(
    meter.lastAtMs === undefined ? Infinity : nowMs - meter.lastAtMs,
    running.length === 0 ? 0 : context.time.nowMs() - startedMs,
  );
  return {
    pool,
    state: rebuildStateOf({
      openCount,
      quietMs,
      held: pool.rebuildControl !== "run",
      poolFailed: poolViewOf(context, poolId).health === "failed",
      ended: jobs.length > 0,
    }),
    progressPercent: tasksTotal === 0 ? 100 : Math.floor(sum((one) => one.done) / tasksTotal * 1000) / 10,
    tasksTotal,
    tasksDone: tasksTotal - openCount,
    bytesCopied,
    bytesTotal,
    bytesPerSecond,
    timeLeftMs: bytesPerSecond > 0 ? (bytesTotal - bytesCopied) / bytesPerSecond * 1000 : undefined,
    jobs,
  };
}

interface JobProgress {
  readonly taskCount: number;
  readonly openCount: number;
  /** Ended tasks, and parts of running ones. */
  readonly done: number;
  readonly bytesCopied: number;
  readonly bytesTotal: number;
}

function progressOf(context: MdmContext, job: JobRow): JobProgress {
  const tasks = tasksOfJob(context.db, job.jobId).filter((task) => task.state !== "dropped");
  const ended = tasks.filter((task) => task.endedAtMs !== null);
  const open = tasks.filter((task) => task.endedAtMs === null);
  const parts = open.map((task) => partOf(context, task));
  const copied = [...ended.map((task) => task.bytesCopied), ...parts.map((part) => part.bytesCopied)];
  const known = [...ended.map((task) => task.bytesCopied), ...parts.flatMap((part) => part.bytesTotal ?? [])];
  // Copies that have not begun are taken to be as large as those that have.
  const typical = known.length === 0 ? 0 : known.reduce((sum, bytes) => sum + bytes, 0) / known.length;
  return {
    taskCount: tasks.length,
    openCount: open.length,
    done: ended.length + parts.reduce((sum, part) => sum + part.done, 0),
    bytesCopied: copied.reduce((sum, bytes) => sum + bytes, 0),
    bytesTotal: known.reduce((sum, bytes) => sum + bytes, 0) + typical * (tasks.length - known.length),
  };
}

/** How far an open task is: from 0 to 1, and in bytes. */
function partOf(context: MdmContext, task: TaskRow) {
  const join = context.live.joins.get(task.pgId);
  if (join === undefined) return { done: 0, bytesCopied: 0, bytesTotal: undefined };
  const { chunksCopied, chunksTotal, bytesCopied } = join;
  if (chunksTotal === undefined) return { done: 0, bytesCopied, bytesTotal: undefined };
  const part = chunksTotal === 0 ? 1 : Math.min(1, chunksCopied / chunksTotal);
  // Chunks are sparse: those to come are taken to be as full as those copied.
  const perChunk = chunksCopied === 0 ? CHUNK_BYTES : bytesCopied / chunksCopied;
  return { done: part, bytesCopied, bytesTotal: Math.max(bytesCopied, Math.round(perChunk * chunksTotal)) };
}
