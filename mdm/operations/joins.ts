/**
 * Joins: planned for groups that lack a copy, handed to their primaries with the heartbeat, followed by their reports
 * (replication design, sections 3.8 and 3.10).
 *
 * @module
 */
import { type MdmContext, recordEvent } from "@/mdm/context.ts";
import { JOIN_FULL_MARK } from "@/mdm/core/capacity.ts";
import {
  joinClassOf,
  type JoinDevice,
  joinerOf,
  JoinLoads,
  joinNotBefore,
  moverOf,
  refilled,
} from "@/mdm/core/joins.ts";
import type { PgRecord } from "@/mdm/core/placement_groups.ts";
import { type Join, JOIN_ABSENT_MS, nextRetry } from "@/mdm/join_table.ts";
import { Facts } from "@/mdm/operations/facts.ts";
import { capacityOf } from "@/mdm/operations/devices.ts";
import { placementOf } from "@/mdm/operations/pgs.ts";
import { noteCopied, noteFailure, noteTasks } from "@/mdm/operations/rebuild_jobs.ts";
import { usedBytesOf } from "@/mdm/operations/pool_views.ts";
import { takesPart } from "@/mdm/operations/targets.ts";
import { type DeviceRow, devicesOfPool } from "@/mdm/store/devices.ts";
import { deleteDeparted, memberCounts, misplacedPgs, pgById, pgsMissingCopies } from "@/mdm/store/pgs.ts";
import { poolById } from "@/mdm/store/pools.ts";
import { sdsById, type SdsRow } from "@/mdm/store/sds.ts";
import type { JoinReport, JoinTask } from "@/shared/api/sds.ts";
import { type DeviceId, type PoolId, sameIncarnation, type SdsId } from "@/shared/ids.ts";

/** Every join that this SDS should be running, as primary. */
export function joinTasksOf(context: MdmContext, sdsId: SdsId): JoinTask[] {
  return [...context.live.joins.all()].filter((join) => join.primarySdsId === sdsId).map((join) => ({
    pgId: join.pgId,
    epoch: join.epoch,
    deviceId: join.deviceId,
    sdsId: join.sdsId,
    incarnation: join.incarnation,
    mode: join.mode,
  }));
}

/** Takes what a primary says of its joins; one that this MDM does not know it adopts (3.8). */
export function noteJoinReports(context: MdmContext, options: { sds: SdsRow; reports: readonly JoinReport[] }): void {
  const unreached = new Map<DeviceId, JoinReport[]>();
  for (const report of options.reports) {
    const known = context.live.joins.get(report.pgId);
    const same = known !== undefined && known.epoch === report.epoch && known.deviceId === report.deviceId &&
      known.primarySdsId === options.sds.sdsId;
    if (same && report.state === "failed" && report.unreachable) {
      context.live.joins.fail(report.pgId, context.clock.monotonicMs());
      unreached.set(report.deviceId, [...(unreached.get(report.deviceId) ?? []), report]);
    } else if (same) noteReport(context, { join: known, report });
    else if (known === undefined && report.state === "running") adopt(context, { sds: options.sds, report });
  }
  for (const [deviceId, reports] of unreached) noteUnreached(context, { deviceId, reports });
}

/** Joins of one device that its primary could not reach: it rests, and the first of a row is told, for all groups at once. */
function noteUnreached(context: MdmContext, options: { deviceId: DeviceId; reports: readonly JoinReport[] }): void {
  const { deviceId, reports } = options;
  const life = context.live.device(deviceId);
  const nowMs = context.clock.monotonicMs();
  // Primaries notice one loss each for themselves.
  if (life.unreached !== undefined && life.unreached.notBeforeMs > nowMs) return;
  const text = "Device {deviceId} was not reached for {count} joins, which rest: {message}";
  const fields = { deviceId, count: reports.length, message: reports[0]!.message };
  if (life.unreached === undefined) context.log.info(text, fields);
  else context.log.debug(text, fields);
  life.unreached = nextRetry(life.unreached, nowMs);
}

function noteReport(context: MdmContext, options: { join: Join; report: JoinReport }): void {
  const { join, report } = options;
  const nowMs = context.clock.monotonicMs();
  const { chunksCopied, bytesCopied } = report;
  const { chunksTotal, verifying = false } = report;
  noteProgress(context, { pgId: join.pgId, bytes: Math.max(0, bytesCopied - join.bytesCopied) });
  switch (report.state) {
    case "running":
    // The change that made the joiner a member ends the join; until the MDM has it, it is there.
    case "done":
      context.live.joins.set({ ...join, chunksCopied, chunksTotal, bytesCopied, verifying, seenAtMs: nowMs });
      return;
    case "failed":
      context.live.joins.fail(join.pgId, nowMs);
      noteFailure(context, report);
      context.log.info("Join of device {deviceId} into group {pgId} failed: {message}", { ...report });
      if (report.alarm) noteDifference(context, join);
  }
}

/** The copies differed at the end although they must not: the copy may not return by delta. */
function noteDifference(context: MdmContext, join: Join): void {
  context.db.transaction(() => {
    deleteDeparted(context.db, join);
    recordEvent(context, {
      type: "copies_differed",
      severity: "critical",
      subject: `pg-${join.pgId}`,
      message:
        `Group ${join.pgId} and its copy on device ${join.deviceId} differed at the end of a join; it is copied in full`,
    });
  });
}

function noteProgress(context: MdmContext, progress: { pgId: Join["pgId"]; bytes: number }): void {
  if (progress.bytes === 0) return;
  noteCopied(context, progress);
  const poolId = pgById(context.db, progress.pgId)?.poolId;
  const rebuild = poolId === undefined ? undefined : context.live.rebuilds.get(poolId);
  if (rebuild !== undefined) rebuild.bytesCopied += progress.bytes;
}

function adopt(context: MdmContext, options: { sds: SdsRow; report: JoinReport }): void {
  const { sds, report } = options;
  const facts = new Facts(context);
  const pg = pgById(context.db, report.pgId);
  const joiner = facts.device(report.deviceId);
  if (pg === undefined || pg.epoch !== report.epoch || joiner?.start === undefined) return;
  if (pg.members.length >= pg.copies && !(needsMove(pg) && pg.target.includes(joiner.deviceId))) return;
  if (poolById(context.db, pg.poolId)?.rebuildControl === "cancelled") return;
  if (pg.members[0]?.sdsId !== sds.sdsId || !facts.isUsable(joiner)) return;
  const departed = pg.departed.some((copy) => copy.deviceId === joiner.deviceId);
  context.live.joins.set({
    pgId: pg.pgId,
    epoch: pg.epoch,
    primarySdsId: sds.sdsId,
    sdsId: joiner.sdsId,
    deviceId: joiner.deviceId,
    incarnation: joiner.start.incarnation,
    mode: departed && context.live.device(joiner.deviceId).rows.has(pg.pgId) ? "delta" : "full",
    seenAtMs: context.clock.monotonicMs(),
    chunksCopied: report.chunksCopied,
    chunksTotal: report.chunksTotal,
    bytesCopied: report.bytesCopied,
    verifying: report.verifying ?? false,
  });
}

/** Drops joins that ended without a word and plans new ones within limits and pace. Gives how many were planned. */
export function planJoins(context: MdmContext): number {
  const missing = pgsMissingCopies(context.db);
  const moving = misplacedPgs(context.db).filter(needsMove);
  if (missing.length === 0 && moving.length === 0) {
    for (const join of [...context.live.joins.all()]) context.live.joins.forget(join.pgId);
    noteTasks(context, []);
    return 0;
  }
  const facts = new Facts(context);
  const wanted = [...missing, ...moving];
  dropEndedJoins(context, { wanted, facts });
  // Balance waits until no copy is missing.
  const lacking = new Set(missing.map((pg) => pg.poolId));
  const loads = new JoinLoads();
  for (const join of context.live.joins.all()) loads.add({ from: join.primarySdsId, to: join.sdsId, mode: join.mode });
  const pools = new Map<PoolId, PoolPlan>();
  const told = new Set<SdsId>();
  let planned = 0;
  for (const pg of wanted) {
    const pool = pools.get(pg.poolId) ?? poolPlan(context, { poolId: pg.poolId, facts });
    pools.set(pg.poolId, pool);
    if (pool.startsLeft < 1 || (lacking.has(pg.poolId) && joinClassOf(pg, pool) === 4)) continue;
    const join = plannedJoin(context, { pg, pool, facts });
    if (join === undefined) continue;
    const load = { from: join.primarySdsId, to: join.sdsId, mode: join.mode };
    const { fullJoinsPerSds: fullPerSds, deltaJoinsPerSds: deltaPerSds } = context.options;
    if (!loads.admits(load, { fullPerSds, deltaPerSds })) continue;
    loads.add(load);
    context.live.joins.set(join);
    pool.startsLeft--;
    pool.counts.set(join.deviceId, (pool.counts.get(join.deviceId) ?? 0) + 1);
    told.add(join.primarySdsId);
    planned++;
  }
  const nowMs = context.clock.monotonicMs();
  for (const [poolId, { startsLeft }] of pools) context.live.joinStarts.set(poolId, { left: startsLeft, atMs: nowMs });
  for (const sdsId of told) {
    const sds = sdsById(context.db, sdsId);
    if (sds !== undefined) context.outbox.notice(sds);
  }
  noteTasks(context, wanted);
  return planned;
}

/** True for a group with all its copies, of which one belongs elsewhere. */
function needsMove(pg: PgRecord): boolean {
  return pg.members.length === pg.copies &&
    pg.target.some((deviceId) => pg.members.every((member) => member.deviceId !== deviceId));
}

function dropEndedJoins(context: MdmContext, options: { wanted: readonly PgRecord[]; facts: Facts }): void {
  const pgs = new Map(options.wanted.map((pg) => [pg.pgId, pg]));
  const nowMs = context.clock.monotonicMs();
  for (const join of [...context.live.joins.all()]) {
    const pg = pgs.get(join.pgId);
    if (pg === undefined || pg.epoch !== join.epoch) {
      context.live.joins.forget(join.pgId);
      continue;
    }
    const joiner = options.facts.device(join.deviceId);
    const joinerLives = joiner?.start !== undefined && options.facts.isUsable(joiner) &&
      sameIncarnation(joiner.start.incarnation, join.incarnation);
    if (!joinerLives || nowMs - join.seenAtMs >= JOIN_ABSENT_MS) context.live.joins.remove(join.pgId);
  }
}

/** What the planning of one pool's joins shares. */
interface PoolPlan {
  readonly devices: ReadonlyMap<DeviceId, JoinDevice>;
  readonly counts: Map<DeviceId, number>;
  startsLeft: number;
}

function poolPlan(context: MdmContext, options: { poolId: PoolId; facts: Facts }): PoolPlan {
  const { poolId, facts } = options;
  const rows = devicesOfPool(context.db, poolId);
  const counts = memberCounts(context.db, poolId);
  for (const join of context.live.joins.all()) counts.set(join.deviceId, (counts.get(join.deviceId) ?? 0) + 1);
  const starts = refilled(context.live.joinStarts.get(poolId), {
    nowMs: context.clock.monotonicMs(),
    perSecond: context.options.joinStartsPerSecond,
  });
  return {
    devices: new Map(rows.map((row) => [row.deviceId, joinDeviceOf(context, { row, facts })])),
    counts,
    startsLeft: poolById(context.db, poolId)?.rebuildControl === "run" ? starts.left : 0,
  };
}

function joinDeviceOf(context: MdmContext, options: { row: DeviceRow; facts: Facts }): JoinDevice {
  const { row, facts } = options;
  const { joinBackoffMinMs: backoffMinMs, joinBackoffMaxMs: backoffMaxMs } = context.options.times;
  const departuresMs = context.live.device(row.deviceId).departuresMs;
  return {
    ...placementOf(facts, row),
    sdsId: row.sdsId,
    usable: sdsById(context.db, row.sdsId)?.service !== "failed" && facts.mayJoin(row) &&
      isReached(context, { row, facts }),
    takesPart: takesPart(context, row),
    hasRoom: usedBytesOf(context, row) < capacityOf(row) * JOIN_FULL_MARK,
    heardAtMs: facts.nowMs - facts.silentMs(row),
    notBeforeMs: joinNotBefore(departuresMs, { nowMs: facts.nowMs, backoffMinMs, backoffMaxMs }),
  };
}

/** False from the loss of a member until it is heard again, and while joins of it rest because primaries did not reach it. */
function isReached(context: MdmContext, options: { row: DeviceRow; facts: Facts }): boolean {
  const { lostAtMs = -Infinity, unreached } = context.live.device(options.row.deviceId);
  const nowMs = context.clock.monotonicMs();
  return nowMs - options.facts.silentMs(options.row) > lostAtMs && (unreached?.notBeforeMs ?? -Infinity) <= nowMs;
}

function plannedJoin(context: MdmContext, options: { pg: PgRecord; pool: PoolPlan; facts: Facts }): Join | undefined {
  const { pg, pool, facts } = options;
  const nowMs = context.clock.monotonicMs();
  if (pg.fresh || context.live.refusedPgs.has(pg.pgId)) return undefined;
  if (context.live.joins.get(pg.pgId) !== undefined || context.live.joins.waits(pg.pgId, nowMs)) return undefined;
  const primary = pg.members[0]!;
  const primaryRow = facts.device(primary.deviceId);
  const primaryStart = primaryRow?.start?.incarnation;
  if (primaryRow === undefined || primaryStart === undefined || !facts.mayJoin(primaryRow)) return undefined;
  if (!sameIncarnation(primaryStart, primary.incarnation)) return undefined;
  const decide = pg.members.length < pg.copies ? joinerOf : moverOf;
  const decision = decide(pg, {
    nowMs: facts.nowMs,
    outAfterMs: context.options.times.outAfterMs,
    devices: pool.devices,
    counts: pool.counts,
    hasCopy: (deviceId) => context.live.device(deviceId).rows.has(pg.pgId),
  });
  if (decision.kind === "wait") return undefined;
  const joiner = facts.memberOf(decision.deviceId);
  if (joiner === undefined) return undefined;
  return {
    pgId: pg.pgId,
    epoch: pg.epoch,
    primarySdsId: primary.sdsId,
    sdsId: joiner.sdsId,
    deviceId: joiner.deviceId,
    incarnation: joiner.incarnation,
    mode: decision.mode,
    seenAtMs: nowMs,
    chunksCopied: 0,
    chunksTotal: undefined,
    bytesCopied: 0,
    verifying: false,
  };
}
