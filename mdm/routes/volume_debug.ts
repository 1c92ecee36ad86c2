/**
 * `/vol/{id}/debug/storage`: where a volume's data is, for people who look for it.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "zod";
import type { MdmContext } from "@/mdm/context.ts";
import { chunkStatuses } from "@/mdm/operations/chunk_statuses.ts";
import { chunkCountOf, chunkPlaces, LAYOUT_CHUNKS_MAX } from "@/mdm/operations/volume_layout.ts";
import { requireVolume } from "@/mdm/operations/volumes.ts";
import { volumeIdField } from "@/mdm/routes/fields.ts";
import { devicesOfPool } from "@/mdm/store/devices.ts";
import { mappingsOfVolume } from "@/mdm/store/mappings.ts";
import { sdcById } from "@/mdm/store/sdc.ts";
import { sdsOfPool } from "@/mdm/store/sds.ts";
import type { VolumeRow } from "@/mdm/store/volumes.ts";
import { accessModeSchema } from "@/shared/api/sdc.ts";
import type { ChunkStatus } from "@/shared/api/sds.ts";
import { CHUNK_BYTES } from "@/shared/constants.ts";
import { addRoute } from "@/shared/http/api.ts";

const pageQuery = z.object({
  chunk_offset: z.coerce.number().int().min(0).default(0),
  chunk_limit: z.coerce.number().int().min(1).max(LAYOUT_CHUNKS_MAX).default(256),
});
const debugShape = z.object({
  volume_id: z.int(),
  volume_name: z.string(),
  vtree_id: z.int(),
  node_id: z.int(),
  chunk_count: z.int(),
  /** Where copies lie, below the storage root of each SDS. */
  replica_paths: z.array(z.object({ sds_id: z.int(), sds_name: z.string(), device: z.string(), path: z.string() })),
  mapping_artifacts: z.array(z.object({
    sdc_id: z.int(),
    sdc_name: z.string(),
    access_mode: accessModeSchema,
    mapping_generation: z.int(),
  })),
  active_sds_endpoints: z.array(z.object({ sds_id: z.int(), host: z.string(), port: z.int().nullable() })),
  chunk_offset: z.int(),
  chunk_layout: z.array(z.object({
    chunk_id: z.int(),
    chunk_index: z.int(),
    logical_offset_mb: z.number(),
    pg_id: z.int(),
    generation: z.int(),
    is_degraded: z.boolean(),
    /** These are what the SDS of a current copy tells: null for a chunk that is not written, or while none answers. */
    checksum: z.string().nullable(),
    /** Null also when there was no write since the chunk's checksums came to the SDS's memory. */
    last_write_offset_bytes: z.int().nullable(),
    last_write_length_bytes: z.int().nullable(),
    last_write_at: z.string().nullable(),
    replicas: z.array(z.object({
      replica_id: z.int(),
      sds_id: z.int(),
      is_available: z.boolean(),
      is_current: z.boolean(),
      is_rebuilding: z.boolean(),
    })),
  })),
}).meta({ id: "StorageDebug" });

/** Adds it to the routes below `/vol`. */
export function addStorageDebug(routes: OpenAPIHono, context: MdmContext): void {
  addRoute(routes, {
    method: "get",
    path: "/{id}/debug/storage",
    tag: "Volumes",
    summary: "Shows where a volume's chunks are",
    params: z.object({ id: volumeIdField }),
    query: pageQuery,
    answer: debugShape,
    refusals: [404],
    handle: ({ params, query }) => debugJson(context, { volume: requireVolume(context, params.id), query }),
  });
}

async function debugJson(context: MdmContext, options: { volume: VolumeRow; query: z.output<typeof pageQuery> }) {
  const { volume, query } = options;
  const places = chunkPlaces(context, { volume, offset: query.chunk_offset, limit: query.chunk_limit });
  const statuses = await chunkStatuses(context, places);
  const sdss = sdsOfPool(context.db, volume.poolId);
  const names = new Map(sdss.map((sds) => [sds.sdsId, sds.name]));
  return {
    volume_id: volume.volumeId,
    volume_name: volume.name,
    vtree_id: volume.vtreeId,
    node_id: volume.nodeId,
    chunk_count: chunkCountOf(volume),
    replica_paths: devicesOfPool(context.db, volume.poolId).map((device) => ({
      sds_id: device.sdsId,
      sds_name: names.get(device.sdsId) ?? "",
      device: device.name,
      path: `${device.name}/`,
    })),
    mapping_artifacts: mappingsOfVolume(context.db, volume.volumeId).map((mapping) => ({
      sdc_id: mapping.sdcId,
      sdc_name: sdcById(context.db, mapping.sdcId)?.name ?? "",
      access_mode: mapping.accessMode,
      mapping_generation: mapping.mappingGeneration,
    })),
    active_sds_endpoints: sdss.map((sds) => ({ sds_id: sds.sdsId, host: sds.address, port: sds.dataPort })),
    chunk_offset: query.chunk_offset,
    chunk_layout: places.map((place) => ({
      chunk_id: place.chunkId,
      chunk_index: place.chunkIndex,
      logical_offset_mb: place.chunkIndex * CHUNK_BYTES / 2 ** 20,
      pg_id: place.pgId,
      generation: place.generation,
      is_degraded: place.isDegraded,
      ...writtenOf(statuses.get(place.chunkId)),
      replicas: place.replicas.map((replica) => ({
        replica_id: replica.replicaId,
        sds_id: replica.sdsId,
        is_available: replica.isAvailable,
        is_current: replica.isCurrent,
        is_rebuilding: replica.isRebuilding,
      })),
    })),
  };
}

function writtenOf(status: ChunkStatus | undefined) {
  return {
    checksum: status?.checksum ?? null,
    last_write_offset_bytes: status?.last_write_offset_bytes ?? null,
    last_write_length_bytes: status?.last_write_length_bytes ?? null,
    last_write_at: status?.last_write_at ?? null,
  };
}
