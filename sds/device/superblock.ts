/**
 * The superblock: which device this directory is, and which start of its process used it last. All integers are big-endian.
 * Two copies stand at 0 and {@linkcode SUPERBLOCK_BYTES}; the valid one with the higher generation counts. Both are written,
 * the second after the first is synced, so a torn write leaves one whole and rot of one copy brings no older state back.
 *
 * | offset | bytes | field              | meaning                                                                |
 * | -----: | ----: | ------------------ | ---------------------------------------------------------------------- |
 * |      0 |     8 | magic              | `PFLXDEV1`                                                             |
 * |      8 |     4 | version            | {@linkcode SUPERBLOCK_VERSION}                                         |
 * |     12 |     4 | slotCount          | slots of 1 MiB in `data`                                               |
 * |     16 |     8 | generation         | raised by each write of the superblock                                 |
 * |     24 |     8 | sdsId              |                                                                        |
 * |     32 |     8 | deviceId           |                                                                        |
 * |     40 |     8 | incarnationCounter | raised at each start of the process; 0: not started since the format   |
 * |     48 |     8 | incarnationRandom  | 64 random bits of the same start                                       |
 * |     56 |     8 | cleanForCounter    | the incarnation that stopped cleanly, if flag 1 is set; else 0         |
 * |     64 |     8 | cleanForRandom     |                                                                        |
 * |     72 |     4 | flags              | 1: cleanFor is present; 2: the device failed and never serves again    |
 * |     76 |     4 | clusterIdBytes     | 1 to {@linkcode CLUSTER_ID_BYTES_MAX}                                  |
 * |     80 |    64 | clusterId          | UTF-8, zeros behind it                                                 |
 * |    144 |    32 | catalogueDigest    | with flag 1: SHA-256 of the catalogue's rows (`catalogue_digest.ts`); zeros: not taken |
 * |    176 |  3916 |                    | zeros                                                                  |
 * |   4092 |     4 | crc                | CRC-32 of the 4092 bytes before it                                     |
 *
 * @module
 */
import { crc32 } from "node:zlib";
import type { DiskFile } from "@/shared/disk.ts";
import { assert } from "@/shared/errors.ts";
import { asId, type DeviceId, type Incarnation, type SdsId } from "@/shared/ids.ts";

export const SUPERBLOCK_BYTES = 4096;
export const SUPERBLOCK_VERSION = 1;
export const CLUSTER_ID_BYTES_MAX = 64;

const MAGIC = new TextEncoder().encode("PFLXDEV1");
const FLAG_CLEAN = 1;
const FLAG_FAILED = 2;
const DIGEST_OFFSET = 144;
const DIGEST_BYTES = 32;
const CRC_OFFSET = SUPERBLOCK_BYTES - 4;

/** Whose device a directory is. */
export interface DeviceIdentity {
  readonly clusterId: string;
  readonly sdsId: SdsId;
  readonly deviceId: DeviceId;
}

/** What a superblock says. */
export interface Superblock extends DeviceIdentity {
  readonly slotCount: number;
  readonly generation: number;
  readonly incarnation: Incarnation;
  readonly cleanFor: Incarnation | undefined;
  readonly failed: boolean;
  /** Of the rows as the clean stop left them; undefined when none was taken. */
  readonly catalogueDigest?: Uint8Array | undefined;
}

/** The 4096 bytes of one copy. */
export function encodeSuperblock(superblock: Superblock): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(SUPERBLOCK_BYTES);
  const view = new DataView(bytes.buffer);
  const clusterId = new TextEncoder().encode(superblock.clusterId);
  assert(clusterId.length >= 1 && clusterId.length <= CLUSTER_ID_BYTES_MAX, "a cluster id has 1 to 64 bytes");
  bytes.set(MAGIC, 0);
  view.setUint32(8, SUPERBLOCK_VERSION);
  view.setUint32(12, superblock.slotCount);
  view.setBigUint64(16, BigInt(superblock.generation));
  view.setBigUint64(24, BigInt(superblock.sdsId));
  view.setBigUint64(32, BigInt(superblock.deviceId));
  setIncarnation(view, 40, superblock.incarnation);
  if (superblock.cleanFor !== undefined) setIncarnation(view, 56, superblock.cleanFor);
  view.setUint32(72, (superblock.cleanFor === undefined ? 0 : FLAG_CLEAN) | (superblock.failed ? FLAG_FAILED : 0));
  view.setUint32(76, clusterId.length);
  bytes.set(clusterId, 80);
  if (superblock.catalogueDigest !== undefined) bytes.set(superblock.catalogueDigest, DIGEST_OFFSET);
  view.setUint32(CRC_OFFSET, crc32(bytes.subarray(0, CRC_OFFSET)));
  return bytes;
}

/** What one copy says, or the field that is wrong. */
export function decodeSuperblock(bytes: Uint8Array): Superblock | string {
  if (bytes.length !== SUPERBLOCK_BYTES) return `it has ${bytes.length} bytes instead of ${SUPERBLOCK_BYTES}`;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (MAGIC.some((byte, index) => bytes[index] !== byte)) return "magic is not PFLXDEV1";
  if (view.getUint32(CRC_OFFSET) !== crc32(bytes.subarray(0, CRC_OFFSET))) return "crc does not match";
  if (view.getUint32(8) !== SUPERBLOCK_VERSION) return `version is ${view.getUint32(8)}`;
  const clusterIdBytes = view.getUint32(76);
  if (clusterIdBytes < 1 || clusterIdBytes > CLUSTER_ID_BYTES_MAX) return `clusterIdBytes is ${clusterIdBytes}`;
  const flags = view.getUint32(72);
  const digest = bytes.slice(DIGEST_OFFSET, DIGEST_OFFSET + DIGEST_BYTES);
  return {
    clusterId: new TextDecoder().decode(bytes.subarray(80, 80 + clusterIdBytes)),
    sdsId: asId(Number(view.getBigUint64(24))),
    deviceId: asId(Number(view.getBigUint64(32))),
    slotCount: view.getUint32(12),
    generation: Number(view.getBigUint64(16)),
    incarnation: incarnationAt(view, 40),
    cleanFor: flags & FLAG_CLEAN ? incarnationAt(view, 56) : undefined,
    failed: (flags & FLAG_FAILED) !== 0,
    ...(digest.some((byte) => byte !== 0) && { catalogueDigest: digest }),
  };
}

/** The superblock of `file`; `blank` if it was never written whole, else what is wrong with both copies. */
export function readSuperblock(file: DiskFile): Superblock | { readonly problem: string; readonly blank: boolean } {
  const copies = [0, 1].map((copy) => {
    const bytes = new Uint8Array(SUPERBLOCK_BYTES);
    file.readSync(bytes, copy * SUPERBLOCK_BYTES);
    return { bytes, decoded: decodeSuperblock(bytes) };
  });
  let newest: Superblock | undefined;
  for (const { decoded } of copies) {
    if (typeof decoded === "string") continue;
    if (newest === undefined || decoded.generation > newest.generation) newest = decoded;
  }
  if (newest !== undefined) return newest;
  return {
    problem: copies.map(({ decoded }, copy) => `copy ${copy}: ${decoded}`).join("; "),
    blank: copies.every(({ bytes }) => bytes.every((byte) => byte === 0)),
  };
}

/** Writes both copies, each synced before the next step. @throws {Error} from the disk. */
export async function writeSuperblock(file: DiskFile, superblock: Superblock): Promise<void> {
  const bytes = encodeSuperblock(superblock);
  for (const copy of [0, 1]) {
    file.writeSync(bytes, copy * SUPERBLOCK_BYTES);
    await file.syncData();
  }
}

/**
 * Leaves the mark of a failed device on both copies, as far as the disk still takes it, so that the next start refuses the device
 * too; if even that fails, the MDM's record of it stands. `superblock` is the newest that was written or begun.
 */
export async function markFailed(file: DiskFile, superblock: Superblock): Promise<void> {
  const generation = superblock.generation + 2;
  const bytes = encodeSuperblock({
    ...superblock,
    generation,
    cleanFor: undefined,
    catalogueDigest: undefined,
    failed: true,
  });
  for (const copy of [0, 1]) {
    try {
      file.writeSync(bytes, copy * SUPERBLOCK_BYTES);
      await file.syncData();
    } catch {
      continue;
    }
  }
}

function setIncarnation(view: DataView, offset: number, incarnation: Incarnation): void {
  view.setBigUint64(offset, BigInt(incarnation.counter));
  view.setBigUint64(offset + 8, BigInt(`0x${incarnation.random}`));
}

function incarnationAt(view: DataView, offset: number): Incarnation {
  return {
    counter: Number(view.getBigUint64(offset)),
    random: view.getBigUint64(offset + 8).toString(16).padStart(16, "0"),
  };
}
