/**
 * Fields that several requests of the operator's API share.
 *
 * @module
 */
import { z } from "zod";
import { bytesOfGib } from "@/mdm/core/capacity.ts";
import { BLOCK_BYTES } from "@/shared/constants.ts";
import type { FaultSetId, PoolId, ProtectionDomainId, SdcId, SdsId, VolumeId } from "@/shared/ids.ts";

/** A number, or text that writes one plainly, as queries and paths do. `true`, `[1]` and "" are none. */
function numberField(pattern: RegExp) {
  return z.union([z.number(), z.string().trim().regex(pattern).transform(Number)], {
    error: (issue) => issue.input === undefined ? "is required" : "must be a number",
  });
}

/** An id in a body, a query or a path: text of digits is taken too. */
export function idField<Id extends number>() {
  return numberField(/^\d{1,16}$/).pipe(z.int().positive()).transform((value) => value as Id)
    .meta({ type: "integer", minimum: 1 });
}

export const domainIdField = idField<ProtectionDomainId>();
export const faultSetIdField = idField<FaultSetId>();
export const poolIdField = idField<PoolId>();
export const sdsIdField = idField<SdsId>();
export const sdcIdField = idField<SdcId>();
export const volumeIdField = idField<VolumeId>();

/** A name for people: printable, without line ends, not blank. */
export const nameField = z.string().trim().min(1).max(128).regex(/^[^\p{C}]+$/u, "must be printable");

/** Largest size that is accepted, in GiB: 1 EiB. */
const GIB_MAX = 2 ** 30;

/** A size in GiB, fractions allowed, as bytes rounded up to blocks. */
export const sizeGbField = numberField(/^\d{1,10}(?:\.\d{1,20})?$/).pipe(z.number().positive().max(GIB_MAX))
  .transform(bytesOfGib).meta({ type: "number", exclusiveMinimum: 0, description: "In GiB; fractions are allowed" });

/** A size in bytes, rounded up to blocks. */
export const bytesField = z.number().int().positive().max(GIB_MAX * 2 ** 20)
  .transform((bytes) => Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES);

/** A TCP port, or none. */
export const portField = z.number().int().min(1).max(65_535).nullish().transform((value) => value ?? null);

/** A kind of process, in any case. */
export const componentTypeField = z.string().toUpperCase().pipe(z.enum(["MDM", "SDS", "SDC", "MGMT"]))
  .meta({ type: "string", enum: ["MDM", "SDS", "SDC", "MGMT"] });

/** Where a time is a text, it is ISO 8601 in UTC. */
export const timeShape = z.string().meta({ format: "date-time" });

/** What a creation answers. */
export const namedShape = z.object({ id: z.int(), name: z.string() });

/** `status` of an answer that says no more than that it was done. */
export function statusShape<Word extends string>(word: Word) {
  return z.object({ status: z.literal(word) });
}
