/**
 * Which slots are free, and the reserve that allocations take from without waiting (replication design, section 5.2).
 *
 *   free ──mark, durable──► marked ──fill with zeros──► ready ──take──► chunk ──delete──► freed ──zero, sync, unmark──► free
 *
 * A slot is used only after its mark is durable: if a power loss takes the chunk's row and leaves its data, the mark is there
 * and the slot is zeroed at the next start, so a free slot always holds zeros (I12). Slots behind the end of `data` are filled
 * in rising order, so the length of the file tells which have space of their own.
 *
 * @module
 */
import { clearBit, hasBit, setBit } from "@/sds/device/bitmap.ts";
import type { Catalogue } from "@/sds/device/catalogue.ts";
import { SLOT_FREED } from "@/sds/device/catalogue_schema.ts";
import type { Chunk } from "@/sds/device/chunk.ts";
import type { DeviceHealth } from "@/sds/device/health.ts";
import { PIECES_PER_SLOT, type SlotFiles } from "@/sds/device/slot_files.ts";
import { isNoSpace, type SpareFile } from "@/sds/device/spare_file.ts";
import type { Turns } from "@/sds/device/turns.ts";
import { assert, type ErrorCode } from "@/shared/errors.ts";

/** Pieces of 64 KiB that are zeroed per turn: about 100 us. */
const PIECES_PER_TURN = 4;
/** Time between two slots that are filled, each 400 us of this process. */
const FILL_PAUSE_MS = 2;
/** Freed slots that are zeroed between two syncs. */
const ZEROED_PER_SYNC = 32;
/** Time until a slot still in use is looked at again. */
const RETRY_MS = 1_000;
/** Time until a full file system is tried again: each time some milliseconds of this process. */
const FULL_RETRY_MS = 10_000;

/** Called when a slot may be taken, or with the reason why none will be. */
export type SlotCallback = (error: ErrorCode | undefined) => void;

export interface SlotPoolOptions {
  readonly slotCount: number;
  /** Slots of a batch of the reserve. */
  readonly reserveCount: number;
  readonly files: SlotFiles;
  readonly spare: SpareFile;
  readonly catalogue: Catalogue;
  readonly health: DeviceHealth;
  readonly turns: Turns;
  /** Syncs the device. */
  readonly sync: () => Promise<void>;
  /** Called after data was written in the background. */
  readonly noteDirty: () => void;
}

/** Slots of one open device. */
export class SlotPool {
  readonly #options: SlotPoolOptions;
  /** Bit set: the slot holds a chunk or is marked. */
  readonly #used: Uint8Array;
  /** Durably marked and filled. */
  readonly #ready: number[] = [];
  /** Durably marked, to be filled, in order. */
  readonly #marked: number[] = [];
  /** Deleted chunks that somebody still reads. */
  readonly #pinned = new Map<number, Chunk>();
  readonly #waiting: SlotCallback[] = [];
  #freeCount: number;
  #lowestFree = 0;
  #fileSystemFull = false;
  #marking: Promise<void> | undefined;
  #filling: Promise<void> | undefined;
  #zeroing: Promise<void> | undefined;

  constructor(options: SlotPoolOptions) {
    this.#options = options;
    this.#used = new Uint8Array(Math.ceil(options.slotCount / 8));
    this.#freeCount = options.slotCount;
  }

  /** Slots that may still be given to chunks, those of the reserve included. */
  get freeCount(): number {
    return this.#freeCount + this.#ready.length + this.#marked.length;
  }

  /** Slots of the reserve: marked, and holding nothing. */
  get reserve(): readonly number[] {
    return [...this.#ready, ...this.#marked];
  }

  /** True if no slot can be taken until something is deleted. */
  get isFull(): boolean {
    const usable = this.#ready.length + (this.#fileSystemFull ? 0 : this.#marked.length);
    return usable === 0 && this.#marking === undefined && (this.#freeCount === 0 || this.#fileSystemFull);
  }

  /** Notes at the start that a slot holds a chunk or is marked. */
  noteUsed(slot: number): void {
    assert(!hasBit(this.#used, slot), `slot ${slot} has one owner`);
    setBit(this.#used, slot);
    this.#freeCount--;
  }

  /** Notes that the file system is full: no slot is filled until the spare space is whole again, which is tried from time to time. */
  noteFull(): void {
    const { files, spare } = this.#options;
    this.#fileSystemFull = true;
    files.dropUnpopulated();
    spare.release();
  }

  /** A slot of zeros whose mark is durable; undefined if none is at hand: see {@linkcode SlotPool.whenReady}. */
  take(): number | undefined {
    let slot = this.#ready.shift();
    if (slot === undefined && this.#marked.length > 0) {
      // Filling in the background did not keep up: 0.4 ms here is better than a wait.
      slot = this.#marked[0]!;
      if (!this.#fill(slot)) return undefined;
      this.#marked.shift();
    }
    if (this.#ready.length + this.#marked.length <= this.#options.reserveCount / 4) void this.refill();
    return slot;
  }

  /** Calls back when a slot may be taken, or with `pool_full` or `device_failed`. */
  whenReady(callback: SlotCallback): void {
    const { failed } = this.#options.health;
    if (failed !== undefined) return callback(failed);
    if (this.#ready.length > 0 || (this.#marked.length > 0 && !this.#fileSystemFull)) return callback(undefined);
    this.#waiting.push(callback);
    void this.refill();
  }

  /** Marks the next batch and resolves when the marks are durable; filling the slots goes on in the background. */
  refill(): Promise<void> {
    const { health, turns } = this.#options;
    if (this.#marking !== undefined) return this.#marking;
    if (turns.stopped || health.failed !== undefined) return Promise.resolve();
    this.#marking = this.#markBatch()
      .catch((cause) => void health.fail("Cannot reserve slots", cause))
      .finally(() => {
        this.#marking = undefined;
        this.#wake();
        this.#fillInBackground();
      });
    return this.#marking;
  }

  /** Zeroes, in the background, the slots of chunks that were deleted. */
  zeroFreed(): void {
    const { health, turns } = this.#options;
    if (this.#zeroing !== undefined || turns.stopped || health.failed !== undefined) return;
    this.#zeroing = this.#zeroAllFreed().catch((cause) => void health.fail("Cannot zero freed slots", cause))
      .finally(() => this.#zeroing = undefined);
  }

  /** Notes that a chunk was deleted: its slot is zeroed when nobody reads it any more. */
  noteDeleted(chunk: Chunk): void {
    if (chunk.isPinned) this.#pinned.set(chunk.slot, chunk);
  }

  /** Resolves when no background work runs; `Turns.stop` ends it soon. */
  async settled(): Promise<void> {
    while ((this.#marking ?? this.#filling ?? this.#zeroing) !== undefined) {
      await Promise.all([this.#marking, this.#filling, this.#zeroing]);
    }
  }

  async #markBatch(): Promise<void> {
    const { catalogue, reserveCount } = this.#options;
    // Not within the caller's transaction, which the commit below would end too early.
    await Promise.resolve();
    const slots = this.#lowestFreeSlots(reserveCount).filter((slot) => !this.#fileSystemFull || this.#hasSpace(slot));
    if (slots.length === 0) return;
    for (const slot of slots) setBit(this.#used, slot);
    this.#freeCount -= slots.length;
    catalogue.reserveSlots(slots);
    await catalogue.commitFull();
    this.#marked.push(...slots);
  }

  #fillInBackground(): void {
    const { health } = this.#options;
    if (this.#filling !== undefined || this.#marked.length === 0) return;
    for (const slot of this.#marked.splice(0)) (this.#hasSpace(slot) ? this.#ready : this.#marked).push(slot);
    this.#filling = this.#fillMarked()
      .catch((cause) => void health.fail("Cannot fill slots", cause))
      .finally(() => this.#filling = undefined);
  }

  async #fillMarked(): Promise<void> {
    const { health, turns } = this.#options;
    while (this.#marked.length > 0) {
      await turns.pause(this.#fileSystemFull ? FULL_RETRY_MS : FILL_PAUSE_MS);
      if (turns.stopped || health.failed !== undefined || this.#marked.length === 0) return;
      if (this.#fileSystemFull) this.#fileSystemFull = !this.#options.spare.restore();
      const slot = this.#marked[0]!;
      if (!this.#fill(slot)) continue;
      this.#marked.shift();
      this.#ready.push(slot);
    }
  }

  /**
   * Gives a slot space of its own, its checksums first, so that no write of either meets a full disk; false if the file system
   * is full. That harms nothing yet: the slot stays marked.
   */
  #fill(slot: number): boolean {
    const { files, health, noteDirty } = this.#options;
    if (this.#hasSpace(slot)) return true;
    if (this.#fileSystemFull) return false;
    try {
      files.populatePage(slot);
      for (let piece = 0; piece < PIECES_PER_SLOT; piece++) files.zeroPiece(slot, piece);
      noteDirty();
      return true;
    } catch (cause) {
      if (!isNoSpace(cause)) throw health.fail(`Cannot fill slot ${slot}`, cause);
      this.noteFull();
      return false;
    }
  }

  #hasSpace(slot: number): boolean {
    return slot < this.#options.files.populatedSlotCount();
  }

  async #zeroAllFreed(): Promise<void> {
    const { catalogue, health, turns, sync } = this.#options;
    let from = 0;
    await turns.pause();
    while (!turns.stopped && health.failed === undefined) {
      const marked = catalogue.listMarkedSlots({ state: SLOT_FREED, from, limit: ZEROED_PER_SYNC });
      if (marked.length === 0) {
        if (from === 0) return;
        from = 0;
        await turns.pause(RETRY_MS);
        continue;
      }
      from = marked.at(-1)! + 1;
      const slots = marked.filter((slot) => !this.#isRead(slot));
      if (slots.length === 0) continue;
      // The deletion must be durable before the data goes: else a power loss brings the chunk back, with zeros.
      await catalogue.commitFull();
      if (!await this.#zeroSlots(slots)) return;
      await sync();
      catalogue.unmarkSlots(slots);
      catalogue.afterCommit((error) => {
        if (error === undefined) { for (const slot of slots) this.#release(slot); }
      });
      catalogue.commit();
      from = 0;
    }
  }

  async #zeroSlots(slots: readonly number[]): Promise<boolean> {
    const { files, turns } = this.#options;
    for (const slot of slots) {
      for (let piece = 0; piece < PIECES_PER_SLOT; piece++) {
        files.zeroPiece(slot, piece);
        if (piece % PIECES_PER_TURN === PIECES_PER_TURN - 1) await turns.pause();
        if (turns.stopped) return false;
      }
      files.zeroPage(slot);
    }
    return true;
  }

  #isRead(slot: number): boolean {
    const chunk = this.#pinned.get(slot);
    if (chunk === undefined) return false;
    if (chunk.isPinned) return true;
    this.#pinned.delete(slot);
    return false;
  }

  #release(slot: number): void {
    clearBit(this.#used, slot);
    this.#freeCount++;
    this.#lowestFree = Math.min(this.#lowestFree, slot);
    if (this.#waiting.length > 0) void this.refill();
  }

  #lowestFreeSlots(count: number): number[] {
    const slots: number[] = [];
    let slot = this.#lowestFree;
    for (; slot < this.#options.slotCount && slots.length < count; slot++) {
      if (!hasBit(this.#used, slot)) slots.push(slot);
    }
    this.#lowestFree = slots[0] ?? slot;
    return slots;
  }

  #wake(): void {
    const { failed } = this.#options.health;
    const error = failed ?? (this.isFull ? "pool_full" : undefined);
    for (const callback of this.#waiting.splice(0)) callback(error);
  }
}
