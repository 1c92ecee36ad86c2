/**
 * What an SDC process says: it registers at its start for a session, beats, asks for maps and tokens (`shared/api/sdc.ts`).
 *
 * @module
 */
import { type MdmContext, recordEvent } from "@/mdm/context.ts";
import { mappingVersion, sdcMappings } from "@/mdm/operations/mappings.ts";
import { raiseCounter } from "@/mdm/store/cluster_config.ts";
import { mappingOf, type MappingRow, mappingsOfSdc, raiseGenerationsOfSdc } from "@/mdm/store/mappings.ts";
import { freshPgCount, pgById, pgsOfPool } from "@/mdm/store/pgs.ts";
import { sdcOfComponent, type SdcRow, setSdcSession } from "@/mdm/store/sdc.ts";
import { sdsById } from "@/mdm/store/sds.ts";
import { volumeById, type VolumeRow } from "@/mdm/store/volumes.ts";
import { signingKey } from "@/mdm/secrets.ts";
import type {
  SdcHeartbeatAnswer,
  SdcHeartbeatCall,
  SdcRegisterAnswer,
  SessionTokenAnswer,
  VolumeMap,
} from "@/shared/api/sdc.ts";
import { signToken, ticketKeyHex } from "@/shared/auth.ts";
import { StorageError } from "@/shared/errors.ts";
import { asId, type ComponentId, type SdcSession, type SdsId, type VolumeId } from "@/shared/ids.ts";
import { randomUuid } from "@/shared/random.ts";

/** Answers `POST /internal/v1/sdc/register`: a new session, which revokes the older one of this SDC. */
export function registerSdc(context: MdmContext, componentId: ComponentId): SdcRegisterAnswer {
  context.live.beat(componentId, context.clock.monotonicMs());
  const { clusterName } = context.secrets;
  const sdc = sdcOfComponent(context.db, componentId);
  if (sdc === undefined) {
    return { clusterName, mdmTerm: context.mdmTerm, sdcId: null, sdcSession: null, mappingVersion: 0, mappings: [] };
  }
  const replaced = sdc.sdcSession !== null;
  const sdcSession = context.db.transaction(() => {
    const session = asId<SdcSession>(raiseCounter(context.db, "sdc_session"));
    setSdcSession(context.db, sdc.sdcId, session);
    if (replaced && mappingsOfSdc(context.db, sdc.sdcId).length > 0) {
      raiseGenerationsOfSdc(context.db, sdc.sdcId, raiseCounter(context.db, "mapping_version"));
      for (const { volumeId } of mappingsOfSdc(context.db, sdc.sdcId)) {
        const volume = volumeById(context.db, volumeId);
        if (volume !== undefined) context.revocations.record(context, volume);
      }
    }
    return session;
  });
  if (replaced) {
    // The new session need not wait: SDSs discard what the older one has not started (3.6), and started operations go on.
    const volumeIds = mappingsOfSdc(context.db, sdc.sdcId).map((mapping) => mapping.volumeId);
    context.revocations.begin(context, volumeIds);
  }
  return {
    clusterName,
    mdmTerm: context.mdmTerm,
    sdcId: sdc.sdcId,
    sdcSession,
    mappingVersion: mappingVersion(context),
    mappings: sdcMappings(context, sdc.sdcId),
  };
}

/** Answers `POST /internal/v1/sdc/heartbeat`. */
export function heartbeatSdc(
  context: MdmContext,
  componentId: ComponentId,
  call: SdcHeartbeatCall,
): SdcHeartbeatAnswer {
  context.live.beat(componentId, context.clock.monotonicMs());
  const sdc = sdcOfComponent(context.db, componentId);
  // A process that nobody added has no session, and none to register for.
  if (sdc === undefined) return { registered: call.sdcSession === null, mappingVersion: 0, mappings: [] };
  const life = context.live.sdc(sdc.sdcId);
  life.io.clear();
  for (const { volumeId, errors, timedOperations, timedMs } of call.io) {
    life.io.set(volumeId, { errors, timedOperations, timedMs });
  }
  for (const failure of call.ioFailures ?? []) {
    const name = volumeById(context.db, failure.volumeId)?.name ?? `volume ${failure.volumeId}`;
    recordEvent(context, {
      type: "io_error",
      severity: "error",
      subject: name,
      message: `${failure.count} requests of ${sdc.name} to ${name} failed; the last: ${failure.message}`,
    });
  }
  return {
    registered: sdc.sdcSession !== null && call.sdcSession === sdc.sdcSession,
    mappingVersion: mappingVersion(context),
    mappings: sdcMappings(context, sdc.sdcId),
  };
}

/** Who asks for what, checked. */
interface Grant {
  readonly sdc: SdcRow;
  readonly volume: VolumeRow;
  readonly mapping: MappingRow;
}

/**
 * The volume as the caller may use it.
 *
 * @throws {StorageError} `stale_session` for an older session, `fenced` without a mapping, `not_ready` while groups of the pool
 * are fresh, `unavailable` while one is refused because the database was rolled back.
 */
function grantOf(
  context: MdmContext,
  request: { componentId: ComponentId; sdcSession: SdcSession; volumeId: VolumeId },
): Grant {
  const { componentId, sdcSession, volumeId } = request;
  const attempt = `Cannot serve volume ${volumeId} to ${componentId}`;
  const sdc = sdcOfComponent(context.db, componentId);
  if (sdc === undefined) throw new StorageError("fenced", `${attempt}: no operator added it as an SDC`);
  if (sdc.sdcSession !== sdcSession) {
    throw new StorageError(
      "stale_session",
      `${attempt}: session ${sdcSession} is not ${sdc.sdcSession ?? "there"}, the newest`,
    );
  }
  const volume = volumeById(context.db, volumeId);
  const mapping = mappingOf(context.db, { volumeId, sdcId: sdc.sdcId });
  if (volume === undefined || mapping === undefined) throw new StorageError("fenced", `${attempt}: it is not mapped`);
  const freshCount = freshPgCount(context.db, volume.poolId);
  if (freshCount > 0) {
    throw new StorageError("not_ready", `${attempt}: ${freshCount} groups of its pool are being made`);
  }
  return { sdc, volume, mapping };
}

/** Answers `POST /internal/v1/sdc/map`. @throws {StorageError} as {@linkcode grantOf}. */
export function volumeMapFor(
  context: MdmContext,
  request: { componentId: ComponentId; sdcSession: SdcSession; volumeId: VolumeId },
): VolumeMap {
  const { sdc, volume } = grantOf(context, request);
  const pgs = pgsOfPool(context.db, volume.poolId);
  const devices = new Map(pgs.flatMap((pg) => pg.members).map((member) => [member.deviceId, member.sdsId]));
  return {
    volumeId: volume.volumeId,
    vtreeId: volume.vtreeId,
    nodeId: volume.nodeId,
    sizeBytes: volume.sizeBytes,
    pgCount: pgs.length,
    pgs: pgs.map((pg) => ({
      pgId: pg.pgId,
      epoch: pg.epoch,
      lossGeneration: pg.lossGeneration,
      primaryDeviceId: pg.members[0]!.deviceId,
      memberCount: pg.members.length,
    })),
    devices: [...devices].map(([deviceId, sdsId]) => ({ deviceId, sdsId })),
    sdss: [...new Set(devices.values())].flatMap((sdsId) => reachableSds(context, { sdsId, sdc })),
  };
}

function reachableSds(context: MdmContext, options: { sdsId: SdsId; sdc: SdcRow }): VolumeMap["sdss"] {
  const sds = sdsById(context.db, options.sdsId);
  const { sdcId, sdcSession } = options.sdc;
  if (sds === undefined || sds.dataPort === null || sdcSession === null) return [];
  const keyHex = ticketKeyHex(sds.nodeKeyHex, { sdcId, sdcSession });
  return [{ sdsId: sds.sdsId, host: sds.address, dataPort: sds.dataPort, keyHex }];
}

/** Answers `POST /internal/v1/sdc/token`. @throws {StorageError} as {@linkcode grantOf}. */
export function sessionTokenFor(
  context: MdmContext,
  request: { componentId: ComponentId; sdcSession: SdcSession; volumeId: VolumeId },
): SessionTokenAnswer {
  const { sdc, volume, mapping } = grantOf(context, request);
  for (const pgId of context.live.refusedPgs.keys()) {
    if (pgById(context.db, pgId)?.poolId !== volume.poolId) continue;
    throw new StorageError(
      "unavailable",
      `Cannot issue a token for volume ${volume.name}: group ${pgId} has a newer epoch at its devices than in this database`,
    );
  }
  const { tokenTtlMs, tokenRenewMs } = context.options.times;
  const nowMs = context.time.nowMs();
  const key = signingKey(context.db, nowMs);
  const token = signToken({
    id: randomUuid(context.random),
    kind: "session",
    keyId: key.keyId,
    volumeId: volume.volumeId,
    vtreeId: volume.vtreeId,
    nodeId: volume.nodeId,
    mode: mapping.accessMode,
    sizeBytes: volume.sizeBytes,
    sdcId: sdc.sdcId,
    sdcSession: request.sdcSession,
    mappingGeneration: mapping.mappingGeneration,
    issuedAtMs: nowMs,
    expiresAtMs: nowMs + tokenTtlMs,
  }, key);
  return { token, renewAfterMs: tokenRenewMs, accessMode: mapping.accessMode, sizeBytes: volume.sizeBytes };
}
