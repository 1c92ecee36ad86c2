/**
 * Checksums of blocks: CRC-32 (the one of zlib, ISO 3309) by `node:zlib`, 0.1 us per 4 KiB. SDC and SDS compute the same
 * numbers, so that what an SDC sent is what a disk keeps and what a reader compares.
 *
 * | range | checksum |
 * | --- | --- |
 * | whole block of 4096 bytes | CRC-32, with 0 mapped to 1: 0 means "never written" on disk |
 * | part of a block | CRC-32 of the part as it is; it protects the transfer and is never stored |
 *
 * @module
 */
import { crc32 } from "node:zlib";
import { BLOCK_BYTES } from "@/shared/constants.ts";

/** What stands for a block that was never written. No written block has it. */
export const CHECKSUM_NEVER_WRITTEN = 0;

/** Checksum of `bytes` from `start` to `end` (not included), which lie within one block. Borrows `bytes`. */
export function blockCrc(bytes: Uint8Array, start: number, end: number): number {
  const part = start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end);
  const crc = crc32(part);
  return crc === 0 && end - start === BLOCK_BYTES ? 1 : crc;
}

/**
 * Writes the checksums of a write's payload: one u32, big-endian, for each block that `lengthBytes` at `offsetBytes` of the
 * chunk touch, of the part of the block that is written. Borrows `data`, which begins at `dataStart`.
 * @returns bytes written to `view` from `at` on.
 */
export function writeBlockCrcs(view: DataView, at: number, data: Uint8Array, range: DataRange): number {
  const { dataStart, offsetBytes, lengthBytes } = range;
  let start = dataStart;
  let end = start + Math.min(lengthBytes, BLOCK_BYTES - offsetBytes % BLOCK_BYTES);
  const dataEnd = dataStart + lengthBytes;
  let to = at;
  while (start < dataEnd) {
    view.setUint32(to, blockCrc(data, start, end));
    to += 4;
    start = end;
    end = Math.min(dataEnd, end + BLOCK_BYTES);
  }
  return to - at;
}

/** Where the bytes of a write lie in a buffer, and where they go in the chunk. */
export interface DataRange {
  readonly dataStart: number;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}
