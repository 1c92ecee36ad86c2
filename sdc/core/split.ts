/**
 * Cutting a request of a volume into pieces, each an operation of its own at one placement group (replication design,
 * sections 2.1 and 3.4).
 *
 * | operation | a piece ends at |
 * | --- | --- |
 * | read, write | the next multiple of 64 KiB, so that it fits a frame and touches at most 16 blocks |
 * | trim, write_zeroes | the next chunk border: no data travels |
 * | ragged edge of write_zeroes | the border of its block: it travels as a write |
 *
 * @module
 */
import { BLOCK_BYTES, CHUNK_BYTES, FRAGMENT_BYTES_MAX } from "@/shared/constants.ts";
import { assert } from "@/shared/errors.ts";

assert(CHUNK_BYTES % FRAGMENT_BYTES_MAX === 0, "a piece that ends at a fragment border never crosses a chunk border");

/** End of the piece that begins at `startBytes` of the volume, at most `endBytes`; `unitBytes` as in the table above. */
export function pieceEnd(startBytes: number, endBytes: number, unitBytes: number): number {
  return Math.min(endBytes, (Math.floor(startBytes / unitBytes) + 1) * unitBytes);
}

/** The first piece of a write_zeroes from `startBytes` to `endBytes`: whole blocks of one chunk, or a part of one block. */
export function zeroesPieceOf(startBytes: number, endBytes: number): { endBytes: number; ragged: boolean } {
  const blockEndBytes = pieceEnd(startBytes, endBytes, BLOCK_BYTES);
  if ((startBytes | blockEndBytes) % BLOCK_BYTES !== 0) return { endBytes: blockEndBytes, ragged: true };
  const wholeEndBytes = endBytes - endBytes % BLOCK_BYTES;
  return { endBytes: pieceEnd(startBytes, wholeEndBytes, CHUNK_BYTES), ragged: false };
}

/** A range of bytes: `[startBytes, endBytes)`, empty if both are equal. */
export interface BlockRange {
  readonly startBytes: number;
  readonly endBytes: number;
}

/** The whole blocks within a range, for trim, which ignores ragged edges (section 7.3). */
export function roundedInward(offsetBytes: number, lengthBytes: number): BlockRange {
  const startBytes = Math.ceil(offsetBytes / BLOCK_BYTES) * BLOCK_BYTES;
  const endBytes = Math.floor((offsetBytes + lengthBytes) / BLOCK_BYTES) * BLOCK_BYTES;
  return { startBytes, endBytes: Math.max(startBytes, endBytes) };
}
