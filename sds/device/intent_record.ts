/**
 * One record of the `intents` file: which regions of a placement group may be torn (`dirty`) and where a departed copy may
 * differ (`resync`). All integers are big-endian. A group has two records, written in turn (record `generation % 2`); the valid
 * one of the group with the higher generation counts, and if neither is valid, every bit is set. A record is one sector, so a
 * power loss leaves it old or new.
 *
 * | offset | bytes | field      | meaning                                              |
 * | -----: | ----: | ---------- | ---------------------------------------------------- |
 * |      0 |     4 | magic      | `PFIN`                                               |
 * |      4 |     4 | version    | {@linkcode INTENT_RECORD_VERSION}                    |
 * |      8 |     8 | pgId       |                                                      |
 * |     16 |     8 | generation | raised by each record of the group, from 1           |
 * |     24 |    40 |            | zeros                                                |
 * |     64 |   128 | resync     | one bit per region                                   |
 * |    192 |   128 | dirty      | one bit per region, a subset of `resync`             |
 * |    320 |   188 |            | zeros                                                |
 * |    508 |     4 | crc        | CRC-32 of the 508 bytes before it                    |
 *
 * @module
 */
import { crc32 } from "node:zlib";
import { INTENT_RECORD_BYTES, REGION_BITMAP_BYTES } from "@/sds/device/layout.ts";
import { asId, type PgId } from "@/shared/ids.ts";

export const INTENT_RECORD_VERSION = 1;

const MAGIC = 0x5046494e;
const RESYNC_OFFSET = 64;
const DIRTY_OFFSET = RESYNC_OFFSET + REGION_BITMAP_BYTES;
const CRC_OFFSET = INTENT_RECORD_BYTES - 4;

/** What one record says. */
export interface IntentRecord {
  readonly pgId: PgId;
  readonly generation: number;
  readonly resync: Uint8Array;
  readonly dirty: Uint8Array;
}

/** The 512 bytes of a record. */
export function encodeIntentRecord(record: IntentRecord): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(INTENT_RECORD_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC);
  view.setUint32(4, INTENT_RECORD_VERSION);
  view.setBigUint64(8, BigInt(record.pgId));
  view.setBigUint64(16, BigInt(record.generation));
  bytes.set(record.resync, RESYNC_OFFSET);
  bytes.set(record.dirty, DIRTY_OFFSET);
  view.setUint32(CRC_OFFSET, crc32(bytes.subarray(0, CRC_OFFSET)));
  return bytes;
}

/** What a record says, with bitmaps of its own, or the field that is wrong. */
export function decodeIntentRecord(bytes: Uint8Array): IntentRecord | string {
  if (bytes.length !== INTENT_RECORD_BYTES) return `it has ${bytes.length} bytes instead of ${INTENT_RECORD_BYTES}`;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0) !== MAGIC) return "magic is not PFIN";
  if (view.getUint32(CRC_OFFSET) !== crc32(bytes.subarray(0, CRC_OFFSET))) return "crc does not match";
  if (view.getUint32(4) !== INTENT_RECORD_VERSION) return `version is ${view.getUint32(4)}`;
  return {
    pgId: asId(Number(view.getBigUint64(8))),
    generation: Number(view.getBigUint64(16)),
    resync: bytes.slice(RESYNC_OFFSET, RESYNC_OFFSET + REGION_BITMAP_BYTES),
    dirty: bytes.slice(DIRTY_OFFSET, DIRTY_OFFSET + REGION_BITMAP_BYTES),
  };
}
