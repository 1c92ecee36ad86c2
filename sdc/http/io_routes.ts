/**
 * `/control/io`: single reads and writes that the MDM asks for (`shared/api/sdc_io.ts`). They pass the layers that the IO of
 * every client passes: read-only mappings, order of overlapping writes, retries.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { MappedVolume, MappedVolumes } from "@/sdc/mapped_volumes.ts";
import { performIo } from "@/sdc/volume_io.ts";
import {
  SDC_IO_MS_MAX,
  sdcIoReadAnswerSchema,
  sdcIoReadCallSchema,
  sdcIoWriteAnswerSchema,
  sdcIoWriteCallSchema,
} from "@/shared/api/sdc_io.ts";
import { type Clock, sleep } from "@/shared/clock.ts";
import { StorageError } from "@/shared/errors.ts";
import { addRoute } from "@/shared/http/api.ts";
import type { VolumeId } from "@/shared/ids.ts";

/** How long the answer to a write waits for a map that says how many copies its groups have, in ms. */
export const COPY_COUNT_WAIT_MS = 1_000;
/** Time between two looks for it, in ms. */
const COPY_COUNT_POLL_MS = 5;

/** What the routes act on. */
export interface IoRouteParts {
  readonly volumes: MappedVolumes;
  readonly clock: Clock;
  /** Asks the MDM for the list of mappings; resolves when it answered, or after the time of a notice. */
  readonly refresh: () => Promise<void>;
}

/** Adds the routes of the module comment to those of `/control`. */
export function addIoRoutes(routes: OpenAPIHono, parts: IoRouteParts): void {
  addRoute(routes, {
    method: "post",
    path: "/io/write",
    tag: "IO",
    summary: "Writes to a mapped volume",
    body: sdcIoWriteCallSchema,
    answer: sdcIoWriteAnswerSchema,
    refusals: [400, 403],
    handle: async ({ body }) => {
      const volume = await mappedVolume(parts, body.volume_id);
      const data = Uint8Array.fromBase64(body.data_b64);
      const range = { offsetBytes: body.offset_bytes, lengthBytes: data.length };
      await inTime(parts.clock, performIo(volume.guard, { operation: "write", ...range, data }));
      const copyCount = await copyCountOf(volume, { clock: parts.clock, ...range });
      return { bytes_written: range.lengthBytes, replicas_written: copyCount };
    },
  });
  addRoute(routes, {
    method: "post",
    path: "/io/read",
    tag: "IO",
    summary: "Reads from a mapped volume",
    body: sdcIoReadCallSchema,
    answer: sdcIoReadAnswerSchema,
    refusals: [400, 403],
    handle: async ({ body }) => {
      const { guard } = await mappedVolume(parts, body.volume_id);
      const data = new Uint8Array(body.length_bytes);
      const range = { offsetBytes: body.offset_bytes, lengthBytes: body.length_bytes };
      await inTime(parts.clock, performIo(guard, { operation: "read", ...range, data }));
      return { data_b64: data.toBase64(), bytes_read: body.length_bytes };
    },
  });
}

/** What `io` gives. @throws {StorageError} `give_up` when it takes longer than the MDM waits; a write may still happen then. */
async function inTime(clock: Clock, io: Promise<void>): Promise<void> {
  const done = new AbortController();
  const isLate = sleep(clock, SDC_IO_MS_MAX, done.signal).then(() => !done.signal.aborted);
  try {
    if (await Promise.race([io, isLate]) === true) {
      throw new StorageError("give_up", `The IO is not done after ${SDC_IO_MS_MAX} ms; a write may still happen`);
    }
  } finally {
    done.abort();
    io.catch(() => {}); // what it failed with was said, or comes too late
  }
}

/** The volume; one that this SDC has not heard of yet is asked for first. @throws {StorageError} `forbidden` */
async function mappedVolume({ volumes, refresh }: IoRouteParts, volumeId: VolumeId): Promise<MappedVolume> {
  const known = volumes.byId(volumeId);
  if (known !== undefined) return known;
  await refresh();
  const volume = volumes.byId(volumeId);
  if (volume === undefined) throw new StorageError("forbidden", `Volume ${volumeId} is not mapped to this SDC`);
  return volume;
}

/**
 * Copies that hold an acknowledged write. After a change of a group the number is not known until the next map; 0 if that does
 * not come in time.
 */
async function copyCountOf(
  { link }: MappedVolume,
  options: { readonly clock: Clock; readonly offsetBytes: number; readonly lengthBytes: number },
): Promise<number> {
  const { clock } = options;
  const deadlineMs = clock.monotonicMs() + COPY_COUNT_WAIT_MS;
  while (true) {
    const copyCount = link.copyCountOf(options);
    if (copyCount !== undefined) return copyCount;
    if (clock.monotonicMs() >= deadlineMs) return 0;
    link.wantMap();
    await sleep(clock, COPY_COUNT_POLL_MS);
  }
}
