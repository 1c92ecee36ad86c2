/**
 * Which parts of a range were ever written, asked of the primaries chunk by chunk, several at a time. Nothing is cached:
 * another client of a shared volume may write meanwhile.
 *
 * @module
 */
import type { Extent } from "@/sdc/block_device.ts";
import type { SdcContext } from "@/sdc/context.ts";
import { ExtentBuilder, partOfChunk } from "@/sdc/core/chunk_extents.ts";
import { afterRefusal, backoffMs } from "@/sdc/core/retry.ts";
import type { VolumeLink } from "@/sdc/remote/volume_link.ts";
import { sleep } from "@/shared/clock.ts";
import { CHUNK_BYTES } from "@/shared/constants.ts";
import { type ErrorCode, StorageError } from "@/shared/errors.ts";

/** Chunks that are asked for at a time. */
export const EXTENT_QUERIES_MAX = 16;

/** The range and the way to the cluster. */
export interface ExtentsOptions {
  readonly link: VolumeLink;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  /** Why the volume stopped; undefined while it serves. */
  stopped(): ErrorCode | undefined;
}

/** The extents of a range, in order. @throws {StorageError} as reads do. */
export async function volumeExtents(context: SdcContext, options: ExtentsOptions): Promise<readonly Extent[]> {
  const { offsetBytes, lengthBytes } = options;
  const first = Math.floor(offsetBytes / CHUNK_BYTES);
  const count = Math.ceil((offsetBytes + lengthBytes) / CHUNK_BYTES) - first;
  const bitmaps = new Array<Uint8Array>(count);
  let next = 0;
  const worker = async () => {
    while (next < count) {
      const index = next++;
      bitmaps[index] = await writtenBlocks(context, options, first + index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(EXTENT_QUERIES_MAX, count) }, worker));
  const builder = new ExtentBuilder();
  bitmaps.forEach((written, index) => {
    const { startBytes, endBytes } = partOfChunk(first + index, { offsetBytes, lengthBytes });
    builder.addChunk(written, startBytes, endBytes);
  });
  return builder.extents;
}

/** One bit per block of the chunk; asked again until it is answered, the volume stops or time is up. */
async function writtenBlocks(context: SdcContext, options: ExtentsOptions, chunkIndex: number): Promise<Uint8Array> {
  const { clock, random, times } = context;
  const startedAtMs = clock.monotonicMs();
  for (let attempt = 0;; attempt++) {
    const outcome = await askOnce(options.link, chunkIndex);
    if (typeof outcome !== "string") return outcome;
    const stopped = options.stopped();
    if (stopped !== undefined) throw failure(stopped, chunkIndex);
    const decision = afterRefusal(outcome, attempt, random.fraction());
    if (decision.kind !== "retry") throw failure(outcome, chunkIndex);
    if (times.ioGiveUpMs > 0 && clock.monotonicMs() - startedAtMs >= times.ioGiveUpMs) {
      throw failure("give_up", chunkIndex);
    }
    if (decision.needs === "token") options.link.wantToken();
    else options.link.wantMap();
    await sleep(clock, backoffMs(attempt, random.fraction()));
  }
}

/** The bitmap, or the code of the refusal; `unavailable` when the primary cannot be asked now. */
async function askOnce(link: VolumeLink, chunkIndex: number): Promise<Uint8Array | ErrorCode> {
  const table = link.routes.table;
  if (table === undefined) return "unavailable";
  const pgIndex = table.pgIndexOfChunk(chunkIndex);
  const target = link.targetOf(pgIndex);
  const lane = target?.peer.lane;
  if (target === undefined || lane === undefined || target.handle === undefined) {
    target?.peer.wake();
    return "unavailable";
  }
  try {
    const answer = await lane.request({
      kind: "extents",
      handle: target.handle,
      pgId: table.pgIds[pgIndex]!,
      epoch: table.epochs[pgIndex]!,
      nodeId: table.nodeId,
      chunkIndex,
    });
    if (answer.kind === "extents_answer") return Uint8Array.fromHex(answer.writtenHex);
    return "internal";
  } catch (error) {
    if (error instanceof StorageError) return error.code;
    throw error;
  }
}

function failure(code: ErrorCode, chunkIndex: number): StorageError {
  return new StorageError(code, `Cannot tell the extents of chunk ${chunkIndex}: ${code}`);
}
