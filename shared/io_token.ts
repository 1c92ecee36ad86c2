/**
 * Single-use tokens (replication design, section 6.2): permission for one read or write of one range of one volume. A token is
 * the JSON object that `POST /io/authorize` answers; a client hands it on as it is.
 *
 * | field | meaning |
 * | --- | --- |
 * | kind | `single_use` |
 * | token_id, key_id | UUID v4; which token key signed it |
 * | volume_id, vtree_id, node_id | the volume, and the layer that is read or written |
 * | sdc_id, mapping_generation | for whom; void once the mapping has a newer generation |
 * | operation | `read` or `write` |
 * | offset_bytes, length_bytes | the range of the volume |
 * | issued_at_ms, expires_at_ms | MDM time |
 * | io_plan.segments[] | chunk, range within it, group, epoch, and the device starts that serve it |
 * | signature | HMAC-SHA256 over everything else, also over fields that are not listed here: 64 hexadecimal digits |
 *
 * The signature covers `single_use|` and the object without `signature`, as JSON with sorted keys and no white space, so it
 * survives being parsed and printed by any JSON library. Numbers are integers.
 *
 * @module
 */
import { z } from "zod";
import { hmacHex, idSchema, incarnationSchema } from "@/shared/api/pg.ts";
import type { TokenKey } from "@/shared/api/sds.ts";
import { equalText } from "@/shared/auth.ts";
import { CHUNK_BYTES, CHUNKS_PER_VOLUME_MAX } from "@/shared/constants.ts";
import { assert, type ErrorCode } from "@/shared/errors.ts";
import {
  asId,
  type DeviceId,
  type Epoch,
  type NodeId,
  type PgId,
  type SdcId,
  type SdsId,
  type VolumeId,
  type VtreeId,
} from "@/shared/ids.ts";

/** Largest range of one plan or token, in bytes. */
export const IO_PLAN_BYTES_MAX = 16 * 1024 * 1024;
/** Segments of a plan: one per chunk that the range touches. */
export const IO_PLAN_SEGMENTS_MAX = IO_PLAN_BYTES_MAX / CHUNK_BYTES + 1;
/** Longest signed text of a token that is looked at, in characters. */
export const IO_TOKEN_TEXT_MAX = 64 * 1024;
/** Objects within objects that a token may have. */
const DEPTH_MAX = 8;

const count = z.number().int().nonnegative();

export const ioTargetSchema = z.object({
  sds_id: idSchema<SdsId>(),
  device_id: idSchema<DeviceId>(),
  incarnation: incarnationSchema,
});
export const ioSegmentSchema = z.object({
  /** {@linkcode chunkIdOf} of node and index. */
  chunk_id: count,
  chunk_index: count.max(CHUNKS_PER_VOLUME_MAX - 1),
  pg_id: idSchema<PgId>(),
  epoch: idSchema<Epoch>(),
  /** Within the chunk. */
  segment_offset_bytes: count.max(CHUNK_BYTES - 1),
  segment_length_bytes: count.min(1).max(CHUNK_BYTES),
  targets: z.array(ioTargetSchema).min(1).max(8),
});
export type IoSegment = Readonly<z.output<typeof ioSegmentSchema>>;

/** What an SDS relies on. Further fields are allowed; the signature covers them too. */
export const singleUseTokenSchema = z.object({
  kind: z.literal("single_use"),
  token_id: z.string().uuid(),
  key_id: count,
  volume_id: idSchema<VolumeId>(),
  vtree_id: idSchema<VtreeId>(),
  node_id: idSchema<NodeId>(),
  sdc_id: idSchema<SdcId>(),
  mapping_generation: count,
  operation: z.enum(["read", "write"]),
  offset_bytes: count,
  length_bytes: count.min(1).max(IO_PLAN_BYTES_MAX),
  issued_at_ms: count,
  expires_at_ms: count,
  io_plan: z.object({ segments: z.array(ioSegmentSchema).min(1).max(IO_PLAN_SEGMENTS_MAX) }),
  signature: z.string(),
});
export type SingleUseToken = Readonly<z.output<typeof singleUseTokenSchema>>;
export type IoOperation = SingleUseToken["operation"];

/** Number of a chunk in the cluster: the layer and the chunk's index in it. */
export function chunkIdOf(nodeId: NodeId, chunkIndex: number): number {
  return nodeId * CHUNKS_PER_VOLUME_MAX + chunkIndex;
}

/** Layer and index of a chunk that {@linkcode chunkIdOf} gave a number. */
export function chunkPlaceOf(chunkId: number): { readonly nodeId: NodeId; readonly chunkIndex: number } {
  const chunkIndex = chunkId % CHUNKS_PER_VOLUME_MAX;
  return { nodeId: asId((chunkId - chunkIndex) / CHUNKS_PER_VOLUME_MAX), chunkIndex };
}

/**
 * `value` as JSON with sorted keys and no white space; undefined if it is nested deeper than a token ever is. Keys sort by
 * UTF-16 code units.
 */
export function canonicalJson(value: unknown, depth = 0): string | undefined {
  if (depth > DEPTH_MAX) return undefined;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const isArray = Array.isArray(value);
  const parts: string[] = [];
  for (const [key, item] of Object.entries(value).sort(isArray ? () => 0 : byKey)) {
    if (item === undefined) continue;
    const text = canonicalJson(item, depth + 1);
    if (text === undefined) return undefined;
    parts.push(isArray ? text : `${JSON.stringify(key)}:${text}`);
  }
  return isArray ? `[${parts.join()}]` : `{${parts.join()}}`;
}

function byKey([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The signature of a token without one. */
export function ioTokenSignature(token: Readonly<Record<string, unknown>>, key: TokenKey): string {
  const text = signedText(token);
  assert(text !== undefined, "a token that is issued is of bounded size");
  return hmacHex(key.keyHex, text);
}

function signedText(token: Readonly<Record<string, unknown>>): string | undefined {
  const { signature: _, ...rest } = token;
  const text = canonicalJson(rest);
  return text === undefined || text.length > IO_TOKEN_TEXT_MAX ? undefined : `single_use|${text}`;
}

/** The token, or why it is none. Says nothing of time, use, target or revocation: the caller checks those. */
export type OpenedIoToken =
  | { readonly kind: "ok"; readonly token: SingleUseToken }
  | { readonly kind: "refused"; readonly code: ErrorCode; readonly reason: string };

/** Checks form and signature of a parsed token against the keys that are valid now. */
export function openIoToken(value: unknown, keys: ReadonlyMap<number, TokenKey>): OpenedIoToken {
  const parsed = singleUseTokenSchema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    return { kind: "refused", code: "token_malformed", reason: `token.${issue.path.join(".")}: ${issue.message}` };
  }
  // The schema accepted it: it is an object.
  const text = signedText(value as Record<string, unknown>);
  if (text === undefined) {
    return {
      kind: "refused",
      code: "token_malformed",
      reason: `the token has more than ${IO_TOKEN_TEXT_MAX} characters or is nested deeper than ${DEPTH_MAX}`,
    };
  }
  const key = keys.get(parsed.data.key_id);
  if (!key) return { kind: "refused", code: "token_signature", reason: `no key ${parsed.data.key_id} is valid` };
  if (!equalText(hmacHex(key.keyHex, text), parsed.data.signature)) {
    return { kind: "refused", code: "token_signature", reason: "the token's signature does not match" };
  }
  return { kind: "ok", token: parsed.data };
}
