/**
 * What a device holds in memory of one placement group: its row, its write intents, its cached chunks, and sums over its keys.
 *
 * @module
 */
import { hasBit, setBit } from "@/sds/device/bitmap.ts";
import type { Chunk } from "@/sds/device/chunk.ts";
import { REGION_BITMAP_BYTES } from "@/sds/device/layout.ts";
import { REGIONS_PER_PG } from "@/shared/constants.ts";
import { assert } from "@/shared/errors.ts";
import type { NodeId, PgId, VtreeId } from "@/shared/ids.ts";

/** Write intents of a group in memory (replication design, section 5.4). About 7 KiB. */
export class PgIntents {
  /** Where a departed copy may differ. A superset of `dirty`. */
  readonly resync = new Uint8Array(REGION_BITMAP_BYTES);
  /** Where an unclean stop may leave torn data or stale checksums. */
  readonly dirty = new Uint8Array(REGION_BITMAP_BYTES);
  /** Regions that are set in both, in memory and in the newest durable record: where data may be written (I7). */
  readonly durable = new Uint8Array(REGION_BITMAP_BYTES);
  /** Writes begun and not ended, per region. */
  readonly running = new Uint16Array(REGIONS_PER_PG);
  /** The clearing round in which a write last began or ended, per region. */
  readonly lastRound = new Uint32Array(REGIONS_PER_PG);
  /** Of the newest record written. */
  generation = 0;
}

/** One copy on this device. */
export class DevicePg {
  readonly pgId: PgId;
  /** Place of its two records in `intents`. */
  readonly intentSlot: number;
  /** The newest epoch stored; 0 if none was yet. */
  epoch: number;
  /** False from `joinBegin` to the sync of `joinFinal`. */
  complete: boolean;
  readonly intents = new PgIntents();
  /** Cached chunks by key. */
  readonly chunks = new Map<number, Chunk>();
  /** Chunks stored. */
  chunkCount = 0;
  /** Chunks stored of each node that has any. */
  readonly nodeCounts = new Map<NodeId, number>();
  /** Damaged blocks by the key of their chunk, of the chunks that have any: one bit per block (`damaged_blocks.ts`). */
  readonly damaged = new Map<number, Uint8Array>();
  /** Unverified chunks per region, of the regions that have any. */
  readonly unverifiedCounts = new Map<number, number>();
  #hashHigh = 0;
  #hashLow = 0;

  constructor(
    pgId: PgId,
    options: { readonly intentSlot: number; readonly epoch: number; readonly complete: boolean },
  ) {
    this.pgId = pgId;
    this.intentSlot = options.intentSlot;
    this.epoch = options.epoch;
    this.complete = options.complete;
  }

  /** Hash of the keys present, whatever their order: two copies with the same keys have the same. Below 2^53. */
  get keyHash(): number {
    return this.#hashHigh * 2 ** 32 + this.#hashLow;
  }

  /** Notes that a chunk was stored or deleted: the same call undoes itself in the hash. */
  noteKey(
    key: { readonly vtreeId: VtreeId; readonly nodeId: NodeId; readonly chunkIndex: number },
    change: 1 | -1,
  ): void {
    this.chunkCount += change;
    const ofNode = (this.nodeCounts.get(key.nodeId) ?? 0) + change;
    assert(ofNode >= 0, "a chunk is deleted once");
    if (ofNode === 0) this.nodeCounts.delete(key.nodeId);
    else this.nodeCounts.set(key.nodeId, ofNode);
    const low = mix(mix(mix(0x9e3779b9, key.vtreeId), key.nodeId), key.chunkIndex);
    this.#hashLow = (this.#hashLow ^ low) >>> 0;
    this.#hashHigh = (this.#hashHigh ^ mix(low, 0x85ebca6b)) & 0x1fffff;
  }

  /** Changes the number of unverified chunks of a region. */
  noteUnverified(region: number, change: 1 | -1): void {
    const count = (this.unverifiedCounts.get(region) ?? 0) + change;
    assert(count >= 0, "a chunk is verified once");
    if (count === 0) this.unverifiedCounts.delete(region);
    else this.unverifiedCounts.set(region, count);
  }

  /** Notes that a write of a region begins; from now to its end the region's `dirty` bit is not cleared. */
  beginWrite(region: number, round: number): void {
    this.intents.running[region]!++;
    this.intents.lastRound[region] = round;
    assert(this.intents.running[region] !== 0, "fewer than 65536 writes of a region run at once");
  }

  endWrite(region: number, round: number): void {
    assert(this.intents.running[region] !== 0, "a write ends once");
    this.intents.running[region]!--;
    this.intents.lastRound[region] = round;
  }

  /** True if data of the region may be written now. */
  hasIntent(region: number): boolean {
    return hasBit(this.intents.durable, region);
  }

  /** Sets a region in both bitmaps, in memory. */
  setIntentBits(region: number): void {
    setBit(this.intents.resync, region);
    setBit(this.intents.dirty, region);
  }
}

/** One step of a 32-bit hash: multiply, rotate, as MurmurHash3's finaliser does. Ids above 32 bits count with both halves. */
function mix(hash: number, value: number): number {
  let mixed = hash ^ (value | 0) ^ Math.imul(Math.floor(value / 2 ** 32), 0x27d4eb2f);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
