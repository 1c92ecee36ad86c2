/**
 * Where the chunks of a volume are, computed from the placement groups: the MDM keeps no row per chunk.
 *
 * @module
 */
import type { MdmContext } from "@/mdm/context.ts";
import type { PgRecord } from "@/mdm/core/placement_groups.ts";
import { Facts } from "@/mdm/operations/facts.ts";
import { pgsOfPool } from "@/mdm/store/pgs.ts";
import type { VolumeRow } from "@/mdm/store/volumes.ts";
import { CHUNK_BYTES } from "@/shared/constants.ts";
import { chunkIdOf } from "@/shared/io_token.ts";
import { baseOf, pgIndexOf } from "@/shared/placement.ts";

/** Chunks that one answer lists at most. */
export const LAYOUT_CHUNKS_MAX = 1_024;

/** One copy of a chunk. */
export interface ChunkReplica {
  readonly replicaId: number;
  readonly deviceId: number;
  readonly sdsId: number;
  /** Its process was heard lately under the listed start. */
  readonly isAvailable: boolean;
  /** A copy that counts; one that is being made does not. */
  readonly isCurrent: boolean;
  readonly isRebuilding: boolean;
}

/** One chunk, whether or not it was written. */
export interface ChunkPlace {
  readonly chunkId: number;
  readonly chunkIndex: number;
  readonly pgId: number;
  /** The epoch of its group. */
  readonly generation: number;
  readonly isDegraded: boolean;
  readonly replicas: readonly ChunkReplica[];
}

/** Chunks `offset` to `offset + limit` of the volume; none while its pool has no groups. */
export function chunkPlaces(
  context: MdmContext,
  options: { readonly volume: VolumeRow; readonly offset: number; readonly limit: number },
): ChunkPlace[] {
  const { volume, offset, limit } = options;
  const pgs = pgsOfPool(context.db, volume.poolId);
  if (pgs.length === 0) return [];
  const facts = new Facts(context);
  const base = baseOf(volume.vtreeId);
  const end = Math.min(chunkCountOf(volume), offset + Math.min(limit, LAYOUT_CHUNKS_MAX));
  const places: ChunkPlace[] = [];
  for (let chunkIndex = offset; chunkIndex < end; chunkIndex++) {
    const pg = pgs[pgIndexOf(base, chunkIndex, pgs.length)]!;
    places.push({
      chunkId: chunkIdOf(volume.nodeId, chunkIndex),
      chunkIndex,
      pgId: pg.pgId,
      generation: pg.epoch,
      isDegraded: pg.members.length < pg.copies,
      replicas: replicasOf(context, { pg, facts }),
    });
  }
  return places;
}

/** Chunks that a volume has room for. */
export function chunkCountOf(volume: VolumeRow): number {
  return Math.ceil(volume.sizeBytes / CHUNK_BYTES);
}

function replicasOf(context: MdmContext, options: { pg: PgRecord; facts: Facts }): ChunkReplica[] {
  const { pg, facts } = options;
  const members = pg.members.map(({ deviceId, sdsId }) => {
    const device = facts.device(deviceId);
    const isAvailable = device !== undefined && facts.isLive(device);
    return { replicaId: deviceId, deviceId, sdsId, isAvailable, isCurrent: true, isRebuilding: false };
  });
  const join = context.live.joins.get(pg.pgId);
  if (join === undefined) return members;
  const { deviceId, sdsId } = join;
  return [...members, {
    replicaId: deviceId,
    deviceId,
    sdsId,
    isAvailable: false,
    isCurrent: false,
    isRebuilding: true,
  }];
}
