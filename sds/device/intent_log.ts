/**
 * The `intents` file: sets and clears regions of placement groups, durably (replication design, section 5.4).
 *
 * A set is durable before its callback runs. Everything asked for in one turn, of all groups, shares one `fdatasync`; a group has
 * one record write at a time. A cleared bit leaves memory first, so that a write which comes in between sets it again and waits
 * for the next record. Clears ride in the same records and nobody waits for them: what is lost of them is a superset.
 *
 * `dirty` is cleared after a sync of the device, in rounds at least `intentClearMs` apart, for regions that no write touched in
 * the last two rounds: the rule asks only that none ran since the sync began, the rest keeps busy regions from paying for a new
 * record after every flush.
 *
 * @module
 */
import { clearBit, hasBit, mergeBits, setBit, setBitsOf } from "@/sds/device/bitmap.ts";
import type { DevicePg } from "@/sds/device/device_pg.ts";
import type { DeviceHealth } from "@/sds/device/health.ts";
import { decodeIntentRecord, encodeIntentRecord, type IntentRecord } from "@/sds/device/intent_record.ts";
import { INTENT_RECORD_BYTES } from "@/sds/device/layout.ts";
import type { SyncedFile } from "@/sds/device/synced_file.ts";
import type { ErrorCode } from "@/shared/errors.ts";
import type { Guards } from "@/shared/guards.ts";

/** Called when an intent is durable, or with the reason why it never will be. */
export type IntentCallback = (error: ErrorCode | undefined) => void;

interface WrittenRecord {
  readonly pg: DevicePg;
  readonly record: IntentRecord;
}

/** Write intents of all groups of one device. */
export class IntentLog {
  readonly #file: SyncedFile;
  readonly #health: DeviceHealth;
  readonly #clearMs: number;
  readonly #guards: Guards;
  #changed = new Set<DevicePg>();
  #waiting: IntentCallback[] = [];
  #flushing: Promise<void> | undefined;
  #round = 1;
  #roundStartMs = -Infinity;

  constructor(options: {
    readonly file: SyncedFile;
    readonly health: DeviceHealth;
    readonly clearMs: number;
    readonly guards: Guards;
  }) {
    this.#file = options.file;
    this.#health = options.health;
    this.#clearMs = options.clearMs;
    this.#guards = options.guards;
  }

  /** The current clearing round, for `DevicePg.beginWrite` and `endWrite`. */
  get round(): number {
    return this.#round;
  }

  /**
   * Writes the first records of a new group, all clear, over both places; they are durable with the next sync of the file. If a
   * power loss takes them, the place holds bits of an earlier copy or of another group, which means at worst that all are set.
   */
  create(pg: DevicePg): void {
    const { resync, dirty } = pg.intents;
    for (const generation of [1, 2]) this.#write(pg, { pgId: pg.pgId, generation, resync, dirty });
  }

  /**
   * Fills a group's bitmaps from its records. All bits are set if none is valid, or if one was and is not any more: a record is one
   * sector, so that is rot, and what remains may be the older one.
   */
  load(pg: DevicePg, options: { readonly wasClean: boolean }): void {
    const { intents } = pg;
    const { records, rotten } = this.#readRecords(pg);
    const newest = records.reduce<IntentRecord | undefined>(
      (best, record) => best === undefined || record.generation > best.generation ? record : best,
      undefined,
    );
    const known = newest !== undefined && !rotten;
    intents.resync.fill(known ? 0 : 0xff);
    // A clean stop leaves no region dirty, whatever its records say now.
    intents.dirty.fill(known || options.wasClean ? 0 : 0xff);
    if (newest !== undefined) {
      mergeBits(intents.resync, newest.resync);
      mergeBits(intents.dirty, newest.dirty);
      intents.generation = newest.generation;
    }
    intents.durable.set(bothOf(intents.resync, intents.dirty));
  }

  /** Sets a region in both bitmaps. Calls back at once if it is durable already. */
  set(pg: DevicePg, region: number, callback: IntentCallback): void {
    if (this.#health.failed !== undefined) return callback(this.#health.failed);
    if (pg.hasIntent(region)) return callback(undefined);
    pg.setIntentBits(region);
    this.#change(pg);
    if (!this.#guards.intentFirst) {
      setBit(pg.intents.durable, region);
      return callback(undefined);
    }
    this.#waiting.push(callback);
  }

  /** Adds `resync` bits and calls back when they are durable. */
  mergeResync(pg: DevicePg, bitmap: Uint8Array, callback: IntentCallback): void {
    if (this.#health.failed !== undefined) return callback(this.#health.failed);
    mergeBits(pg.intents.resync, bitmap);
    this.#change(pg);
    this.#waiting.push(callback);
  }

  /** Sets every region of a group in both bitmaps. */
  setAll(pg: DevicePg, callback: IntentCallback): void {
    pg.intents.dirty.fill(0xff);
    const all = new Uint8Array(pg.intents.resync.length).fill(0xff);
    this.mergeResync(pg, all, callback);
  }

  /** Clears `resync` of the regions that are not dirty and have no write running; gives how many it cleared. */
  clearResync(pg: DevicePg, regions: Iterable<number>): number {
    const { resync, dirty, running } = pg.intents;
    let count = 0;
    for (const region of regions) {
      if (!hasBit(resync, region) || hasBit(dirty, region) || running[region] !== 0) continue;
      clearBit(resync, region);
      clearBit(pg.intents.durable, region);
      count++;
    }
    if (count > 0) this.#change(pg);
    return count;
  }

  /** Called when a device sync begins: starts a clearing round if one is due, and says whether it did. */
  beginRound(nowMs: number): boolean {
    if (nowMs - this.#roundStartMs < this.#clearMs) return false;
    this.#roundStartMs = nowMs;
    this.#round++;
    return true;
  }

  /** Called when the sync of a round succeeded: clears `dirty` where no write was in this round or the one before. */
  finishRound(pgs: Iterable<DevicePg>): void {
    for (const pg of pgs) this.#clearDirty(pg, this.#round - 2);
  }

  /** Begins a round that is not due yet, and gives its number: what a later sync covers began before it. */
  forceRound(): number {
    return ++this.#round;
  }

  /** Clears `dirty` where no write was since round `number` began: after a sync that began after it. */
  clearDirtyBefore(pgs: Iterable<DevicePg>, number: number): void {
    for (const pg of pgs) this.#clearDirty(pg, number - 1);
  }

  /** Clears `dirty` wherever no write runs: only after a sync with all writes ended before it. */
  clearAllDirty(pgs: Iterable<DevicePg>): void {
    for (const pg of pgs) this.#clearDirty(pg, this.#round);
  }

  /** Drops what is still to be written of a group that is deleted. */
  forget(pg: DevicePg): void {
    this.#changed.delete(pg);
  }

  /** Resolves when nothing is left to be written, also if writing failed. */
  async settled(): Promise<void> {
    while (this.#flushing !== undefined) await this.#flushing;
  }

  #clearDirty(pg: DevicePg, lastRoundMax: number): void {
    const { dirty, running, lastRound } = pg.intents;
    let cleared = false;
    for (const region of setBitsOf(dirty)) {
      if (running[region] !== 0 || lastRound[region]! > lastRoundMax || pg.unverifiedCounts.has(region)) continue;
      clearBit(dirty, region);
      clearBit(pg.intents.durable, region);
      cleared = true;
    }
    if (cleared) this.#change(pg);
  }

  #change(pg: DevicePg): void {
    this.#changed.add(pg);
    // In a microtask, so that everything asked for in this turn is in one batch.
    this.#flushing ??= Promise.resolve().then(() => this.#flush());
  }

  async #flush(): Promise<void> {
    while (this.#changed.size > 0 || this.#waiting.length > 0) {
      const changed = this.#changed;
      const waiting = this.#waiting;
      this.#changed = new Set();
      this.#waiting = [];
      try {
        this.#health.requireIntact();
        const written = Array.from(changed, (pg) => this.#writeNext(pg));
        await this.#file.sync();
        for (const { pg, record } of written) noteDurable(pg, record);
      } catch (cause) {
        this.#health.fail("Cannot write intents", cause);
      }
      for (const callback of waiting) callback(this.#health.failed);
    }
    this.#flushing = undefined;
  }

  #writeNext(pg: DevicePg): WrittenRecord {
    const { resync, dirty, generation } = pg.intents;
    const record = { pgId: pg.pgId, generation: generation + 1, resync: resync.slice(), dirty: dirty.slice() };
    this.#write(pg, record);
    return { pg, record };
  }

  #write(pg: DevicePg, record: IntentRecord): void {
    pg.intents.generation = record.generation;
    this.#file.file.writeSync(encodeIntentRecord(record), recordOffset(pg, record.generation % 2));
    this.#file.touch();
  }

  /** The valid records of the group, and whether something else stands in their place. */
  #readRecords(pg: DevicePg): { readonly records: IntentRecord[]; readonly rotten: boolean } {
    const records: IntentRecord[] = [];
    let rotten = false;
    for (const place of [0, 1]) {
      const bytes = new Uint8Array(INTENT_RECORD_BYTES);
      this.#file.file.readSync(bytes, recordOffset(pg, place));
      const record = decodeIntentRecord(bytes);
      if (typeof record === "string") rotten ||= bytes.some((byte) => byte !== 0);
      else if (record.pgId === pg.pgId) records.push(record);
    }
    return { records, rotten };
  }
}

/** Bits that the record has and that were not cleared in memory while it was written. */
function noteDurable(pg: DevicePg, record: IntentRecord): void {
  const { resync, dirty, durable } = pg.intents;
  const recorded = bothOf(record.resync, record.dirty);
  const current = bothOf(resync, dirty);
  for (let index = 0; index < durable.length; index++) durable[index] = recorded[index]! & current[index]!;
}

function bothOf(resync: Uint8Array, dirty: Uint8Array): Uint8Array {
  return resync.map((byte, index) => byte & dirty[index]!);
}

function recordOffset(pg: DevicePg, place: number): number {
  return (2 * pg.intentSlot + place) * INTENT_RECORD_BYTES;
}
