/**
 * The files of a device's directory and their sizes (replication design, section 5.1). Their bytes: `superblock.ts`,
 * `intent_record.ts`, `catalogue_schema.ts`; `docs/on_disk.md` tells the whole.
 *
 * | file           | content                                                                                        |
 * | -------------- | ---------------------------------------------------------------------------------------------- |
 * | `superblock`   | two copies of 4 KiB; holds the lock of the one process that may use the device                 |
 * | `data`         | slot i at i MiB                                                                                |
 * | `checksums`    | page i of 1 KiB at i KiB: 256 checksums, u32 little-endian, of the blocks of slot i            |
 * | `intents`      | two records of 512 bytes per placement group, at 1 KiB times the group's intent slot           |
 * | `catalogue.db` | SQLite: which chunk is in which slot                                                           |
 * | `spare`        | space kept back for the files above                                                            |
 *
 * Checksums are little-endian, unlike everything else, because a page is used in place as a `Uint32Array`.
 *
 * @module
 */
import { crc32 } from "node:zlib";
import { BLOCKS_PER_CHUNK, CHUNK_BYTES, FRAGMENT_BYTES_MAX, REGIONS_PER_PG } from "@/shared/constants.ts";
import { assert } from "@/shared/errors.ts";

export const SUPERBLOCK_FILE = "superblock";
export const DATA_FILE = "data";
export const CHECKSUMS_FILE = "checksums";
export const INTENTS_FILE = "intents";
export const CATALOGUE_FILE = "catalogue.db";
export const SPARE_FILE = "spare";
/** SQLite's write-ahead log of the catalogue, which we sync ourselves. */
export const CATALOGUE_LOG_FILE = "catalogue.db-wal";

export const SLOT_BYTES = CHUNK_BYTES;
export const CHECKSUM_PAGE_BYTES = BLOCKS_PER_CHUNK * Uint32Array.BYTES_PER_ELEMENT;
export const INTENT_RECORD_BYTES = 512;
/** Bytes of a bitmap with one bit per region: bit r is bit `r % 8` of byte `floor(r / 8)`. */
export const REGION_BITMAP_BYTES = REGIONS_PER_PG / 8;

/** Space is filled in pieces of this size: larger ones become large folios, which slow later 4 KiB overwrites down 2.7 times. */
export const POPULATE_PIECE_BYTES = FRAGMENT_BYTES_MAX;
assert(SLOT_BYTES % POPULATE_PIECE_BYTES === 0, "a slot is filled by whole pieces");
assert(new Uint8Array(Uint32Array.of(1).buffer)[0] === 1, "this machine is little-endian, as checksum pages are");

/** Checksum of one block of 4096 bytes as stored: CRC-32, 0 mapped to 1, because 0 means that it was never written. */
export function blockChecksum(block: Uint8Array): number {
  return crc32(block) || 1;
}
