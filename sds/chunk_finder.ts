/**
 * Where a chunk is on this SDS, or would be: the MDM places groups, and a chunk's group follows from its volume. An SDS that
 * stores no chunk of the volume cannot compute the group; then whoever asks must name it (`pg_id` of an IO plan).
 *
 * @module
 */
import { type Chunk, chunkKey } from "@/sds/device/chunk.ts";
import type { Group } from "@/sds/replication/group.ts";
import type { ReplicaDevice } from "@/sds/replication/replica_device.ts";
import type { NodeId, PgId, VtreeId } from "@/shared/ids.ts";
import { chunkPlaceOf } from "@/shared/io_token.ts";
import { baseOf, pgIndexOf } from "@/shared/placement.ts";

/** A copy of a chunk's group on a device of this SDS. */
export interface ChunkPlace {
  readonly device: ReplicaDevice;
  readonly group: Group;
  /** The stored chunk; undefined while it was never written here. */
  readonly chunk: Chunk | undefined;
}

/** The place of a chunk, or undefined if no group of this SDS is known to hold it. */
export function placeOfChunk(
  devices: readonly ReplicaDevice[],
  options: { readonly chunkId: number; readonly pgId?: PgId | undefined },
): ChunkPlace | undefined {
  const { nodeId, chunkIndex } = chunkPlaceOf(options.chunkId);
  const places = devices.filter(({ store }) => store.failed === undefined).flatMap((device) =>
    [...device.groups.values()].map((group) => ({ device, group }))
  );
  let vtreeId: VtreeId | undefined;
  for (const { device, group } of places) {
    if (!group.storage?.nodeCounts.has(nodeId)) continue;
    const chunk = device.store.chunk(group.storage, chunkKey(nodeId, chunkIndex));
    if (chunk !== undefined) return { device, group, chunk };
    vtreeId ??= vtreeOf(group, nodeId);
  }
  const found = places.find(({ group }) =>
    options.pgId !== undefined
      ? group.pgId === options.pgId && (vtreeId === undefined || holds(group, { vtreeId, chunkIndex }))
      : vtreeId !== undefined && holds(group, { vtreeId, chunkIndex })
  );
  return found && { ...found, chunk: undefined };
}

/** The volume whose layer it is, as any stored chunk tells. */
function vtreeOf(group: Group, nodeId: NodeId): VtreeId | undefined {
  const [next] = group.device.store.listPgChunks(group.storage!, { afterKey: chunkKey(nodeId, 0) - 1, limit: 1 });
  return next?.nodeId === nodeId ? next.vtreeId : undefined;
}

function holds(group: Group, chunk: { readonly vtreeId: VtreeId; readonly chunkIndex: number }): boolean {
  const { config } = group;
  if (config === undefined) return false;
  return pgIndexOf(baseOf(chunk.vtreeId), chunk.chunkIndex, config.pgCount) === config.pgIndex;
}

/** True if the MDM lists this copy as one that counts, or it is being made. */
export function isPlannedHere({ ownMember, joining }: Group): boolean {
  return ownMember !== undefined || joining !== undefined;
}
