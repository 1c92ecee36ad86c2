/**
 * Configurations of placement groups as they travel between MDM, SDSs and SDCs, their signature, and the requests that
 * change them (replication design, sections 2.3 and 3.2).
 *
 * @module
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import type { DeviceId, Epoch, PgId, PoolId, SdsId } from "@/shared/ids.ts";

/** A positive integer branded as an id. */
export function idSchema<Id extends number>() {
  return z.number().int().positive().transform((value) => value as Id);
}

export const incarnationSchema = z.object({
  counter: z.number().int().nonnegative(),
  random: z.string().regex(/^[0-9a-f]{16}$/),
});

export const pgMemberSchema = z.object({
  deviceId: idSchema<DeviceId>(),
  sdsId: idSchema<SdsId>(),
  incarnation: incarnationSchema,
  bootId: z.string(),
});
/** A device that holds a current copy, under the start of its process that the MDM listed. */
export type PgMember = Readonly<z.output<typeof pgMemberSchema>>;

export const pgConfigSchema = z.object({
  pgId: idSchema<PgId>(),
  poolId: idSchema<PoolId>(),
  /** Index within the pool, from 0. */
  pgIndex: z.number().int().nonnegative(),
  /** Groups of the pool: a power of two. */
  pgCount: z.number().int().positive(),
  epoch: idSchema<Epoch>(),
  mdmTerm: z.number().int().positive(),
  /** members[0] is the primary. */
  members: z.array(pgMemberSchema).min(1).max(8),
  /** Raised by each activation that may have lost unflushed writes. */
  lossGeneration: z.number().int().nonnegative(),
  /** Members without a row may start empty. */
  fresh: z.boolean(),
  /** `durability: "sync"` of the pool: every write is treated as FUA. */
  syncWrites: z.boolean(),
  signature: z.string().regex(/^[0-9a-f]{64}$/),
});
/** Who serves a placement group. */
export type PgConfig = Readonly<z.output<typeof pgConfigSchema>>;

/** What the signature covers, as one line of text: all fields but the signature, in the order of the schema. */
function signedText(config: Omit<PgConfig, "signature">): string {
  const members = config.members.map((member) =>
    `${member.deviceId},${member.sdsId},${member.incarnation.counter},${member.incarnation.random},${member.bootId}`
  );
  return [
    "pg",
    config.pgId,
    config.poolId,
    config.pgIndex,
    config.pgCount,
    config.epoch,
    config.mdmTerm,
    members.join(";"),
    config.lossGeneration,
    config.fresh,
    config.syncWrites,
  ].join("|");
}

/** `config` with the signature that the MDM's config key gives it: 64 hexadecimal digits of HMAC-SHA256. */
export function signPgConfig(config: Omit<PgConfig, "signature">, configKeyHex: string): PgConfig {
  return { ...config, signature: hmacHex(configKeyHex, signedText(config)) };
}

/** True if the MDM that holds the config key made `config`. */
export function pgConfigIsSigned(config: PgConfig, configKeyHex: string): boolean {
  return timingSafeEqual(Buffer.from(hmacHex(configKeyHex, signedText(config))), Buffer.from(config.signature));
}

/** HMAC-SHA256 of `text` under a key in hexadecimal, as 64 lower-case hexadecimal digits. */
export function hmacHex(keyHex: string, text: string): string {
  return createHmac("sha256", Buffer.from(keyHex, "hex")).update(text).digest("hex");
}

const changeBase = { pgId: idSchema<PgId>(), epoch: idSchema<Epoch>() };
export const pgChangeSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("remove_secondary"), ...changeBase, deviceId: idSchema<DeviceId>() }),
  z.object({ kind: z.literal("take_over"), ...changeBase }),
  z.object({
    kind: z.literal("add_member"),
    ...changeBase,
    joiner: z.object({ deviceId: idSchema<DeviceId>(), incarnation: incarnationSchema }),
  }),
  /** `drained`: nothing of the asker's is under way, the members hold the same. `deviceId` is the next primary. */
  z.object({
    kind: z.literal("hand_over"),
    ...changeBase,
    deviceId: idSchema<DeviceId>(),
    drained: z.boolean(),
  }),
  z.object({ kind: z.literal("bump"), ...changeBase }),
]);
/** A change that a member asks the MDM for, under the epoch it knows. */
export type PgChange = z.output<typeof pgChangeSchema>;

/** `POST /internal/v1/pg/change`: one asker, many groups, one transaction. */
export const pgChangeCallSchema = z.object({
  asker: z.object({ deviceId: idSchema<DeviceId>(), incarnation: incarnationSchema }),
  changes: z.array(pgChangeSchema).min(1).max(4096),
});
export type PgChangeCall = z.output<typeof pgChangeCallSchema>;

export const pgChangeResultSchema = z.object({
  pgId: idSchema<PgId>(),
  /** `not_yet`: nothing changed, ask again (3.8 step 6). `refused`: the guard failed. */
  outcome: z.enum(["changed", "refused", "not_yet"]),
  reason: z.string(),
  /** The newest in every case; null for a group that the MDM does not know. */
  config: pgConfigSchema.nullable(),
});
export type PgChangeResult = z.output<typeof pgChangeResultSchema>;
export const pgChangeAnswerSchema = z.object({
  mdmTerm: z.number().int().positive(),
  results: z.array(pgChangeResultSchema),
});
export type PgChangeAnswer = z.output<typeof pgChangeAnswerSchema>;
