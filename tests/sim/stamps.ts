/**
 * What the workload writes: every 16 bytes say which write they come from and where they belong, so that a read tells of each
 * sector who wrote it, and misplaced, mixed or invented bytes show. All integers are big-endian.
 *
 * | offset | bytes | field       | meaning                                       |
 * | -----: | ----: | ----------- | --------------------------------------------- |
 * |      0 |     2 | magic       | 0x5053                                        |
 * |      2 |     2 | volumeId    | volume                                        |
 * |      4 |     4 | sectorIndex | 512-byte sector of the volume                 |
 * |      8 |     4 | writer      | number of the write, unique in the run, not 0 |
 * |     12 |     4 | check       | CRC-32 of the 12 bytes before                 |
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { crc32 } from "node:zlib";

/** Unit in which the workload reads and writes, in bytes. */
export const SECTOR_BYTES = 512;
const STAMP_BYTES = 16;
const MAGIC = 0x5053;
const ZEROS = new Uint8Array(SECTOR_BYTES);

/** Where bytes belong. */
export interface StampPlace {
  readonly volumeId: number;
  /** A multiple of {@linkcode SECTOR_BYTES}. */
  readonly offsetBytes: number;
}

/** Fills `bytes`, whole sectors, with the stamps of the write numbered `writer`. */
export function fillStamped(bytes: Uint8Array, place: StampPlace & { readonly writer: number }): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.length; at += SECTOR_BYTES) {
    view.setUint16(at, MAGIC);
    view.setUint16(at + 2, place.volumeId);
    view.setUint32(at + 4, (place.offsetBytes + at) / SECTOR_BYTES);
    view.setUint32(at + 8, place.writer);
    view.setUint32(at + 12, crc32(bytes.subarray(at, at + 12)));
    for (let filled = STAMP_BYTES; filled < SECTOR_BYTES; filled *= 2) {
      bytes.copyWithin(at + filled, at, at + filled);
    }
  }
}

/** Who wrote the sector at `at` of `bytes`: 0 for zeros, or what is wrong with it. `place` is that of `bytes`. */
export function writerOf(bytes: Uint8Array, at: number, place: StampPlace): number | string {
  const sector = bytes.subarray(at, at + SECTOR_BYTES);
  if (Buffer.compare(sector, ZEROS) === 0) return 0;
  const view = new DataView(sector.buffer, sector.byteOffset, sector.byteLength);
  const sectorIndex = (place.offsetBytes + at) / SECTOR_BYTES;
  if (view.getUint16(0) !== MAGIC || view.getUint32(12) !== crc32(sector.subarray(0, 12))) {
    return `sector ${sectorIndex} holds bytes that nobody wrote`;
  }
  const writer = view.getUint32(8);
  if (view.getUint16(2) !== place.volumeId || view.getUint32(4) !== sectorIndex) {
    return `sector ${sectorIndex} of volume ${place.volumeId} holds sector ${view.getUint32(4)} of volume ${
      view.getUint16(2)
    }, write ${writer}`;
  }
  if (Buffer.compare(sector.subarray(STAMP_BYTES), sector.subarray(0, SECTOR_BYTES - STAMP_BYTES)) !== 0) {
    return `sector ${sectorIndex} is torn: it begins with write ${writer} and goes on otherwise`;
  }
  return writer;
}
