/**
 * Chunks in the control plane of an SDS, under the predecessor's paths. The MDM places whole groups of chunks by signed
 * configurations; so these calls report what is so, or what a configuration has decided, and refuse the rest. Space for a chunk
 * appears with its first write.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { crc32 } from "node:zlib";
import { z } from "zod";
import { type ChunkPlace, isPlannedHere, placeOfChunk } from "@/sds/chunk_finder.ts";
import { DATA_FILE } from "@/sds/device/layout.ts";
import type { Chunk } from "@/sds/device/chunk.ts";
import type { ReplicaDevice } from "@/sds/replication/replica_device.ts";
import { idSchema } from "@/shared/api/pg.ts";
import {
  type ChunkStatus,
  chunkStatusAnswerSchema,
  chunkStatusCallSchema,
  chunkStatusSchema,
} from "@/shared/api/sds.ts";
import { CHUNK_BYTES } from "@/shared/constants.ts";
import { StorageError } from "@/shared/errors.ts";
import { addRoute } from "@/shared/http/api.ts";
import type { DeviceId, NodeId, PgId, SdsId, VolumeId } from "@/shared/ids.ts";
import { chunkPlaceOf } from "@/shared/io_token.ts";

/** What the routes look at. */
export interface ChunkFacts {
  devices(): readonly ReplicaDevice[];
  /** Folder of a device beneath the storage root, and its name. */
  folderOf(deviceId: DeviceId): { readonly name: string; readonly path: string };
  /** The volume that last used a layer through this SDS; undefined when none has since the process started. */
  volumeOfNode(nodeId: NodeId): VolumeId | undefined;
  /** Asks the MDM for its plans now. */
  wake(): void;
}

const tag = "Chunks";
const chunkId = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const base = {
  chunk_id: chunkId,
  volume_id: idSchema<VolumeId>(),
  /** Group of the chunk, as IO plans name it; needed while this SDS stores nothing of the volume. */
  pg_id: idSchema<PgId>().optional(),
};
const assignSchema = z.object({
  ...base,
  size_bytes: z.literal(CHUNK_BYTES),
  device_name: z.string().min(1).max(64).optional(),
});
const replicateSchema = z.object({
  ...base,
  source_sds_address: z.string().min(1),
  source_sds_id: idSchema<SdsId>(),
  rebuild_token: z.string().min(1),
});

/** Adds `/assign`, `/replicate`, `/chunk/{id}/status` and `/chunks`. */
export function addChunkRoutes(routes: OpenAPIHono, facts: ChunkFacts): void {
  addRoute(routes, {
    method: "post",
    path: "/assign",
    tag,
    summary: "Says where this SDS keeps a chunk, or will keep it when it is written",
    body: assignSchema,
    answer: z.object({
      chunk_id: z.int(),
      local_file_path: z.string(),
      status: z.enum(["ASSIGNED", "ALREADY_EXISTS"]),
      device_name: z.string(),
      /** Start of the chunk in the file; null until it is written. */
      local_offset_bytes: z.int().nullable(),
    }),
    refusals: [404, 409, 503],
    handle: ({ body }) => assign(facts, body),
  });
  addRoute(routes, {
    method: "post",
    path: "/replicate",
    tag,
    summary: "Reports the copy of a chunk's group that the MDM has planned on this SDS",
    body: replicateSchema,
    answer: z.object({
      chunk_id: z.int(),
      success: z.boolean(),
      bytes_copied: z.int(),
      error_message: z.string().nullable(),
    }),
    refusals: [404, 409, 503],
    handle: ({ body }) => replicate(facts, body),
  });
  addRoute(routes, {
    method: "get",
    path: "/chunk/{id}/status",
    tag,
    summary: "Shows the copy of a chunk on this SDS",
    params: z.object({ id: z.string().regex(/^\d{1,16}$/, "must be a number").transform(Number).pipe(chunkId) }),
    answer: chunkStatusSchema,
    handle: ({ params }) => statusOf(facts, params.id),
  });
  addRoute(routes, {
    method: "post",
    path: "/chunks",
    tag,
    summary: "Shows the copies of many chunks on this SDS",
    body: chunkStatusCallSchema,
    answer: chunkStatusAnswerSchema,
    handle: ({ body }) => ({ chunks: body.chunk_ids.map((id) => statusOf(facts, id)) }),
  });
}

function assign(facts: ChunkFacts, call: z.output<typeof assignSchema>) {
  const { chunk_id, device_name } = call;
  const attempt = `Cannot assign chunk ${chunk_id}`;
  requireDevices(facts, attempt);
  const names = facts.devices().map(({ deviceId }) => facts.folderOf(deviceId).name);
  if (device_name !== undefined && !names.includes(device_name)) {
    throw new StorageError("not_found", `${attempt}: this SDS has no device ${device_name}`);
  }
  const place = requirePlace(facts, { ...call, attempt });
  const { name, path } = facts.folderOf(place.device.deviceId);
  if (device_name !== undefined && device_name !== name) {
    throw new StorageError("conflict", `${attempt} to device ${device_name}: the MDM placed its group on ${name}`);
  }
  const { chunk } = place;
  const status: "ASSIGNED" | "ALREADY_EXISTS" = chunk === undefined ? "ASSIGNED" : "ALREADY_EXISTS";
  return {
    chunk_id,
    local_file_path: `${path}/${DATA_FILE}`,
    status,
    device_name: name,
    local_offset_bytes: chunk === undefined ? null : chunk.slot * CHUNK_BYTES,
  };
}

function replicate(facts: ChunkFacts, call: z.output<typeof replicateSchema>) {
  const { chunk_id, source_sds_id } = call;
  const attempt = `Cannot replicate chunk ${chunk_id}`;
  requireDevices(facts, attempt);
  const { group, chunk } = requirePlace(facts, { ...call, attempt });
  const copiedBytes = chunk === undefined ? 0 : CHUNK_BYTES;
  if (group.joining === undefined) {
    return { chunk_id, success: true, bytes_copied: copiedBytes, error_message: null };
  }
  const source = group.config?.members[0]?.sdsId;
  if (source !== undefined && source !== source_sds_id) {
    throw new StorageError("conflict", `${attempt} from SDS ${source_sds_id}: its group is copied from SDS ${source}`);
  }
  facts.wake();
  const message = `Group ${group.pgId} is being copied; the chunk counts when all of the group is here`;
  return { chunk_id, success: false, bytes_copied: copiedBytes, error_message: message };
}

function statusOf(facts: ChunkFacts, chunkId: number): ChunkStatus {
  const place = placeOfChunk(facts.devices(), { chunkId });
  const chunk = place?.chunk;
  const volumeId = facts.volumeOfNode(chunkPlaceOf(chunkId).nodeId) ?? null;
  if (place === undefined || chunk === undefined) {
    const missing = { status: "MISSING" as const, size_bytes: 0, generation: null, checksum: null };
    return { chunk_id: chunkId, volume_id: volumeId, ...missing, ...lastWriteOf(undefined) };
  }
  return {
    chunk_id: chunkId,
    volume_id: volumeId,
    status: chunkStatus(place),
    size_bytes: CHUNK_BYTES,
    generation: place.group.epoch,
    checksum: crc32(chunk.page).toString(16).padStart(8, "0"),
    ...lastWriteOf(chunk),
  };
}

function lastWriteOf(chunk: Chunk | undefined) {
  if (chunk === undefined || chunk.writtenAtMs === 0) {
    return { last_write_offset_bytes: null, last_write_length_bytes: null, last_write_at: null };
  }
  return {
    last_write_offset_bytes: chunk.writtenOffsetBytes,
    last_write_length_bytes: chunk.writtenLengthBytes,
    last_write_at: new Date(chunk.writtenAtMs).toISOString(),
  };
}

/** State of the copy that a place holds. */
export function chunkStatus({ group, chunk }: ChunkPlace): ChunkStatus["status"] {
  if (group.joining !== undefined) return "REBUILDING";
  const members = group.config?.members.length ?? 0;
  const isUnverified = chunk !== undefined && (group.storage?.unverifiedCounts.get(chunk.region) ?? 0) > 0;
  return group.ownMember === undefined || members < 2 || isUnverified ? "DEGRADED" : "ACTIVE";
}

function requireDevices(facts: ChunkFacts, attempt: string): void {
  if (facts.devices().some(({ store }) => store.failed === undefined)) return;
  throw new StorageError("unavailable", `${attempt}: no device of this SDS is online`);
}

/** @throws {StorageError} `not_found` where it is not known, `conflict` where it is not planned or of another volume. */
function requirePlace(
  facts: ChunkFacts,
  call: { chunk_id: number; volume_id: VolumeId; pg_id?: PgId | undefined; attempt: string },
): ChunkPlace {
  const { chunk_id, volume_id, pg_id, attempt } = call;
  const known = facts.volumeOfNode(chunkPlaceOf(chunk_id).nodeId);
  if (known !== undefined && known !== volume_id) {
    throw new StorageError("conflict", `${attempt} for volume ${volume_id}: it is of volume ${known}`);
  }
  const place = placeOfChunk(facts.devices(), { chunkId: chunk_id, pgId: pg_id });
  if (place === undefined) {
    const hint = pg_id === undefined ? "; name its group in pg_id" : ` ${pg_id}`;
    throw new StorageError("not_found", `${attempt}: this SDS knows of no copy of its group${hint}`);
  }
  if (isPlannedHere(place.group)) return place;
  throw new StorageError("conflict", `${attempt}: the MDM has not planned a copy of group ${place.group.pgId} here`);
}
