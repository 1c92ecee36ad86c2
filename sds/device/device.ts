/**
 * A device of an SDS: the chunks of its placement groups on one directory (replication design, sections 4.2 and 5).
 * `open_device.ts` opens and formats it.
 *
 * What its users keep to:
 *
 * - Order of a write: `beginWrite`, `setIntent` (durable), `chunk` or `createChunk`, `writeBlocks`, `afterCommit`, answer, `endWrite`.
 * - A {@linkcode Chunk} is good for the turn in which it was looked up, or while it is pinned.
 * - Overlapping operations on a chunk are kept apart by the caller's locks.
 * - Rows changed in one turn of the event loop are one transaction; `afterCommit` tells when it is in.
 *
 * A device that fails says so once (`onFailed`) and from then on answers everything with `device_failed`.
 *
 * @module
 */
import { BlockIo, type BlockRead, type BlockWrite, type ReadCallback } from "@/sds/device/block_io.ts";
import type { CommitCallback, ScrubRows } from "@/sds/device/catalogue.ts";
import type { Chunk, ChunkId } from "@/sds/device/chunk.ts";
import { ChunkStore } from "@/sds/device/chunk_store.ts";
import { DamagedBlocks, damagedCountOf } from "@/sds/device/damaged_blocks.ts";
import type { DeviceParts, DeviceTotals } from "@/sds/device/device_parts.ts";
import { DevicePg } from "@/sds/device/device_pg.ts";
import { DeviceSync } from "@/sds/device/device_sync.ts";
import type { IntentCallback } from "@/sds/device/intent_log.ts";
import { SLOT_BYTES } from "@/sds/device/layout.ts";
import { ReadPace } from "@/sds/device/read_pace.ts";
import { type SlotCallback, SlotPool } from "@/sds/device/slot_pool.ts";
import { type DeviceIdentity, markFailed, writeSuperblock } from "@/sds/device/superblock.ts";
import { isNoSpace } from "@/sds/device/spare_file.ts";
import { Turns } from "@/sds/device/turns.ts";
import { assert, type ErrorCode, StorageError } from "@/shared/errors.ts";
import type { DeviceId, Incarnation, PgId } from "@/shared/ids.ts";

/** An open device. */
export class Device {
  readonly identity: DeviceIdentity;
  readonly deviceId: DeviceId;
  readonly incarnation: Incarnation;
  /** The incarnation that stopped cleanly last, if the last one did: for the registration. */
  readonly cleanFor: Incarnation | undefined;
  readonly wasClean: boolean;
  readonly damage: DamagedBlocks;
  /** How far the scrub of each group is. */
  readonly scrubs: ScrubRows;
  /** Blocks that were bad and were written anew from a good copy, since this start. */
  repairedBlockCount = 0;
  readonly #parts: DeviceParts;
  readonly #pgs = new Map<PgId, DevicePg>();
  readonly #turns: Turns;
  readonly #sync: DeviceSync;
  readonly #slots: SlotPool;
  readonly #blocks: BlockIo;
  readonly #chunks: ChunkStore;
  #failureMark: Promise<void> | undefined;

  constructor(parts: DeviceParts) {
    const { catalogue, clock, files, health, intents, intentsFile, limits, superblock } = parts;
    this.#parts = parts;
    this.identity = superblock;
    this.deviceId = superblock.deviceId;
    this.incarnation = superblock.incarnation;
    this.cleanFor = parts.cleanFor;
    this.wasClean = parts.wasClean;
    this.scrubs = catalogue;
    const turns = this.#turns = new Turns(clock);
    const sync = this.#sync = new DeviceSync({
      files,
      intentsFile,
      catalogue,
      intents,
      pgs: this.#pgs,
      health,
      turns,
      clock,
      backgroundBytes: limits.backgroundSyncBytes,
      backgroundMs: limits.backgroundSyncMs,
      timeoutMs: limits.syncTimeoutMs,
    });
    const slots = this.#slots = new SlotPool({
      slotCount: superblock.slotCount,
      reserveCount: limits.slotReserveCount,
      files,
      spare: parts.spare,
      catalogue,
      health,
      turns,
      sync: () => sync.sync(),
      noteDirty: () => sync.noteDirty(),
    });
    const damage = this.damage = new DamagedBlocks(catalogue);
    const blocks = this.#blocks = new BlockIo({
      damage,
      files,
      health,
      clock,
      pace: new ReadPace({ coldMs: limits.coldReadMs }),
      noteChange(chunk) {
        sync.notePage(chunk);
        sync.noteDirty();
      },
    });
    const chunksMax = limits.cachedChunksMax;
    this.#chunks = new ChunkStore({ chunksMax, catalogue, files, health, slots, sync, blocks, intents: parts.intents });
    health.onFailed(() => {
      turns.stop();
      this.#failureMark = markFailed(parts.superblockFile, superblock);
    });
  }

  /** Inode of the superblock: a copied directory has another. */
  inode(): number {
    return this.#parts.superblockFile.inode();
  }

  /** `device_failed` once it failed (I22). */
  get failed(): ErrorCode | undefined {
    return this.#parts.health.failed;
  }

  /** Calls `listener` once when the device fails; at once if it has. */
  onFailed(listener: (failure: StorageError) => void): void {
    this.#parts.health.onFailed(listener);
  }

  totals(): DeviceTotals {
    return {
      capacityBytes: this.#parts.superblock.slotCount * SLOT_BYTES,
      usedBytes: this.#chunks.count * SLOT_BYTES,
      freeSlotCount: this.#slots.freeCount,
      dirtyBytes: this.#parts.files.dirtyBytes,
      cachedChunkCount: this.#chunks.cachedCount,
      damagedBlockCount: this.#pgs.values().reduce((count, pg) => count + damagedCountOf(pg), 0),
    };
  }

  // Placement groups.

  pg(pgId: PgId): DevicePg | undefined {
    return this.#pgs.get(pgId);
  }

  pgs(): IterableIterator<DevicePg> {
    return this.#pgs.values();
  }

  /** Begins an empty copy; durable with the next `commitFull`. The device has none of the group. @throws {StorageError} pool_full */
  createPg(pgId: PgId, row: { readonly epoch: number; readonly complete: boolean }): DevicePg {
    assert(!this.#pgs.has(pgId), `the device has no copy of group ${pgId} yet`);
    const taken = new Set(Array.from(this.#pgs.values(), (pg) => pg.intentSlot));
    let intentSlot = 0;
    while (taken.has(intentSlot)) intentSlot++;
    const pg = new DevicePg(pgId, { intentSlot, ...row });
    try {
      this.#parts.intents.create(pg);
    } catch (cause) {
      const attempt = `Cannot write first intents of group ${pgId}`;
      // Nothing refers to its records yet: a full file system harms nothing.
      if (isNoSpace(cause)) throw new StorageError("pool_full", `${attempt}: the file system is full`, { cause });
      throw this.#parts.health.fail(attempt, cause);
    }
    this.#parts.catalogue.putPg({ pgId, intentSlot, ...row });
    this.#pgs.set(pgId, pg);
    this.#sync.noteDirty();
    return pg;
  }

  /** Stores epoch and completeness; durable with the next `commitFull`. An epoch never decreases (I1). */
  storePg(pg: DevicePg, row: { readonly epoch: number; readonly complete: boolean }): void {
    assert(row.epoch >= pg.epoch, `I1: epoch ${pg.epoch} of group ${pg.pgId} does not become ${row.epoch}`);
    this.#parts.catalogue.putPg({ pgId: pg.pgId, intentSlot: pg.intentSlot, ...row });
    pg.epoch = row.epoch;
    pg.complete = row.complete;
    this.#sync.noteDirty();
  }

  /** Deletes the copy (I18: only on the MDM's order, or to be replaced in a join). None of its operations runs. */
  dropPg(pg: DevicePg): void {
    this.#chunks.deletePg(pg);
    this.#parts.intents.forget(pg);
    this.#pgs.delete(pg.pgId);
  }

  // Transactions of the catalogue.

  /** Calls back when the rows changed in this turn are committed; at once if there are none. */
  afterCommit(callback: CommitCallback): void {
    this.#parts.catalogue.afterCommit(callback);
  }

  /** Commits, and resolves when all rows are on stable storage; callers share syncs. @throws {StorageError} device_failed */
  async commitFull(): Promise<void> {
    this.#parts.catalogue.commit();
    // A new group's intents are on disk before, or with, its row: if they are not, every bit counts as set.
    await Promise.all([this.#parts.intentsFile.sync(), this.#parts.catalogue.log.sync()]);
  }

  // Chunks.

  /** The chunk of a key ({@linkcode chunkKey}), or undefined if none is stored. @throws {StorageError} device_failed */
  chunk(pg: DevicePg, key: number): Chunk | undefined {
    return this.#chunks.get(pg, key);
  }

  /** Stores a chunk of zeros, never written; undefined if no slot is at hand: then ask {@linkcode Device.whenSlotReady}. */
  createChunk(pg: DevicePg, id: ChunkId): Chunk | undefined {
    return this.#chunks.create(pg, id);
  }

  /** Calls back when `createChunk` may be tried again, or with `pool_full` or `device_failed`. */
  whenSlotReady(callback: SlotCallback): void {
    this.#slots.whenReady(callback);
  }

  /** Deletes a chunk; its slot is zeroed in the background, after the deletion is durable and nobody has the chunk pinned. */
  deleteChunk(chunk: Chunk): void {
    this.#chunks.delete(chunk);
  }

  /** Chunks stored of one region, by key: for joins. */
  listChunks(pg: DevicePg, region: number): ChunkId[] {
    return this.#chunks.listRegion(pg, region);
  }

  /** Up to `limit` chunks stored of a group with keys above `afterKey` (-1 to begin), by key. */
  listPgChunks(pg: DevicePg, page: { readonly afterKey: number; readonly limit: number }): ChunkId[] {
    return this.#chunks.listPg(pg, page);
  }

  // Blocks.

  /** Writes whole blocks, into the page cache. @throws {StorageError} device_failed */
  writeBlocks(chunk: Chunk, write: BlockWrite): void {
    this.#blocks.write(chunk, write);
  }

  /**
   * Reads whole blocks and verifies them (I23). `done` is called before the return when the data is at hand, else later; with
   * `not_ready` if the chunk is unverified.
   */
  readBlocks(chunk: Chunk, read: BlockRead, done: ReadCallback): void {
    this.#blocks.read(chunk, read, done);
  }

  /** Makes whole blocks zero: never written again, or with `keepAllocated` stored zeros. @throws {StorageError} device_failed */
  zeroBlocks(
    chunk: Chunk,
    range: { readonly offsetBytes: number; readonly lengthBytes: number; readonly keepAllocated: boolean },
  ): void {
    this.#blocks.zero(chunk, range);
  }

  /**
   * Takes an unverified chunk as it is: every checksum is recomputed (5.5, activation alone). The caller holds the chunk's lock.
   *
   * @throws {StorageError} device_failed, or {Error} from the disk
   */
  acceptUnverified(chunk: Chunk): Promise<void> {
    return this.#chunks.accept(chunk);
  }

  /** Notes that every block of a chunk was written or zeroed since the start, so its checksums hold again. */
  markVerified(chunk: Chunk): void {
    this.#chunks.markVerified(chunk);
  }

  /** Up to `limit` unverified chunks of a group; none when all its checksums hold. */
  listUnverified(pg: DevicePg, limit: number): ChunkId[] {
    return this.#chunks.listUnverified(pg, limit);
  }

  /** Blocks that do not match or cannot be read, damaged ones included. The chunk is locked, pinned and verified. */
  findBadBlocks(chunk: Chunk, range: { readonly first: number; readonly end: number }): Promise<number[]> {
    return this.#blocks.findBad(chunk, range);
  }

  // Write intents.

  /** Notes that a write of a region begins, before its intent is asked for. */
  beginWrite(pg: DevicePg, region: number): void {
    pg.beginWrite(region, this.#parts.intents.round);
  }

  /** Notes that it ended: after its last change of data, rows or checksums. */
  endWrite(pg: DevicePg, region: number): void {
    pg.endWrite(region, this.#parts.intents.round);
  }

  /** Sets a region's intent; calls back when it is durable, at once if it is (`DevicePg.hasIntent`). */
  setIntent(pg: DevicePg, region: number, callback: IntentCallback): void {
    if (!pg.hasIntent(region)) this.#sync.noteDirty();
    this.#parts.intents.set(pg, region, callback);
  }

  /** Copy of the 1024 bits of `resync`. */
  resyncBitmap(pg: DevicePg): Uint8Array<ArrayBuffer> {
    return pg.intents.resync.slice();
  }

  /** Adds bits to `resync`; resolves when they are durable. @throws {StorageError} device_failed */
  mergeResync(pg: DevicePg, bitmap: Uint8Array): Promise<void> {
    return this.#durable((callback) => this.#parts.intents.mergeResync(pg, bitmap, callback));
  }

  /** Sets every region in both bitmaps; resolves when they are durable. @throws {StorageError} device_failed */
  setAllIntents(pg: DevicePg): Promise<void> {
    this.#sync.noteDirty();
    return this.#durable((callback) => this.#parts.intents.setAll(pg, callback));
  }

  /** Clears `resync` of those regions that are not dirty and have no write running, and gives how many. Durable some time later. */
  clearResync(pg: DevicePg, regions: Iterable<number>): number {
    return this.#parts.intents.clearResync(pg, regions);
  }

  // Durability and end.

  /** Resolves when all that was done before the call is on stable storage; callers share syncs. @throws {StorageError} device_failed */
  sync(): Promise<void> {
    return this.#sync.sync();
  }

  /** Syncs, then clears `dirty` where no write ran since the call: before a clean stop. @throws {StorageError} device_failed */
  async settle(): Promise<void> {
    const round = this.#parts.intents.forceRound();
    await this.sync();
    this.#parts.intents.clearDirtyBefore(this.#pgs.values(), round);
  }

  /**
   * Fills memory from the catalogue and makes the reserve; `open_device.ts` calls it once.
   *
   * @throws {StorageError} device_failed
   */
  async begin(pgs: Iterable<DevicePg>): Promise<void> {
    for (const pg of pgs) this.#pgs.set(pg.pgId, pg);
    this.damage.load(this.#pgs);
    await this.#chunks.fill(this.#pgs, this.#turns);
    if (!this.#parts.spare.restore()) this.#slots.noteFull();
    await this.#slots.refill();
    this.#parts.health.requireIntact();
    this.#slots.zeroFreed();
    this.#sync.noteDirty();
  }

  /**
   * Ends all use of the device. `clean`: no operation runs any more; everything is synced, and the superblock says that this
   * incarnation stopped cleanly. A device that failed is closed as it is.
   */
  async close(options: { readonly clean: boolean }): Promise<void> {
    const { catalogue, files, health, intents, intentsFile, superblockFile } = this.#parts;
    this.#turns.stop();
    await this.#sync.close();
    await this.#slots.settled();
    await this.#chunks.settled();
    await intents.settled();
    try {
      if (options.clean && health.failed === undefined) await this.#writeClean();
    } finally {
      await this.#failureMark;
      await catalogue.close();
      for (const { file } of [files.data, files.checksums, intentsFile, catalogue.log]) file.close();
      this.#parts.spare.close();
      superblockFile.close();
    }
  }

  async #writeClean(): Promise<void> {
    const { catalogue, clock, guards, health, intents, superblock, superblockFile } = this.#parts;
    for (const pg of this.#pgs.values()) {
      assert(pg.intents.running.every((count) => count === 0), "no write runs at a clean stop");
    }
    catalogue.unmarkSlots(this.#slots.reserve);
    if (guards.syncBeforeClean) await this.#sync.sync();
    intents.clearAllDirty(this.#pgs.values());
    await intents.settled();
    health.requireIntact();
    const { generation, incarnation } = superblock;
    const digest = await catalogue.digest(() => new Promise((resolve) => void clock.setTimer(0, resolve)));
    await writeSuperblock(superblockFile, {
      ...superblock,
      generation: generation + 1,
      cleanFor: incarnation,
      catalogueDigest: digest,
    });
  }

  #durable(ask: (callback: IntentCallback) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      ask((error) => error === undefined ? resolve() : reject(this.#parts.health.failure));
    });
  }
}
