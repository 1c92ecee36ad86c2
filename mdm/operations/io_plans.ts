/**
 * Plans of single reads and writes: which chunks a range touches, and which SDS serves each. The MDM plans and signs, it never
 * touches volume data.
 *
 * A segment has one target, the primary of its group: it forwards a write to every copy and answers when all that count have it,
 * so one acknowledgement stands for all.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { MdmContext } from "@/mdm/context.ts";
import { requireSdc } from "@/mdm/operations/sdc.ts";
import { requireVolume } from "@/mdm/operations/volumes.ts";
import type { PgRecord } from "@/mdm/core/placement_groups.ts";
import { deviceById } from "@/mdm/store/devices.ts";
import { mappingOf, type MappingRow } from "@/mdm/store/mappings.ts";
import { freshPgCount, pgsOfPool } from "@/mdm/store/pgs.ts";
import type { SdcRow } from "@/mdm/store/sdc.ts";
import { sdsById, type SdsRow } from "@/mdm/store/sds.ts";
import type { VolumeRow } from "@/mdm/store/volumes.ts";
import type { IoPlanDocument } from "@/shared/api/io_plan.ts";
import { CHUNK_BYTES } from "@/shared/constants.ts";
import { assert, StorageError } from "@/shared/errors.ts";
import { sameIncarnation, type SdcId, type VolumeId } from "@/shared/ids.ts";
import { canonicalJson, chunkIdOf, IO_PLAN_BYTES_MAX, type IoOperation } from "@/shared/io_token.ts";
import { baseOf, pgIndexOf } from "@/shared/placement.ts";

/** How long a client may keep a plan. */
const PLAN_CACHE_HINT = "until_io_error_or_mapping_change";

/** What is to be read or written, by whom. */
export interface IoRequest {
  readonly volumeId: VolumeId;
  readonly sdcId: SdcId;
  readonly operation: IoOperation;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** A plan as the API answers it, and what a token needs beside it. */
export interface IoPlan {
  readonly volume: VolumeRow;
  readonly mapping: MappingRow;
  readonly json: IoPlanDocument;
}

/**
 * The plan of one read or write.
 *
 * @throws {StorageError} `not_found` for volume or SDC, `forbidden` when it is not mapped, `read_only` for a write of a read-only
 * mapping, `rule_broken` for a range that is not in the volume, `not_ready` while groups are made, `unavailable` while an SDS
 * that serves a part of it is away.
 */
export function planIo(context: MdmContext, request: IoRequest): IoPlan {
  const { operation, offsetBytes, lengthBytes } = request;
  const { volume, sdc, mapping } = requireIoAllowed(context, request);
  const attempt = `Cannot plan the ${operation} of volume ${volume.name}`;
  const freshCount = freshPgCount(context.db, volume.poolId);
  if (freshCount > 0) {
    throw new StorageError("not_ready", `${attempt}: ${freshCount} groups of its pool are being made`);
  }
  const pgs = pgsOfPool(context.db, volume.poolId);
  const segments = chunksOf(request).map((range) => segmentOf(context, { volume, pgs, range, attempt }));
  const endpoints = new Map(segments.map(({ sds }) => [sds.sdsId, { host: sds.address, port: sds.dataPort }]));
  const plan = {
    authorized: true as const,
    operation,
    volume_id: volume.volumeId,
    volume_name: volume.name,
    sdc_id: sdc.sdcId,
    offset_bytes: offsetBytes,
    length_bytes: lengthBytes,
    io_mode: "network" as const,
    plan_cache_hint: PLAN_CACHE_HINT,
    target_sds_endpoints: [...endpoints.values()],
    segments: segments.map(({ json }) => json),
    ...(operation === "read" ? { read_policy: "first_healthy" as const } : {
      write_policy: "all" as const,
      required_acks_by_segment: segments.map(({ json }) => ({ chunk_id: json.chunk_id, required_acks: 1 })),
    }),
  };
  return { volume, mapping, json: { ...plan, plan_generation: planGeneration(plan) } };
}

/** SHA-256 over the plan's canonical JSON, without this field: it changes whenever anything of the plan does. */
function planGeneration(plan: Readonly<Record<string, unknown>>): string {
  const text = canonicalJson(plan);
  assert(text !== undefined, "a plan is nested less deep than a token may be");
  return createHash("sha256").update(text).digest("hex");
}

/** What one read or write concerns, when the SDC may do it. @throws {StorageError} as {@linkcode planIo}. */
export function requireIoAllowed(
  context: MdmContext,
  request: IoRequest,
): { volume: VolumeRow; sdc: SdcRow; mapping: MappingRow } {
  const { operation } = request;
  const volume = requireVolume(context, request.volumeId);
  const sdc = requireSdc(context, request.sdcId);
  const attempt = `Cannot plan the ${operation} of volume ${volume.name}`;
  const mapping = mappingOf(context.db, request);
  if (mapping === undefined) throw new StorageError("forbidden", `${attempt}: it is not mapped to ${sdc.name}`);
  if (operation === "write" && mapping.accessMode === "readOnly") {
    throw new StorageError("read_only", `${attempt}: it is mapped to ${sdc.name} read-only`);
  }
  requireRange(request, { volume, attempt });
  return { volume, sdc, mapping };
}

function requireRange(request: IoRequest, options: { volume: VolumeRow; attempt: string }): void {
  const { offsetBytes, lengthBytes } = request;
  const { volume, attempt } = options;
  if (lengthBytes > IO_PLAN_BYTES_MAX) {
    throw new StorageError("rule_broken", `${attempt}: ${lengthBytes} bytes are more than ${IO_PLAN_BYTES_MAX}`);
  }
  if (offsetBytes + lengthBytes > volume.sizeBytes) {
    throw new StorageError(
      "rule_broken",
      `${attempt}: ${lengthBytes} bytes at ${offsetBytes} end beyond its ${volume.sizeBytes} bytes`,
    );
  }
}

interface ChunkRange {
  readonly chunkIndex: number;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

function chunksOf({ offsetBytes, lengthBytes }: IoRequest): ChunkRange[] {
  const ranges: ChunkRange[] = [];
  const endBytes = offsetBytes + lengthBytes;
  for (let at = offsetBytes; at < endBytes;) {
    const chunkIndex = Math.floor(at / CHUNK_BYTES);
    const next = Math.min(endBytes, (chunkIndex + 1) * CHUNK_BYTES);
    ranges.push({ chunkIndex, offsetBytes: at - chunkIndex * CHUNK_BYTES, lengthBytes: next - at });
    at = next;
  }
  return ranges;
}

function segmentOf(
  context: MdmContext,
  options: { volume: VolumeRow; pgs: readonly PgRecord[]; range: ChunkRange; attempt: string },
) {
  const { volume, pgs, range, attempt } = options;
  const pg = pgs[pgIndexOf(baseOf(volume.vtreeId), range.chunkIndex, pgs.length)]!;
  const sds = servingSds(context, pg);
  if (sds === undefined) {
    throw new StorageError("unavailable", `${attempt}: no active SDS serves chunk ${range.chunkIndex}`);
  }
  const primary = pg.members[0]!;
  return {
    sds,
    json: {
      chunk_id: chunkIdOf(volume.nodeId, range.chunkIndex),
      chunk_index: range.chunkIndex,
      chunk_generation: pg.epoch,
      chunk_checksum: null,
      pg_id: pg.pgId,
      epoch: pg.epoch,
      copies: pg.members.length,
      segment_offset_bytes: range.offsetBytes,
      segment_length_bytes: range.lengthBytes,
      targets: [{
        sds_id: sds.sdsId,
        host: sds.address,
        port: sds.dataPort,
        plane: "data" as const,
        target_offset_bytes: range.offsetBytes,
        device_id: primary.deviceId,
        incarnation: primary.incarnation,
      }],
    },
  };
}

/** The primary's SDS, if its listed start is the present one and was heard lately. */
function servingSds(context: MdmContext, pg: PgRecord): SdsRow | undefined {
  const primary = pg.members[0];
  if (primary === undefined || context.live.refusedPgs.has(pg.pgId)) return undefined;
  const device = deviceById(context.db, primary.deviceId);
  if (device?.state !== "active" || device.start === undefined) return undefined;
  if (!sameIncarnation(device.start.incarnation, primary.incarnation)) return undefined;
  const nowMs = context.clock.monotonicMs();
  const silentMs = context.live.silentMs(primary.deviceId, { incarnation: primary.incarnation, nowMs });
  if (silentMs >= context.options.times.staleAfterMs) return undefined;
  const sds = sdsById(context.db, device.sdsId);
  return sds?.dataPort === null ? undefined : sds;
}
