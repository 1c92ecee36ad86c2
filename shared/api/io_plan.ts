/**
 * Plans of single reads and writes, and the tokens that carry them, as the MDM's API tells them.
 *
 * @module
 */
import { z } from "zod";
import { incarnationSchema } from "@/shared/api/pg.ts";

const targetSchema = z.object({
  sds_id: z.int(),
  host: z.string(),
  port: z.int().nullable(),
  plane: z.literal("data"),
  target_offset_bytes: z.int(),
  device_id: z.int(),
  incarnation: incarnationSchema,
});
/** Which SDSs a read or write goes to, chunk by chunk. */
export const ioPlanSchema = z.object({
  authorized: z.literal(true),
  operation: z.enum(["read", "write"]),
  volume_id: z.int(),
  volume_name: z.string(),
  sdc_id: z.int(),
  offset_bytes: z.int(),
  length_bytes: z.int(),
  io_mode: z.literal("network"),
  plan_cache_hint: z.string(),
  plan_generation: z.string(),
  target_sds_endpoints: z.array(z.object({ host: z.string(), port: z.int().nullable() })),
  segments: z.array(z.object({
    chunk_id: z.int(),
    chunk_index: z.int(),
    chunk_generation: z.int(),
    /** The SDS knows it, and checks it with every read. */
    chunk_checksum: z.string().nullable(),
    pg_id: z.int(),
    epoch: z.int(),
    copies: z.int(),
    segment_offset_bytes: z.int(),
    segment_length_bytes: z.int(),
    targets: z.array(targetSchema),
  })),
  read_policy: z.literal("first_healthy").optional(),
  write_policy: z.literal("all").optional(),
  required_acks_by_segment: z.array(z.object({ chunk_id: z.int(), required_acks: z.int() })).optional(),
}).meta({ id: "IoPlan" });
export type IoPlanDocument = Readonly<z.output<typeof ioPlanSchema>>;

const isoTime = z.string().meta({ format: "date-time" });
/** Fields of a token in every answer. */
export const ioTokenFields = {
  token_id: z.string(),
  volume_id: z.int(),
  sdc_id: z.int(),
  operation: z.enum(["read", "write"]),
  offset_bytes: z.int(),
  length_bytes: z.int(),
  issued_at: isoTime,
  expires_at: isoTime,
  signature: z.string(),
  io_plan: ioPlanSchema,
};
/** A token as it is issued: also what an SDS takes. The rest is what an SDS checks: it is covered by the signature and passed on as it is. */
export const issuedTokenSchema = z.looseObject({ ...ioTokenFields, status: z.literal("ISSUED") }).meta({
  id: "IssuedToken",
});
export type IssuedToken = Readonly<z.output<typeof issuedTokenSchema>>;
