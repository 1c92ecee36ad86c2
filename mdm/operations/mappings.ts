/**
 * Mappings: which SDC may use which volume. Taking one away, or changing its mode, raises its generation and is complete when no
 * SDS serves the older one any more (replication design, section 6.4).
 *
 * @module
 */
import { type MdmContext, recordEvent } from "@/mdm/context.ts";
import { requireSdc } from "@/mdm/operations/sdc.ts";
import { requireVolume } from "@/mdm/operations/volumes.ts";
import { counterValue, raiseCounter } from "@/mdm/store/cluster_config.ts";
import { mappingOf, mappingsOfSdc, mappingsOfVolume, setMapping } from "@/mdm/store/mappings.ts";
import { sdcById } from "@/mdm/store/sdc.ts";
import { volumeById, type VolumeRow } from "@/mdm/store/volumes.ts";
import type { AccessMode, SdcMapping } from "@/shared/api/sdc.ts";
import { StorageError } from "@/shared/errors.ts";
import type { SdcId, VolumeId } from "@/shared/ids.ts";

/**
 * Maps a volume, or changes the mode of a mapping. Mapping what is mapped so already changes nothing.
 *
 * @throws {StorageError} `not_found` for volume or SDC, `unavailable` while an earlier revocation is not confirmed.
 */
export async function mapVolume(
  context: MdmContext,
  request: { volumeId: VolumeId; sdcId: SdcId; accessMode: AccessMode },
): Promise<void> {
  requireVolume(context, request.volumeId);
  requireSdc(context, request.sdcId);
  await requireSettled(context, { volumeId: request.volumeId, attempt: "Cannot map the volume" });
  const volume = requireVolume(context, request.volumeId);
  const sdc = requireSdc(context, request.sdcId);
  const before = mappingOf(context.db, request);
  if (before?.accessMode === request.accessMode) return;
  context.db.transaction(() => {
    const mappingGeneration = raiseCounter(context.db, "mapping_version");
    setMapping(context.db, { ...request, mappingGeneration, atMs: context.time.nowMs() });
    if (before !== undefined) context.revocations.record(context, volume);
    const message = `Volume ${volume.name} was mapped to ${sdc.name} (${request.accessMode})`;
    recordEvent(context, { type: "volume_map", severity: "info", subject: volume.name, message });
  });
  const told = notifySdcs(context, volume.volumeId);
  if (before === undefined) return await told;
  context.revocations.begin(context, [volume.volumeId]);
  await Promise.all([
    told,
    requireSettled(context, { volumeId: volume.volumeId, attempt: "The mode is changed, but not confirmed" }),
  ]);
}

/**
 * Takes a mapping away.
 *
 * @throws {StorageError} `not_found` if there is none; `unavailable` when an SDS did not confirm in time: the mapping is gone for
 * good and the revocation goes on, but a token may still be used at that SDS.
 */
export async function unmapVolume(context: MdmContext, request: { volumeId: VolumeId; sdcId: SdcId }): Promise<void> {
  const volume = requireVolume(context, request.volumeId);
  const sdc = requireSdc(context, request.sdcId);
  if (mappingOf(context.db, request) === undefined) {
    throw new StorageError("not_found", `Cannot unmap volume ${volume.name}: it is not mapped to ${sdc.name}`);
  }
  context.db.transaction(() => {
    const mappingGeneration = raiseCounter(context.db, "mapping_version");
    setMapping(context.db, { ...request, accessMode: null, mappingGeneration, atMs: context.time.nowMs() });
    context.revocations.record(context, volume);
    const message = `Volume ${volume.name} was unmapped from ${sdc.name}`;
    recordEvent(context, { type: "volume_unmap", severity: "info", subject: volume.name, message });
  });
  const told = context.outbox.tell(sdc, { path: "/control/volume_unmapped", body: { volume_id: volume.volumeId } });
  context.revocations.begin(context, [volume.volumeId]);
  await Promise.all([
    told,
    requireSettled(context, { volumeId: volume.volumeId, attempt: "The volume is unmapped, but not confirmed" }),
  ]);
}

/** Waits for the volume's revocations. @throws {StorageError} `unavailable` naming the SDSs that did not confirm in time. */
export async function requireSettled(
  context: MdmContext,
  options: { volumeId: VolumeId; attempt: string },
): Promise<void> {
  const { volumeId } = options;
  if (await context.revocations.settle(context, { volumeId, timeoutMs: context.options.waitMs })) return;
  const silent = context.revocations.waitingFor(context, volumeId).join(", ");
  throw new StorageError("unavailable", `${options.attempt}: ${silent} did not confirm that older tokens are void`);
}

/** What an SDC may serve. */
export function sdcMappings(context: MdmContext, sdcId: SdcId): SdcMapping[] {
  return mappingsOfSdc(context.db, sdcId).flatMap((mapping) => {
    const volume = volumeById(context.db, mapping.volumeId);
    if (volume === undefined) return [];
    return [{
      volumeId: mapping.volumeId,
      volumeName: volume.name,
      sizeBytes: volume.sizeBytes,
      accessMode: mapping.accessMode,
      mappingGeneration: mapping.mappingGeneration,
    }];
  });
}

/** Version of the newest change of any mapping or size. */
export function mappingVersion(context: MdmContext): number {
  return counterValue(context.db, "mapping_version");
}

/**
 * Tells every SDC that has the volume mapped what it is now, and waits until those that answer have it: who mapped a volume may
 * connect to it next. An SDC that does not answer learns it with its next heartbeat.
 */
export async function notifySdcs(context: MdmContext, volumeId: VolumeId): Promise<void> {
  const volume = volumeById(context.db, volumeId);
  if (volume === undefined) return;
  await Promise.all(
    mappingsOfVolume(context.db, volumeId).map((mapping) => {
      const sdc = sdcById(context.db, mapping.sdcId);
      const body = mappedBody(volume, mapping.accessMode);
      return sdc && context.outbox.tell(sdc, { path: "/control/volume_mapped", body });
    }),
  );
}

function mappedBody(volume: VolumeRow, accessMode: AccessMode): Record<string, unknown> {
  return {
    volume_id: volume.volumeId,
    volume_name: volume.name,
    size_bytes: volume.sizeBytes,
    access_mode: accessMode,
  };
}
