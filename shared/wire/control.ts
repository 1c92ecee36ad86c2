/**
 * Control messages of the data path: JSON headers without a compact form. Opening a connection:
 *
 * ```text
 * client                                                   server
 *   hello { version, role, nonce, who it is }       ──►
 *                                                   ◄──    challenge { sdsId, nonce, proof }
 *   proof { proof }                                 ──►
 *                                                   ◄──    welcome { compact, limits }      or refused { code, message }
 * ```
 *
 * Both sides prove that they hold the key of the role (`shared/auth.ts`); nothing else is accepted before. Afterwards:
 *
 * | role | client | messages |
 * | --- | --- | --- |
 * | sdc | SDC | open_volume, renew_token, close_volume, get_configs, extents; read, write, trim, write_zeroes, flush |
 * | link | primary's device | link_hello, open_pgs, close_pgs, release_pgs, sync, clear_intents, verify_blocks, fetch_block, mend_block, join_*; replicate*, join_copy |
 * | pulse | primary's device | none: pulse frames |
 *
 * Every request has a `requestId`; answers repeat it and come in any order. `refused` answers any of them.
 *
 * @module
 */
import { z } from "zod";
import { idSchema, incarnationSchema, pgConfigSchema } from "@/shared/api/pg.ts";
import type { DeviceId, Epoch, NodeId, PgId, SdcId, SdcSession, SdsId, VtreeId } from "@/shared/ids.ts";

const count = z.number().int().nonnegative();
const requestId = z.number().int().nonnegative().max(0xffff_ffff);
const hex64 = z.string().regex(/^[0-9a-f]{64}$/);
const nonce = z.string().regex(/^[0-9a-f]{32}$/);
/** 128 bytes: one bit per region, region 0 is the lowest bit of the first byte. */
const bitmapHex = z.string().regex(/^[0-9a-f]{256}$/);

const sdcClientSchema = z.object({
  sdcId: idSchema<SdcId>(),
  sdcSession: idSchema<SdcSession>(),
  /** Raised at each reconnect of this session to this SDS (3.6). */
  lane: count,
});
export type SdcClient = z.output<typeof sdcClientSchema>;

const linkClientSchema = z.object({
  fromSdsId: idSchema<SdsId>(),
  fromDeviceId: idSchema<DeviceId>(),
  fromIncarnation: incarnationSchema,
  toDeviceId: idSchema<DeviceId>(),
});
/** A replication link or its pulse: from one device as primary to another as member or joiner. */
export type LinkClient = z.output<typeof linkClientSchema>;

const helloBase = { kind: z.literal("hello"), version: z.number().int(), compact: z.boolean(), clientNonceHex: nonce };
export const helloSchema = z.discriminatedUnion("role", [
  z.object({ ...helloBase, role: z.literal("sdc"), client: sdcClientSchema }),
  z.object({ ...helloBase, role: z.literal("link"), client: linkClientSchema }),
  z.object({ ...helloBase, role: z.literal("pulse"), client: linkClientSchema }),
]);
export type Hello = z.output<typeof helloSchema>;
/** Role of a connection with who is at its other end. */
export type HelloIdentity =
  | { readonly role: "sdc"; readonly client: SdcClient }
  | { readonly role: "link" | "pulse"; readonly client: LinkClient };

/** The client's identity as one line, for the proofs. */
export function identityText(identity: HelloIdentity): string {
  if (identity.role === "sdc") {
    const { sdcId, sdcSession, lane } = identity.client;
    return `${sdcId}|${sdcSession}|${lane}`;
  }
  const { fromSdsId, fromDeviceId, fromIncarnation, toDeviceId } = identity.client;
  return `${fromSdsId}|${fromDeviceId}|${fromIncarnation.counter}|${fromIncarnation.random}|${toDeviceId}`;
}

export const challengeSchema = z.object({
  kind: z.literal("challenge"),
  version: z.number().int(),
  serverSdsId: idSchema<SdsId>(),
  serverNonceHex: nonce,
  proofHex: hex64,
});
export const proofSchema = z.object({ kind: z.literal("proof"), proofHex: hex64 });
export const welcomeSchema = z.object({
  kind: z.literal("welcome"),
  /** Both sides use the compact form for what has one. */
  compact: z.boolean(),
  queueDepth: z.number().int().positive(),
  fragmentBytesMax: z.number().int().positive(),
});
export const refusedSchema = z.object({
  kind: z.literal("refused"),
  /** 0 while the connection is being opened. */
  requestId,
  code: z.string(),
  message: z.string(),
});
export type Refused = z.output<typeof refusedSchema>;

/** Requests of an SDC session. */
export const sessionRequestSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("open_volume"), requestId, token: z.string() }),
  z.object({ kind: z.literal("renew_token"), requestId, handle: requestId, token: z.string() }),
  z.object({ kind: z.literal("close_volume"), requestId, handle: requestId }),
  z.object({ kind: z.literal("get_configs"), requestId, pgIds: z.array(idSchema<PgId>()).max(4096) }),
  z.object({
    kind: z.literal("extents"),
    requestId,
    handle: requestId,
    pgId: idSchema<PgId>(),
    epoch: idSchema<Epoch>(),
    nodeId: idSchema<NodeId>(),
    chunkIndex: count,
  }),
]);
export type SessionRequest = z.output<typeof sessionRequestSchema>;

/** Answers to an SDC session. */
export const sessionAnswerSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("volume_opened"), requestId, handle: requestId }),
  z.object({ kind: z.literal("done"), requestId }),
  z.object({ kind: z.literal("configs"), requestId, configs: z.array(pgConfigSchema) }),
  /** Which of the chunk's 256 blocks were ever written: 64 hexadecimal digits, block 0 is the lowest bit of the first byte. */
  z.object({ kind: z.literal("extents_answer"), requestId, writtenHex: hex64 }),
  refusedSchema,
]);
export type SessionAnswer = z.output<typeof sessionAnswerSchema>;

const pgEpoch = z.object({ pgId: idSchema<PgId>(), epoch: idSchema<Epoch>() });
export type PgEpoch = z.output<typeof pgEpoch>;
const joinBase = { requestId, pgId: idSchema<PgId>(), epoch: idSchema<Epoch>(), joinSession: count };
const chunkName = z.object({ vtreeId: idSchema<VtreeId>(), nodeId: idSchema<NodeId>(), chunkIndex: count });
export type ChunkName = z.output<typeof chunkName>;
const repairBase = { requestId, pgId: idSchema<PgId>(), epoch: idSchema<Epoch>(), chunk: chunkName };
const blockIndex = count.max(255);
const blockHex = z.string().regex(/^[0-9a-f]{8192}$/);

/** Requests on a replication link (3.3, 3.8, 4.2, 5.4). */
export const linkRequestSchema = z.discriminatedUnion("kind", [
  /** First on each connection: the member drains every older session of the pair before it answers (I10). */
  z.object({ kind: z.literal("link_hello"), requestId, linkSession: count, toIncarnation: incarnationSchema }),
  z.object({ kind: z.literal("open_pgs"), requestId, configs: z.array(pgConfigSchema).max(4096) }),
  z.object({ kind: z.literal("close_pgs"), requestId, pgs: z.array(pgEpoch).max(4096) }),
  /** The primary has stopped serving these groups under these epochs for ever: a secondary may take over at once. */
  z.object({ kind: z.literal("release_pgs"), requestId, pgs: z.array(pgEpoch).max(4096) }),
  z.object({ kind: z.literal("sync"), requestId, pgs: z.array(pgEpoch).max(4096) }),
  z.object({
    kind: z.literal("clear_intents"),
    requestId,
    pgId: idSchema<PgId>(),
    epoch: idSchema<Epoch>(),
    /** Region and the number of the last write the primary knows of in it. */
    regions: z.array(z.tuple([count.max(1023), count])).max(1024),
  }),
  /** Repair (5.6): the member reads blocks `first` up to `end`, verifies them, and tells what it has. */
  z.object({ kind: z.literal("verify_blocks"), ...repairBase, first: blockIndex, end: count.min(1).max(256) }),
  z.object({ kind: z.literal("fetch_block"), ...repairBase, block: blockIndex }),
  /** Checksum 0: never written; without data: no copy is good, the block is damaged until it is written. */
  z.object({
    kind: z.literal("mend_block"),
    ...repairBase,
    block: blockIndex,
    crc: count.max(0xffff_ffff),
    dataHex: blockHex.nullable(),
  }),
  /** After the pieces of a chunk: blocks of it of which the source has no good copy. */
  z.object({
    kind: z.literal("join_damaged"),
    ...joinBase,
    chunk: chunkName,
    blocks: z.array(blockIndex).min(1).max(256),
  }),
  z.object({ kind: z.literal("join_begin"), ...joinBase, config: pgConfigSchema, mode: z.enum(["delta", "full"]) }),
  z.object({
    kind: z.literal("join_region"),
    ...joinBase,
    region: count.max(1023),
    chunks: z.array(chunkName).max(65536),
  }),
  z.object({ kind: z.literal("join_sync"), ...joinBase }),
  z.object({ kind: z.literal("join_final"), ...joinBase, resyncHex: bitmapHex, keysHash: z.string() }),
  z.object({ kind: z.literal("join_abort"), ...joinBase }),
]);
export type LinkRequest = z.output<typeof linkRequestSchema>;

/** Answers on a replication link. */
export const linkAnswerSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("done"), requestId }),
  /** Per group of open_pgs or sync: ok, or why not, with the member's newer configuration if it has one. */
  z.object({
    kind: z.literal("pg_results"),
    requestId,
    results: z.array(z.object({
      pgId: idSchema<PgId>(),
      ok: z.boolean(),
      reason: z.string(),
      config: pgConfigSchema.nullable(),
    })),
  }),
  z.object({ kind: z.literal("join_begun"), requestId, resyncHex: bitmapHex }),
  z.object({ kind: z.literal("cleared"), requestId }),
  /** One big-endian u32 per block, 0 also for those in `bad`. */
  z.object({
    kind: z.literal("blocks_verified"),
    requestId,
    crcsHex: z.string().regex(/^([0-9a-f]{8}){1,256}$/),
    bad: z.array(blockIndex).max(256),
  }),
  z.object({ kind: z.literal("block_fetched"), requestId, crc: count.max(0xffff_ffff), dataHex: blockHex }),
  refusedSchema,
]);
export type LinkAnswer = z.output<typeof linkAnswerSchema>;
