/**
 * Single reads and writes through the MDM's API, carried out by an SDC (`shared/api/sdc_io.ts`): the MDM checks that the SDC may,
 * hands the call over, and gives the answer back. It never touches volume data itself.
 *
 * @module
 */
import { z } from "zod";
import type { MdmContext } from "@/mdm/context.ts";
import { type IoRequest, requireIoAllowed } from "@/mdm/operations/io_plans.ts";
import {
  SDC_IO_MS_MAX,
  type SdcIoReadAnswer,
  sdcIoReadAnswerSchema,
  type SdcIoReadCall,
  type SdcIoWriteAnswer,
  sdcIoWriteAnswerSchema,
  type SdcIoWriteCall,
} from "@/shared/api/sdc_io.ts";
import { isErrorCode, StorageError } from "@/shared/errors.ts";
import type { SdcId, VolumeId } from "@/shared/ids.ts";

/** Calls handed to SDCs at a time: each holds its data, up to 16 MiB and as much again in base64, in memory. */
export const SDC_IO_CALLS_MAX = 16;
/** The MDM waits so much longer than the SDC works, in ms. */
const ANSWER_MARGIN_MS = 2_000;

const problemSchema = z.object({ code: z.string(), detail: z.string() });

/** Calls under way. */
export class SdcIoCalls {
  count = 0;
}

/**
 * Writes through an SDC.
 *
 * @throws {StorageError} as `planIo`, `unavailable` when the SDC does not answer, `too_busy` above {@linkcode SDC_IO_CALLS_MAX},
 * and with the code of the SDC's own refusal.
 */
export async function writeThroughSdc(
  context: MdmContext,
  request: {
    readonly volumeId: VolumeId;
    readonly sdcId: SdcId;
    readonly offsetBytes: number;
    readonly dataB64: string;
  },
): Promise<SdcIoWriteAnswer> {
  const { volumeId, offsetBytes, dataB64 } = request;
  const io: IoRequest = { ...request, operation: "write", lengthBytes: decodedLength(dataB64) };
  const body: SdcIoWriteCall = { volume_id: volumeId, offset_bytes: offsetBytes, data_b64: dataB64 };
  return sdcIoWriteAnswerSchema.parse(await handOver(context, { io, body }));
}

/** Reads through an SDC. @throws {StorageError} as {@linkcode writeThroughSdc}. */
export async function readThroughSdc(
  context: MdmContext,
  request: Omit<IoRequest, "operation">,
): Promise<SdcIoReadAnswer> {
  const { volumeId, offsetBytes, lengthBytes } = request;
  const io: IoRequest = { ...request, operation: "read" };
  const body: SdcIoReadCall = { volume_id: volumeId, offset_bytes: offsetBytes, length_bytes: lengthBytes };
  return sdcIoReadAnswerSchema.parse(await handOver(context, { io, body }));
}

async function handOver(
  context: MdmContext,
  call: { readonly io: IoRequest; readonly body: SdcIoWriteCall | SdcIoReadCall },
): Promise<unknown> {
  const { operation } = call.io;
  const { sdc, volume } = requireIoAllowed(context, call.io);
  const attempt = `Cannot ${operation} volume ${volume.name} through ${sdc.name}`;
  if (context.sdcIo.count >= SDC_IO_CALLS_MAX) {
    throw new StorageError("too_busy", `${attempt}: ${SDC_IO_CALLS_MAX} calls are under way, as many as may be`);
  }
  context.sdcIo.count++;
  try {
    const path = `/control/io/${operation}`;
    const timeoutMs = SDC_IO_MS_MAX + ANSWER_MARGIN_MS;
    const answer = await context.outbox.ask(sdc, { path, body: call.body, timeoutMs });
    if (answer === undefined) throw new StorageError("unavailable", `${attempt}: the SDC does not answer`);
    if (answer.status >= 300) throw refusalOf(answer.body, { status: answer.status, attempt });
    return JSON.parse(answer.body);
  } finally {
    context.sdcIo.count--;
  }
}

/** The SDC's refusal in its own words; one that is not of the IO (it does not know the caller, or the path) is `unavailable`. */
function refusalOf(body: string, options: { status: number; attempt: string }): StorageError {
  const { status, attempt } = options;
  const problem = problemSchema.safeParse(parsed(body)).data;
  const code = problem?.code;
  if (
    problem === undefined || code === undefined || !isErrorCode(code) || code === "unauthorized" || code === "not_found"
  ) {
    return new StorageError("unavailable", `${attempt}: the SDC answered with status ${status}`);
  }
  return new StorageError(code, `${attempt}: ${problem.detail}`);
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

/** Bytes that standard base64 with padding stands for. */
function decodedLength(base64: string): number {
  const padding = base64.endsWith("==") ? 2 : base64.endsWith("=") ? 1 : 0;
  return base64.length / 4 * 3 - padding;
}
