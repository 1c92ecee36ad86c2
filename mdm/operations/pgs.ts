/**
 * Placement groups: created with the first volume of a pool, changed by their members, activated when nobody serves them. Every
 * change is one transaction that raises the cluster-wide configuration version; whoever else is concerned is told to fetch.
 *
 * @module
 */
import { type MdmContext, recordEvent } from "@/mdm/context.ts";
import { type ActivationDecision, activationOf, afterActivation, type MemberFacts } from "@/mdm/core/activation.ts";
import { deviceCapacityBytes, pgCountFor } from "@/mdm/core/capacity.ts";
import { lockProvesDeath } from "@/mdm/core/device_registration.ts";
import { afterChange, type Asker, type ChangeDecision } from "@/mdm/core/pg_changes.ts";
import { type PgRecord, unsignedConfigOf } from "@/mdm/core/placement_groups.ts";
import { placeGroups, type PlacementDevice } from "@/mdm/core/placement.ts";
import { Facts } from "@/mdm/operations/facts.ts";
import { raiseCounter } from "@/mdm/store/cluster_config.ts";
import { deviceById, type DeviceRow, devicesOfPool } from "@/mdm/store/devices.ts";
import { freshPgs, insertPg, pgById, pgsWithRestartedMember, setTarget, updatePg } from "@/mdm/store/pgs.ts";
import { type PoolRow, setPoolPgCount } from "@/mdm/store/pools.ts";
import { sdsById, sdsOfComponent, sdsOfPool } from "@/mdm/store/sds.ts";
import {
  type PgChange,
  type PgChangeAnswer,
  type PgChangeCall,
  type PgChangeResult,
  type PgConfig,
  type PgMember,
  signPgConfig,
} from "@/shared/api/pg.ts";
import { assert, StorageError } from "@/shared/errors.ts";
import {
  asId,
  type ComponentId,
  type DeviceId,
  type Epoch,
  type PgId,
  type PoolId,
  sameIncarnation,
  type SdsId,
} from "@/shared/ids.ts";

/** `pg` as it travels. */
export function configOf(context: MdmContext, pg: PgRecord): PgConfig {
  return signPgConfig(unsignedConfigOf(pg), context.secrets.configKeyHex);
}

/** Makes the groups of a pool that has none, on the devices that are usable now. Part of the caller's transaction. */
export function createGroups(context: MdmContext, pool: PoolRow): void {
  const facts = new Facts(context);
  const usable = devicesOfPool(context.db, pool.poolId).filter((device) => facts.isUsable(device));
  if (usable.length === 0) {
    throw new StorageError(
      "unavailable",
      `Cannot create a volume in pool ${pool.name}: no active SDS has a device in it`,
    );
  }
  const { pgCountMin, pgCountMax } = context.options;
  const pgCount = pgCountFor({ deviceCount: usable.length, copies: pool.copies, min: pgCountMin, max: pgCountMax });
  setPoolPgCount(context.db, pool.poolId, pgCount);
  const configVersion = raiseCounter(context.db, "config_version");
  const { mdmTerm } = context;
  const pgIds = Array.from(
    { length: pgCount },
    (_, pgIndex) => insertPg(context.db, { poolId: pool.poolId, pgIndex, mdmTerm, configVersion, copies: pool.copies }),
  );
  const targets = placeGroups({
    pgIds,
    devices: usable.map((device) => placementOf(facts, device)),
    copies: pool.copies,
  });
  pgIds.forEach((pgId, pgIndex) => {
    const members = targets.get(pgId)!.map((deviceId) => facts.memberOf(deviceId)!);
    assert(members.length > 0, "a group is placed on the usable devices");
    const { poolId, copies, syncWrites } = pool;
    const epoch = asId<Epoch>(1);
    updatePg(context.db, {
      ...{
        pgId,
        poolId,
        pgIndex,
        pgCount,
        copies,
        epoch,
        mdmTerm,
        members,
        lossGeneration: 0,
        fresh: true,
        syncWrites,
      },
      departed: [],
      target: targets.get(pgId)!,
    }, configVersion);
    setTarget(context.db, pgId, targets.get(pgId)!);
  });
}

/** A device as placement sees it: its weight is its capacity. */
export function placementOf(facts: Facts, device: DeviceRow): PlacementDevice {
  return {
    deviceId: device.deviceId,
    failureUnit: facts.unitOf(device),
    weight: deviceCapacityBytes(device.claimedBytes, device.offeredBytes),
  };
}

/** Answers `POST /internal/v1/pg/change`. @throws {StorageError} `forbidden` if the device is not the caller's. */
export function changeGroups(
  context: MdmContext,
  request: { signer: ComponentId; call: PgChangeCall },
): PgChangeAnswer {
  const { signer, call } = request;
  const sds = sdsOfComponent(context.db, signer);
  const before = new Map<PgId, PgRecord>();
  const after: PgRecord[] = [];
  const results = context.db.transaction(() => {
    const facts = new Facts(context);
    if (sds === undefined || facts.device(call.asker.deviceId)?.sdsId !== sds.sdsId) {
      throw new StorageError(
        "forbidden",
        `Cannot change groups for device ${call.asker.deviceId}: ${signer} does not own it`,
      );
    }
    return call.changes.map((change): PgChangeResult => {
      const pg = pgById(context.db, change.pgId);
      if (pg === undefined) return { pgId: change.pgId, outcome: "refused", reason: "no_such_group", config: null };
      if (context.live.refusedPgs.has(pg.pgId)) {
        return { pgId: pg.pgId, outcome: "refused", reason: "epoch_ahead", config: configOf(context, pg) };
      }
      const decision = decisionOf(context, { pg, change, asker: call.asker, facts });
      if (decision.kind === "changed") {
        before.set(pg.pgId, pg);
        after.push(decision.next);
        updatePg(context.db, decision.next, raiseCounter(context.db, "config_version"));
      }
      return resultOf(context, { pg, decision });
    });
  });
  for (const pg of after) afterCommittedChange(context, { before: before.get(pg.pgId)!, after: pg });
  announce(context, { poolIds: after.map((pg) => pg.poolId), except: sds?.sdsId });
  if (after.length > 0) context.tendGroupsSoon();
  return { mdmTerm: context.mdmTerm, results };
}

function decisionOf(
  context: MdmContext,
  request: { pg: PgRecord; change: PgChange; asker: Asker; facts: Facts },
): ChangeDecision {
  const { pg, asker, facts } = request;
  const { guards } = context;
  const change = guards.epochCompare ? request.change : { ...request.change, epoch: pg.epoch };
  return afterChange(pg, { change, asker, facts });
}

function resultOf(context: MdmContext, answer: { pg: PgRecord; decision: ChangeDecision }): PgChangeResult {
  const { pg, decision } = answer;
  if (decision.kind === "changed") {
    return { pgId: pg.pgId, outcome: "changed", reason: "", config: configOf(context, decision.next) };
  }
  return { pgId: pg.pgId, outcome: decision.kind, reason: decision.reason, config: configOf(context, pg) };
}

/** What memory has to learn of a change: its join is void, and whoever left unplanned may be flapping. */
function afterCommittedChange(context: MdmContext, change: { before: PgRecord; after: PgRecord }): void {
  const { before, after } = change;
  if (after.members.length >= after.copies) context.live.joins.forget(after.pgId);
  else context.live.joins.remove(after.pgId);
  // A member that another one has replaced leaves as planned.
  if (after.members.length >= after.copies) return;
  const stays = new Set(after.members.map((member) => member.deviceId));
  for (const member of before.members) {
    if (stays.has(member.deviceId) || leftAsPlanned(context, member)) continue;
    if (context.live.noteDeparture(member.deviceId, context.time.nowMs())) recordDegraded(context, member);
    context.live.device(member.deviceId).lostAtMs = context.clock.monotonicMs();
  }
  const was = new Set(before.members.map((member) => member.deviceId));
  for (const { deviceId } of after.members) if (!was.has(deviceId)) context.live.device(deviceId).unreached = undefined;
}

/** The first group that lost a copy on the device; the others of the same incident say nothing more. */
function recordDegraded(context: MdmContext, member: PgMember): void {
  const sds = sdsById(context.db, member.sdsId)?.name ?? `SDS ${member.sdsId}`;
  const device = deviceById(context.db, member.deviceId)?.name ?? `device ${member.deviceId}`;
  const message = `Copies on ${device} of ${sds} are no longer current: their groups go on without it`;
  recordEvent(context, { type: "replica_degraded", severity: "warning", subject: sds, message });
}

/** True if the member's process said that it stops, or is known to have stopped cleanly. */
function leftAsPlanned(context: MdmContext, member: PgMember): boolean {
  const cleanFor = deviceById(context.db, member.deviceId)?.cleanFor;
  const ordered = sdsById(context.db, member.sdsId)?.service !== "in";
  return ordered || context.live.sds(member.sdsId).stopping ||
    (cleanFor != null && sameIncarnation(cleanFor, member.incarnation));
}

/** Tells the SDSs of the pools to beat now, so that they fetch what changed. */
export function announce(
  context: MdmContext,
  options: { poolIds: readonly PoolId[]; except?: SdsId | undefined },
): void {
  const told = new Set<SdsId>(options.except === undefined ? [] : [options.except]);
  for (const poolId of new Set(options.poolIds)) {
    for (const sds of sdsOfPool(context.db, poolId)) {
      if (told.has(sds.sdsId)) continue;
      told.add(sds.sdsId);
      if (context.live.lastBeatMs(sds.componentId) !== undefined) context.outbox.notice(sds);
    }
  }
}

/** Drops the mark of fresh groups of which every member has reported its row. Gives how many. */
export function dropFresh(context: MdmContext): number {
  const ready = freshPgs(context.db).filter((pg) =>
    pg.members.every((member) => context.live.device(member.deviceId).rows.has(pg.pgId))
  );
  if (ready.length === 0) return 0;
  context.db.transaction(() => {
    for (const pg of ready) updatePg(context.db, { ...pg, fresh: false }, raiseCounter(context.db, "config_version"));
  });
  announce(context, { poolIds: ready.map((pg) => pg.poolId) });
  return ready.length;
}

/** Activates the groups whose members all stopped and of which one may go on (3.9). Gives how many. */
export function activateGroups(context: MdmContext): number {
  const activated: PgRecord[] = [];
  let lossyCount = 0;
  context.db.transaction(() => {
    const facts = new Facts(context);
    for (const pg of pgsWithRestartedMember(context.db)) {
      if (context.live.refusedPgs.has(pg.pgId)) continue;
      const decision = activationDecision(context, { pg, facts });
      if (decision.kind !== "activate") continue;
      const { member, unflushedLost } = decision;
      const next = afterActivation(pg, { member, unflushedLost, facts });
      updatePg(context.db, next, raiseCounter(context.db, "config_version"));
      activated.push(next);
      if (unflushedLost) lossyCount++;
    }
    if (lossyCount > 0) {
      const pools = [...new Set(activated.map((pg) => pg.poolId))];
      for (const poolId of pools) {
        recordEvent(context, {
          type: "unflushed_writes_lost",
          severity: "critical",
          subject: `pool-${poolId}`,
          message: `${lossyCount} placement groups were started from a copy that lost power: ` +
            `writes that were not flushed may be lost, and the next flush that covers one fails`,
        });
      }
    }
  });
  for (const pg of activated) context.live.joins.remove(pg.pgId);
  announce(context, { poolIds: activated.map((pg) => pg.poolId) });
  return activated.length;
}

function activationDecision(context: MdmContext, options: { pg: PgRecord; facts: Facts }): ActivationDecision {
  const { pg, facts } = options;
  const entries = pg.members.map((listed): [DeviceId, MemberFacts] => {
    const device = facts.device(listed.deviceId);
    const life = context.live.device(listed.deviceId);
    const nowMs = context.clock.monotonicMs();
    const heardMs = context.live.silentMs(listed.deviceId, { incarnation: listed.incarnation, nowMs });
    const silentMs = context.guards.activateSilent ? heardMs : Infinity;
    const healthy = device?.state !== "failed";
    const start = device?.start;
    if (device === undefined || start === undefined || sameIncarnation(start.incarnation, listed.incarnation)) {
      return [listed.deviceId, { healthy, silentMs, restart: undefined }];
    }
    const row = life.rows.get(pg.pgId);
    return [listed.deviceId, {
      healthy,
      silentMs,
      restart: {
        member: { ...listed, incarnation: start.incarnation, bootId: start.bootId },
        registeredForMs: life.registeredAtMs === undefined ? 0 : nowMs - life.registeredAtMs,
        provesDeath: lockProvesDeath(start.lockSinceCounter, listed.incarnation),
        stoppedCleanly: !context.guards.continuity ||
          device.cleanFor !== null && sameIncarnation(device.cleanFor, listed.incarnation),
        synced: device.synced,
        usable: facts.isLive(device),
        complete: row?.complete ?? pg.fresh,
      },
    }];
  });
  return activationOf(pg, { facts: new Map(entries), times: context.options.times });
}
