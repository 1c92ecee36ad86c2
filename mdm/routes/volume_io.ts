/**
 * `/vol/{id}/io/write` and `/read`: single reads and writes that an SDC carries out for the caller.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "zod";
import type { MdmContext } from "@/mdm/context.ts";
import { readThroughSdc, writeThroughSdc } from "@/mdm/operations/sdc_io.ts";
import { sdcIdField, volumeIdField } from "@/mdm/routes/fields.ts";
import { ioDataSchema, SDC_IO_BYTES_MAX } from "@/shared/api/sdc_io.ts";
import { addRoute } from "@/shared/http/api.ts";

const tag = "Volume IO";
const offsetField = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const idParams = z.object({ id: volumeIdField });
const writeSchema = z.object({ sdc_id: sdcIdField, offset_bytes: offsetField, data_b64: ioDataSchema });
const readSchema = z.object({
  sdc_id: sdcIdField,
  offset_bytes: offsetField,
  length_bytes: z.number().int().min(1).max(SDC_IO_BYTES_MAX),
});
const path = { io_path: z.literal("network"), io_mode: z.literal("network") };
const place = { volume_id: z.int(), sdc_id: z.int(), offset_bytes: z.int() };
const writtenShape = z.object({
  status: z.literal("written"),
  ...place,
  bytes_written: z.int(),
  replicas_written: z.int(),
  ...path,
  write_policy: z.literal("all"),
}).meta({ id: "Written" });
const readShape = z.object({
  status: z.literal("read"),
  ...place,
  bytes_read: z.int(),
  data_b64: z.string(),
  utf8_text: z.string().nullable(),
  ...path,
  read_policy: z.literal("first_healthy"),
}).meta({ id: "Read" });

/** Adds both to the routes below `/vol`. */
export function addVolumeIo(routes: OpenAPIHono, context: MdmContext): void {
  addRoute(routes, {
    method: "post",
    path: "/{id}/io/write",
    tag,
    summary: "Writes through an SDC that has the volume mapped",
    params: idParams,
    body: writeSchema,
    answer: writtenShape,
    refusals: [400, 403, 404, 503],
    handle: async ({ params, body }) => {
      const { sdc_id: sdcId, offset_bytes: offsetBytes, data_b64: dataB64 } = body;
      const answer = await writeThroughSdc(context, { volumeId: params.id, sdcId, offsetBytes, dataB64 });
      return {
        status: "written" as const,
        volume_id: params.id,
        sdc_id: sdcId,
        offset_bytes: offsetBytes,
        ...answer,
        io_path: "network" as const,
        io_mode: "network" as const,
        write_policy: "all" as const,
      };
    },
  });
  addRoute(routes, {
    method: "post",
    path: "/{id}/io/read",
    tag,
    summary: "Reads through an SDC that has the volume mapped; what was never written reads as zeros",
    params: idParams,
    body: readSchema,
    answer: readShape,
    refusals: [400, 403, 404, 503],
    handle: async ({ params, body }) => {
      const { sdc_id: sdcId, offset_bytes: offsetBytes, length_bytes: lengthBytes } = body;
      const answer = await readThroughSdc(context, { volumeId: params.id, sdcId, offsetBytes, lengthBytes });
      return {
        status: "read" as const,
        volume_id: params.id,
        sdc_id: sdcId,
        offset_bytes: offsetBytes,
        bytes_read: answer.bytes_read,
        data_b64: answer.data_b64,
        utf8_text: utf8TextOf(Uint8Array.fromBase64(answer.data_b64)),
        io_path: "network" as const,
        io_mode: "network" as const,
        read_policy: "first_healthy" as const,
      };
    },
  });
}

/** The text that the bytes are, whole and exact, or null. */
function utf8TextOf(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}
