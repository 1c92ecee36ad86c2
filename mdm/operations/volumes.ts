/**
 * Volumes: created, grown, deleted. A pool gets its placement groups with its first volume.
 *
 *   (created) ── map ──► mapped ── unmap ──► unmapped ── delete ──► DELETING ── all groups reported ──► (gone)
 *
 * @module
 */
import { type MdmContext, recordEvent } from "@/mdm/context.ts";
import { capacityProblem, gibText, volumeSizeProblem } from "@/mdm/core/capacity.ts";
import { notifySdcs, requireSettled } from "@/mdm/operations/mappings.ts";
import { announce, createGroups } from "@/mdm/operations/pgs.ts";
import { livenessOfComponent } from "@/mdm/operations/processes.ts";
import { requirePool } from "@/mdm/operations/pools.ts";
import { waitUntil } from "@/mdm/operations/waiting.ts";
import { raiseCounter } from "@/mdm/store/cluster_config.ts";
import { devicesOfPool } from "@/mdm/store/devices.ts";
import { hasNodeDeletion, insertNodeDeletion, removeNodeDeletion } from "@/mdm/store/node_deletions.ts";
import { poolById, type PoolRow } from "@/mdm/store/pools.ts";
import { sdsById } from "@/mdm/store/sds.ts";
import {
  insertVolume,
  listVolumes,
  provisionedBytes,
  type Provisioning,
  removeDeletedVolume,
  setVolumeDeleting,
  setVolumeSize,
  volumeById,
  volumeByName,
  type VolumeRow,
} from "@/mdm/store/volumes.ts";
import type { SdsHeartbeatCall } from "@/shared/api/sds.ts";
import { assert, StorageError } from "@/shared/errors.ts";
import type { PoolId, SdsId, VolumeId } from "@/shared/ids.ts";

/** Longest time that a first volume waits for devices that are being formatted, in ms. */
const FORMAT_WAIT_MS = 10_000;

export interface NewVolumeRequest {
  readonly name: string;
  readonly poolId: PoolId;
  readonly sizeBytes: number;
  readonly provisioning: Provisioning;
}

/**
 * Creates a volume. The first of a pool waits a little for devices whose processes are still formatting them, so that the groups
 * are spread over all of them.
 *
 * @throws {StorageError} `not_found` for the pool, `conflict` for the name, `rule_broken` for the size or without room, `unavailable` without an
 * active device.
 */
export async function createVolume(context: MdmContext, request: NewVolumeRequest): Promise<VolumeRow> {
  checkNewVolume(context, request);
  if (requirePool(context, request.poolId).pgCount === null) {
    const condition = () => !hasDeviceInPreparation(context, request.poolId);
    await waitUntil(context.clock, { condition, timeoutMs: Math.min(FORMAT_WAIT_MS, context.options.waitMs) });
  }
  // Whatever was waited for, the rules are checked again in the same stretch as the change.
  const pool = checkNewVolume(context, request);
  const volumeId = context.db.transaction(() => {
    if (pool.pgCount === null) createGroups(context, pool);
    const { name, sizeBytes, provisioning } = request;
    const made = insertVolume(context.db, { ...request, atMs: context.time.nowMs() });
    const message = `Volume ${name} of ${gibText(sizeBytes)}, ${provisioning}, was created in pool ${pool.name}`;
    recordEvent(context, { type: "volume_create", severity: "info", subject: name, message });
    return made;
  });
  if (pool.pgCount === null) announce(context, { poolIds: [pool.poolId] });
  return requireVolume(context, volumeId);
}

function checkNewVolume(context: MdmContext, request: NewVolumeRequest): PoolRow {
  const attempt = `Cannot create volume ${request.name}`;
  const pool = requirePool(context, request.poolId);
  if (volumeByName(context.db, request.name) !== undefined) {
    throw new StorageError("conflict", `${attempt}: the name is taken`);
  }
  const problem = volumeSizeProblem(request.sizeBytes) ?? roomProblem(context, { pool, addedBytes: request.sizeBytes });
  if (problem !== undefined) throw new StorageError("rule_broken", `${attempt}: ${problem}`);
  return pool;
}

function roomProblem(context: MdmContext, request: { pool: PoolRow; addedBytes: number }): string | undefined {
  const { limitBytes, poolId } = request.pool;
  return capacityProblem({ limitBytes, provisionedBytes: provisionedBytes(context.db, poolId) }, request.addedBytes);
}

/** True if a device of the pool has not registered yet although its process runs. */
function hasDeviceInPreparation(context: MdmContext, poolId: PoolId): boolean {
  return devicesOfPool(context.db, poolId).some((device) => {
    if (device.state === "failed") return false;
    if (device.state === "active" && context.live.device(device.deviceId).registeredAtMs !== undefined) return false;
    const sds = sdsById(context.db, device.sdsId);
    return sds !== undefined && livenessOfComponent(context, sds.componentId) === "up" &&
      context.live.lastBeatMs(sds.componentId) !== undefined;
  });
}

/** @throws {StorageError} `not_found`. */
export function requireVolume(context: MdmContext, volumeId: VolumeId): VolumeRow {
  const volume = volumeById(context.db, volumeId);
  if (volume === undefined) throw new StorageError("not_found", `There is no volume ${volumeId}`);
  return volume;
}

export function allVolumes(context: MdmContext): VolumeRow[] {
  return listVolumes(context.db);
}

/** Volumes never shrink: what lies beyond the new end would be lost. @throws {StorageError} `not_found`, `unsupported`. */
export function shrinkVolume(context: MdmContext, volumeId: VolumeId): never {
  const volume = requireVolume(context, volumeId);
  throw new StorageError("unsupported", `Cannot shrink volume ${volume.name}: volumes can only grow so far`);
}

/** Grows a volume. @throws {StorageError} `not_found`, or `rule_broken` unless the size grows and fits. */
export async function extendVolume(
  context: MdmContext,
  request: { volumeId: VolumeId; sizeBytes: number },
): Promise<void> {
  const volume = requireVolume(context, request.volumeId);
  const pool = poolById(context.db, volume.poolId);
  assert(pool !== undefined, "a volume's pool exists");
  const attempt = `Cannot extend volume ${volume.name}`;
  if (request.sizeBytes <= volume.sizeBytes) {
    throw new StorageError(
      "rule_broken",
      `${attempt}: ${gibText(request.sizeBytes)} is not above its size, ${gibText(volume.sizeBytes)} ` +
        `(${request.sizeBytes} and ${volume.sizeBytes} bytes)`,
    );
  }
  const problem = volumeSizeProblem(request.sizeBytes) ??
    roomProblem(context, { pool, addedBytes: request.sizeBytes - volume.sizeBytes });
  if (problem !== undefined) throw new StorageError("rule_broken", `${attempt}: ${problem}`);
  context.db.transaction(() => {
    setVolumeSize(context.db, volume.volumeId, request.sizeBytes);
    // Heartbeats of SDCs compare this version: those that have it mapped learn the new size.
    raiseCounter(context.db, "mapping_version");
    const message = `Volume ${volume.name} was extended to ${gibText(request.sizeBytes)}`;
    recordEvent(context, { type: "volume_extend", severity: "info", subject: volume.name, message });
  });
  await notifySdcs(context, volume.volumeId);
}

/**
 * Deletes an unmapped volume: it is gone at once, its chunks are removed by the primaries of its groups.
 *
 * @throws {StorageError} `not_found`, `rule_broken` while it is mapped, `unavailable` while a revocation is not confirmed.
 */
export async function deleteVolume(context: MdmContext, volumeId: VolumeId): Promise<void> {
  requireUnmapped(requireVolume(context, volumeId));
  await requireSettled(context, { volumeId, attempt: "Cannot delete the volume" });
  const volume = requireVolume(context, volumeId);
  requireUnmapped(volume);
  context.db.transaction(() => {
    setVolumeDeleting(context.db, volumeId);
    insertNodeDeletion(context.db, volume);
    if (!hasNodeDeletion(context.db, volume.nodeId)) removeDeletedVolume(context.db, volume.nodeId);
    const message = `Volume ${volume.name} was deleted`;
    recordEvent(context, { type: "volume_delete", severity: "info", subject: volume.name, message });
  });
  announce(context, { poolIds: [volume.poolId] });
}

function requireUnmapped(volume: VolumeRow): void {
  if (volume.mappingCount === 0) return;
  throw new StorageError(
    "rule_broken",
    `Cannot delete volume ${volume.name}: it is mapped to ${volume.mappingCount} ${
      volume.mappingCount === 1 ? "SDC" : "SDCs"
    }`,
  );
}

/** Notes which groups, led from this SDS, hold nothing more of deleted nodes; removes a node's rows with its last group. */
export function noteDeletedNodes(
  context: MdmContext,
  options: { sdsId: SdsId; deleted: SdsHeartbeatCall["deletedNodes"] },
): void {
  if (options.deleted.length === 0) return;
  context.db.transaction(() => {
    for (const { nodeId, pgIds } of options.deleted) {
      let anyRemoved = false;
      for (const pgId of pgIds) {
        anyRemoved = removeNodeDeletion(context.db, { nodeId, pgId, sdsId: options.sdsId }) || anyRemoved;
      }
      if (anyRemoved && !hasNodeDeletion(context.db, nodeId)) removeDeletedVolume(context.db, nodeId);
    }
  });
}
