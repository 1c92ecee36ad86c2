/**
 * What an SDS process says: it registers at its start, beats each second, fetches configurations (`shared/api/sds.ts`).
 *
 * @module
 */
import { type MdmContext, recordEvent } from "@/mdm/context.ts";
import { lockProvesDeath, type RegistrationDecision, registrationOf } from "@/mdm/core/device_registration.ts";
import { noteBrokenDevices } from "@/mdm/operations/broken_devices.ts";
import { assignedDevices, failDevice, noteRows } from "@/mdm/operations/devices.ts";
import { NO_REPAIRS } from "@/mdm/live.ts";
import { noteRepairs } from "@/mdm/operations/repairs.ts";
import { NO_IO } from "@/mdm/operations/io_totals.ts";
import { noteConsumedTokens, revokedTokensNow } from "@/mdm/operations/io_tokens.ts";
import { joinTasksOf, noteJoinReports } from "@/mdm/operations/joins.ts";
import { activateGroups, configOf, dropFresh } from "@/mdm/operations/pgs.ts";
import { dropsFor } from "@/mdm/operations/pg_drops.ts";
import { mayStop, ordersFor } from "@/mdm/operations/pg_orders.ts";
import { copyRatesFor } from "@/mdm/operations/rebuild_control.ts";
import { noteDeletedNodes } from "@/mdm/operations/volumes.ts";
import { counterValue, raiseCounter } from "@/mdm/store/cluster_config.ts";
import { type DeviceRow, devicesOfSds, recordStart } from "@/mdm/store/devices.ts";
import { listGenerations } from "@/mdm/store/mappings.ts";
import { hasNodeDeletions, pendingDeletionsOf } from "@/mdm/store/node_deletions.ts";
import { pgsChangedFor, replacedPrimaryStarts } from "@/mdm/store/pgs.ts";
import { peersOfSds, sdsById, sdsOfComponent, type SdsRow } from "@/mdm/store/sds.ts";
import { tokenKeys } from "@/mdm/store/token_keys.ts";
import type {
  RegisteredDevice,
  SdsConfigsAnswer,
  SdsHeartbeatAnswer,
  SdsHeartbeatCall,
  SdsRegisterAnswer,
  SdsRegisterCall,
  TokenKey,
} from "@/shared/api/sds.ts";
import { adoptOfferedDevices } from "@/mdm/operations/sds.ts";
import { linkKeyHex } from "@/shared/auth.ts";
import { assert, StorageError } from "@/shared/errors.ts";
import { type ComponentId, sameIncarnation, type SdsId } from "@/shared/ids.ts";

/** Answers `POST /internal/v1/sds/register`. @throws {StorageError} `conflict` when a start is refused (3.1), with the reason. */
export function registerSds(context: MdmContext, componentId: ComponentId, call: SdsRegisterCall): SdsRegisterAnswer {
  context.live.beat(componentId, context.clock.monotonicMs());
  const sds = sdsOfComponent(context.db, componentId);
  const common = { clusterId: context.secrets.clusterId, mdmTerm: context.mdmTerm, mdmTimeMs: context.time.nowMs() };
  if (sds === undefined) {
    return {
      ...common,
      sdsId: null,
      assignedDevices: [],
      tokenKeys: [],
      configKeyHex: "",
      mappingVersion: 0,
      mappings: [],
    };
  }
  adoptOfferedDevices(context, { sds, offered: call.offeredDevices ?? [] });
  const accepted = acceptedStarts(context, { sds, call });
  recordStarts(context, { call, accepted });
  noteRegistration(context, { sds, accepted });
  sendPeerDead(context, accepted);
  dropFresh(context);
  activateGroups(context);
  context.tendGroupsSoon();
  return {
    ...common,
    sdsId: sds.sdsId,
    assignedDevices: assignedDevices(context, sds.sdsId),
    tokenKeys: validTokenKeys(context),
    configKeyHex: context.secrets.configKeyHex,
    mappingVersion: counterValue(context.db, "mapping_version"),
    mappings: listGenerations(context.db),
  };
}

/** One device's start that was accepted, with the row from before. */
interface Accepted {
  readonly row: DeviceRow;
  readonly offered: RegisteredDevice;
  readonly decision: Extract<RegistrationDecision, { kind: "accepted" }>;
}

function acceptedStarts(context: MdmContext, options: { sds: SdsRow; call: SdsRegisterCall }): Accepted[] {
  const { sds, call } = options;
  const rows = new Map(devicesOfSds(context.db, sds.sdsId).map((row) => [row.deviceId, row]));
  return call.devices.map((offered) => {
    const row = rows.get(offered.deviceId);
    const attempt = `Cannot register device ${offered.deviceId} of ${sds.name}`;
    if (row === undefined) throw new StorageError("conflict", `${attempt}: it was not assigned to this SDS`);
    const nowMs = context.clock.monotonicMs();
    const known = row.start;
    const decision = registrationOf(
      { incarnation: offered.incarnation, bootId: call.bootId, hostId: call.hostId, inode: offered.inode },
      {
        known,
        silentMs: known === undefined ? Number.POSITIVE_INFINITY : context.live.silentMs(row.deviceId, {
          incarnation: known.incarnation,
          nowMs,
        }),
        memberHeardMs: context.options.times.memberHeardMs,
      },
    );
    if (decision.kind === "accepted") return { row, offered, decision };
    if (decision.reason === "foreign_host") noteForeignHost(context, { sds, row, hostId: call.hostId });
    throw new StorageError(
      "conflict",
      `${attempt}: ${refusalText(decision.reason, { row, offered, hostId: call.hostId })}`,
    );
  });
}

function refusalText(
  reason: Extract<RegistrationDecision, { kind: "refused" }>["reason"],
  facts: { row: DeviceRow; offered: RegisteredDevice; hostId: string },
): string {
  switch (reason) {
    case "old_incarnation":
      return `start ${facts.offered.incarnation.counter} is not above ${facts.row.start?.incarnation.counter}, ` +
        `the newest known; its directory may be an old copy`;
    case "second_live_registration":
      return "another process serves this device now; its directory may be a copy";
    case "foreign_host":
      return `it was on host ${facts.row.start?.hostId} and appears on ${facts.hostId}; when no process of it runs elsewhere, ` +
        `confirm with POST /api/v1/devices/${facts.row.deviceId}/confirm_host`;
  }
}

function noteForeignHost(context: MdmContext, options: { sds: SdsRow; row: DeviceRow; hostId: string }): void {
  const { sds, row, hostId } = options;
  const life = context.live.device(row.deviceId);
  if (life.refusedHostId === hostId) return;
  life.refusedHostId = hostId;
  recordEvent(context, {
    type: "host_confirmation_needed",
    severity: "error",
    subject: `device-${row.deviceId}`,
    message: `Device ${row.name} of ${sds.name} appeared on host ${hostId}; an operator has to confirm that it moved`,
  });
}

function recordStarts(context: MdmContext, options: { call: SdsRegisterCall; accepted: readonly Accepted[] }): void {
  const { call, accepted } = options;
  context.db.transaction(() => {
    for (const { row, offered, decision } of accepted) {
      if (!decision.restarted && row.state !== "new" && offered.capacityBytes === row.offeredBytes) {
        if (!offered.intact) failDevice(context, row);
        continue;
      }
      const { incarnation, inode } = offered;
      recordStart(context.db, row.deviceId, {
        start: { incarnation, bootId: call.bootId, hostId: call.hostId, inode },
        lockSinceCounter: decision.lockSinceCounter,
        cleanFor: offered.cleanFor,
        synced: offered.synced,
        offeredBytes: offered.capacityBytes,
        usedBytes: offered.usedBytes,
        state: row.state === "new" ? "active" : row.state,
      });
      if (!offered.intact) failDevice(context, { ...row, state: row.state === "new" ? "active" : row.state });
      if (row.state === "new") raiseCounter(context.db, "config_version");
    }
  });
}

/** Notes in memory who is there; a new process holds no handles and runs no operations of older tokens. */
function noteRegistration(context: MdmContext, options: { sds: SdsRow; accepted: readonly Accepted[] }): void {
  const { sds, accepted } = options;
  const nowMs = context.clock.monotonicMs();
  const life = context.live.sds(sds.sdsId);
  const newProcess = accepted.some(({ row, decision }) => row.start !== undefined && decision.restarted);
  for (const { row, offered, decision } of accepted) {
    const device = context.live.device(row.deviceId);
    device.heard = { incarnation: offered.incarnation, atMs: nowMs };
    if (decision.restarted || device.registeredAtMs === undefined) device.registeredAtMs = nowMs;
    device.usedBytes = offered.usedBytes;
    device.refusedHostId = undefined;
    device.unreached = undefined;
    device.brokenReason = undefined;
    // A new process counts from 0; what is damaged is told again by its first beat.
    if (decision.restarted) device.repairs = { ...device.repairs, repairedBlocks: 0, differingBlocks: 0 };
    noteRows(context, { deviceId: row.deviceId, rows: offered.pgs, all: true });
  }
  life.registered = true;
  life.sequence = -1;
  life.stopping = false;
  life.stoppingSinceMs = undefined;
  if (newProcess) {
    life.mappingVersion = 0;
    life.revokedVersion = counterValue(context.db, "mapping_version");
    life.io.clear();
    life.nodeChunks = undefined;
  }
}

/** Tells secondaries that the process behind a listed start is dead for certain: they need not wait for grace (3.3). */
function sendPeerDead(context: MdmContext, accepted: readonly Accepted[]): void {
  for (const { row, offered, decision } of accepted) {
    if (row.start === undefined || !decision.restarted) continue;
    for (const listed of replacedPrimaryStarts(context.db, { deviceId: row.deviceId, before: offered.incarnation })) {
      const sameBoot = row.start.bootId === listed.bootId && bootIdOf(context, row) === listed.bootId;
      if (!sameBoot || !lockProvesDeath(decision.lockSinceCounter, listed.incarnation)) continue;
      const body = { mdmTerm: context.mdmTerm, deviceId: row.deviceId, incarnation: listed.incarnation };
      for (const sdsId of new Set(listed.secondarySdsIds)) {
        const secondary = sdsById(context.db, sdsId);
        if (secondary !== undefined) context.outbox.post(secondary, { path: "/control/peer_dead", body });
      }
    }
  }
}

function bootIdOf(context: MdmContext, row: DeviceRow): string | undefined {
  return devicesOfSds(context.db, row.sdsId).find((device) => device.deviceId === row.deviceId)?.start?.bootId;
}

/** Answers `POST /internal/v1/sds/heartbeat`. */
export function heartbeatSds(
  context: MdmContext,
  componentId: ComponentId,
  call: SdsHeartbeatCall,
): SdsHeartbeatAnswer {
  context.live.beat(componentId, context.clock.monotonicMs());
  const sds = sdsOfComponent(context.db, componentId);
  const registered = sds === undefined || takeBeat(context, { sds, call });
  const mappingVersion = counterValue(context.db, "mapping_version");
  const revokedTokens = sds === undefined ? [] : revokedTokensNow(context);
  const pgDrops = sds === undefined ? [] : dropsFor(context, sds.sdsId);
  const copyRates = sds === undefined ? [] : copyRatesFor(context, sds.sdsId);
  const pgOrders = sds === undefined ? [] : ordersFor(context, sds.sdsId);
  return {
    mdmTerm: context.mdmTerm,
    mdmTimeMs: context.time.nowMs(),
    registered,
    configVersion: counterValue(context.db, "config_version"),
    mappingVersion,
    mappings: sds !== undefined && call.mappingVersion < mappingVersion ? listGenerations(context.db) : [],
    assignedDevices: sds === undefined ? [] : assignedDevices(context, sds.sdsId),
    tokenKeys: sds === undefined ? [] : validTokenKeys(context),
    joinTasks: sds === undefined ? [] : joinTasksOf(context, sds.sdsId),
    nodeDeletions: sds !== undefined && hasNodeDeletions(context.db) ? pendingDeletionsOf(context.db, sds.sdsId) : [],
    ...(revokedTokens.length > 0 && { revokedTokens }),
    ...(pgDrops.length > 0 && { pgDrops }),
    ...(copyRates.length > 0 && { copyRates }),
    ...(pgOrders.length > 0 && { pgOrders }),
    ...(sds !== undefined && call.stopping && { mayStop: mayStop(context, sds.sdsId) }),
  };
}

/** Takes what a beat says; false if the process has to register first. */
function takeBeat(context: MdmContext, options: { sds: SdsRow; call: SdsHeartbeatCall }): boolean {
  const { sds, call } = options;
  const life = context.live.sds(sds.sdsId);
  const rows = new Map(devicesOfSds(context.db, sds.sdsId).map((row) => [row.deviceId, row]));
  const nowMs = context.clock.monotonicMs();
  for (const reported of call.devices) {
    const start = rows.get(reported.deviceId)?.start;
    // A start that was replaced is not heard any more, whoever sends its beats.
    if (start === undefined || !sameIncarnation(start.incarnation, reported.incarnation)) return false;
  }
  for (const reported of call.devices) {
    context.live.device(reported.deviceId).heard = { incarnation: reported.incarnation, atMs: nowMs };
  }
  if (!life.registered) return false;
  life.heardAtMs = nowMs;
  // A late or repeated beat says that the process lived, and nothing else.
  if (call.sequence <= life.sequence) return true;
  life.sequence = call.sequence;
  if (call.stopping) {
    life.stoppingSinceMs ??= nowMs;
    context.tendGroupsSoon();
  }
  life.stopping = call.stopping;
  life.mappingVersion = Math.max(life.mappingVersion, call.mappingVersion);
  takeDevices(context, { call, rows });
  for (const counts of call.io) life.io.set(`${counts.volumeId}/${counts.sdcId}`, { ...NO_IO, ...counts });
  if (call.served !== undefined) life.served = call.served;
  if (call.nodeUsage !== undefined) {
    life.nodeChunks = new Map(call.nodeUsage.map((usage) => [usage.nodeId, usage.chunkCount]));
  }
  noteBrokenDevices(context, { sds, rows, broken: call.brokenDevices ?? [] });
  noteJoinReports(context, { sds, reports: call.joins });
  noteDeletedNodes(context, { sdsId: sds.sdsId, deleted: call.deletedNodes });
  noteConsumedTokens(context, { sdsId: sds.sdsId, address: sds.address, uses: call.consumedTokens ?? [] });
  return true;
}

function takeDevices(
  context: MdmContext,
  options: { call: SdsHeartbeatCall; rows: ReadonlyMap<number, DeviceRow> },
): void {
  let anyRows = false;
  for (const reported of options.call.devices) {
    const row = options.rows.get(reported.deviceId);
    assert(row !== undefined, "takeBeat checked that the device is this SDS's");
    context.live.device(reported.deviceId).usedBytes = reported.usedBytes;
    for (const pgId of reported.droppedPgs ?? []) context.live.device(reported.deviceId).rows.delete(pgId);
    noteRows(context, { deviceId: reported.deviceId, rows: reported.rows, all: false });
    if (reported.failed) failDevice(context, row);
    noteRepairs(context, { row, repairs: reported.repairs ?? NO_REPAIRS });
    anyRows ||= reported.rows.length > 0;
  }
  if (anyRows) dropFresh(context);
}

/** Answers `POST /internal/v1/sds/configs`. @throws {StorageError} `conflict` for a process that nobody added. */
export function configsFor(
  context: MdmContext,
  request: { componentId: ComponentId; sinceVersion: number },
): SdsConfigsAnswer {
  const sds = sdsOfComponent(context.db, request.componentId);
  if (sds === undefined) {
    throw new StorageError(
      "conflict",
      `Cannot give configurations to ${request.componentId}: no operator added it as an SDS`,
    );
  }
  const configVersion = counterValue(context.db, "config_version");
  return {
    configVersion,
    configs: pgsChangedFor(context.db, { sdsId: sds.sdsId, sinceVersion: request.sinceVersion })
      .map((pg) => configOf(context, pg)),
    peers: peersOf(context, sds.sdsId),
  };
}

function peersOf(context: MdmContext, sdsId: SdsId): SdsConfigsAnswer["peers"] {
  return peersOfSds(context.db, sdsId).flatMap((peer) =>
    peer.dataPort === null ? [] : [{
      sdsId: peer.sdsId,
      host: peer.address,
      dataPort: peer.dataPort,
      linkKeyHex: linkKeyHex(peer.nodeKeyHex, sdsId),
      deviceIds: devicesOfSds(context.db, peer.sdsId).map((device) => device.deviceId),
    }]
  );
}

function validTokenKeys(context: MdmContext): TokenKey[] {
  return tokenKeys(context.db).map(({ keyId, keyHex }) => ({ keyId, keyHex }));
}
