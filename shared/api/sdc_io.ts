/**
 * Single reads and writes that the MDM asks an SDC to carry out, for `POST /vol/{id}/io/write` and `/read` of its API: the MDM
 * plans and signs, an SDC does the IO. The MDM calls `POST /control/io/write` and `POST /control/io/read` at the SDC's control
 * listener, signed with the SDC's node key as every call there is.
 *
 * The SDC serves the call through the same device as its NBD and JSON doors, so it has the same order, locks and retries, and
 * refuses with the codes of `shared/errors.ts`: `forbidden` when it does not have the volume mapped, `read_only`, `bad_request`
 * for a range that is not in the volume, `give_up` when it took longer than {@linkcode SDC_IO_MS_MAX}.
 *
 * @module
 */
import { z } from "zod";
import { idSchema } from "@/shared/api/pg.ts";
import { assert } from "@/shared/errors.ts";
import { HTTP_ANSWER_BYTES_MAX } from "@/shared/http_client.ts";
import type { VolumeId } from "@/shared/ids.ts";

/** Largest read or write of one call, in bytes: the limit of an IO plan. */
export const SDC_IO_BYTES_MAX = 16 * 1024 * 1024;

/** Largest body of a call, in bytes: the data as base64, and room for the other fields. */
export const SDC_IO_BODY_BYTES_MAX = Math.ceil(SDC_IO_BYTES_MAX / 3) * 4 + 1024;

assert(SDC_IO_BODY_BYTES_MAX <= HTTP_ANSWER_BYTES_MAX, "the MDM can read the answer to the largest read");

/** Longest time that the SDC works on a call, in ms; the MDM waits a little longer. */
export const SDC_IO_MS_MAX = 30_000;

const offset = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const length = z.number().int().min(1).max(SDC_IO_BYTES_MAX);

/** Standard base64 with padding, whole, of at least one byte and at most {@linkcode SDC_IO_BYTES_MAX}. */
export const ioDataSchema = z.base64().min(4).max(Math.ceil(SDC_IO_BYTES_MAX / 3) * 4);

export const sdcIoWriteCallSchema = z.object({
  volume_id: idSchema<VolumeId>(),
  offset_bytes: offset,
  data_b64: ioDataSchema,
});
export type SdcIoWriteCall = z.output<typeof sdcIoWriteCallSchema>;

export const sdcIoWriteAnswerSchema = z.object({
  bytes_written: length,
  /** Fewest copies that have any part of the data; what is not known counts as 0. */
  replicas_written: z.number().int().nonnegative(),
});
export type SdcIoWriteAnswer = z.output<typeof sdcIoWriteAnswerSchema>;

export const sdcIoReadCallSchema = z.object({
  volume_id: idSchema<VolumeId>(),
  offset_bytes: offset,
  length_bytes: length,
});
export type SdcIoReadCall = z.output<typeof sdcIoReadCallSchema>;

/** What was never written reads as zeros. */
export const sdcIoReadAnswerSchema = z.object({ data_b64: ioDataSchema, bytes_read: length });
export type SdcIoReadAnswer = z.output<typeof sdcIoReadAnswerSchema>;
