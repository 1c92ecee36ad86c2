/**
 * From the written-block bitmaps of chunks to the extents of a range. A block that was never written takes no space that a
 * client could count on and reads as zeros; a written one is data.
 *
 * @module
 */
import type { Extent } from "@/sdc/block_device.ts";
import { BLOCK_BYTES, CHUNK_BYTES } from "@/shared/constants.ts";

/** Gathers extents in order, joining neighbours of one kind. */
export class ExtentBuilder {
  readonly #extents: { lengthBytes: number; allocated: boolean; zero: boolean }[] = [];

  /** Adds `[startBytes, endBytes)` of one chunk; `written` has one bit per block, block 0 the lowest bit of byte 0. */
  addChunk(written: Uint8Array, startBytes: number, endBytes: number): void {
    let at = startBytes;
    while (at < endBytes) {
      const block = Math.floor(at / BLOCK_BYTES);
      const end = Math.min(endBytes, (block + 1) * BLOCK_BYTES);
      this.#add(end - at, ((written[block >>> 3]! >>> (block & 7)) & 1) === 1);
      at = end;
    }
  }

  #add(lengthBytes: number, allocated: boolean): void {
    const last = this.#extents.at(-1);
    if (last !== undefined && last.allocated === allocated) last.lengthBytes += lengthBytes;
    else this.#extents.push({ lengthBytes, allocated, zero: !allocated });
  }

  /** What was gathered. */
  get extents(): readonly Extent[] {
    return this.#extents;
  }
}

/** The part of a chunk that a range of a volume covers, as offsets within the chunk. */
export function partOfChunk(
  chunkIndex: number,
  range: { readonly offsetBytes: number; readonly lengthBytes: number },
): { readonly startBytes: number; readonly endBytes: number } {
  const chunkStart = chunkIndex * CHUNK_BYTES;
  return {
    startBytes: Math.max(0, range.offsetBytes - chunkStart),
    endBytes: Math.min(CHUNK_BYTES, range.offsetBytes + range.lengthBytes - chunkStart),
  };
}
