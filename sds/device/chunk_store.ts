/**
 * The chunks of a device: found, stored, deleted, and verified again after an unclean stop.
 *
 * @module
 */
import type { BlockIo } from "@/sds/device/block_io.ts";
import type { Catalogue } from "@/sds/device/catalogue.ts";
import { Chunk, ChunkCache, type ChunkId, chunkKey } from "@/sds/device/chunk.ts";
import type { DevicePg } from "@/sds/device/device_pg.ts";
import type { DeviceSync } from "@/sds/device/device_sync.ts";
import type { DeviceHealth } from "@/sds/device/health.ts";
import type { IntentLog } from "@/sds/device/intent_log.ts";
import type { SlotFiles } from "@/sds/device/slot_files.ts";
import type { SlotPool } from "@/sds/device/slot_pool.ts";
import type { Turns } from "@/sds/device/turns.ts";
import { CHUNKS_PER_VOLUME_MAX } from "@/shared/constants.ts";
import { assert, StorageError } from "@/shared/errors.ts";
import type { PgId } from "@/shared/ids.ts";

/** Rows that are read between two breaks at the start: about 20 ms of work. */
export const FILLED_PER_TURN = 2_000;

export interface ChunkStoreOptions {
  readonly chunksMax: number;
  readonly catalogue: Catalogue;
  readonly files: SlotFiles;
  readonly health: DeviceHealth;
  readonly slots: SlotPool;
  readonly sync: DeviceSync;
  readonly blocks: BlockIo;
  readonly intents: IntentLog;
}

/** Chunks of one open device, most of them in the catalogue, the used ones in memory. */
export class ChunkStore {
  readonly #options: ChunkStoreOptions;
  readonly #cache: ChunkCache;
  readonly #accepting = new Map<Chunk, Promise<void>>();
  #count = 0;

  constructor(options: ChunkStoreOptions) {
    this.#options = options;
    this.#cache = new ChunkCache({
      chunksMax: options.chunksMax,
      beforeEvict: (chunk) => options.sync.writePage(chunk),
    });
  }

  /** Chunks stored. */
  get count(): number {
    return this.#count;
  }

  /** Chunks in memory. */
  get cachedCount(): number {
    return this.#cache.size;
  }

  /** Fills counts, hashes and the slots in use from the catalogue, with breaks. Nobody else uses the device meanwhile. */
  async fill(pgs: ReadonlyMap<PgId, DevicePg>, turns: Turns): Promise<void> {
    const { catalogue, slots } = this.#options;
    for (const row of catalogue.everyChunk()) {
      const pg = pgs.get(row.pgId);
      assert(pg !== undefined, `group ${row.pgId} of a chunk is known`);
      pg.noteKey(row, 1);
      if (row.unverified) pg.noteUnverified(row.region, 1);
      slots.noteUsed(row.slot);
      if (++this.#count % FILLED_PER_TURN === 0) await turns.pause();
    }
    for (const slot of catalogue.everyMarkedSlot()) slots.noteUsed(slot);
  }

  get(pg: DevicePg, key: number): Chunk | undefined {
    return this.#cache.get(pg, key) ?? this.#load(pg, key);
  }

  create(pg: DevicePg, id: ChunkId): Chunk | undefined {
    const { catalogue, health, slots, sync } = this.#options;
    health.requireIntact();
    assert(pg.hasIntent(id.region), "I7: a chunk is stored only while its region's intent is durable");
    assert(!pg.chunks.has(chunkKey(id.nodeId, id.chunkIndex)), "I12: a chunk has one slot");
    const slot = slots.take();
    if (slot === undefined) return undefined;
    const unverified = false;
    const chunk = new Chunk(pg, { id, slot, unverified });
    const { vtreeId, nodeId, chunkIndex, region } = id;
    catalogue.insertChunk(pg.pgId, { vtreeId, nodeId, chunkIndex, region, slot, unverified });
    pg.noteKey(id, 1);
    this.#count++;
    this.#cache.add(chunk);
    sync.noteDirty();
    return chunk;
  }

  delete(chunk: Chunk): void {
    const { catalogue, slots, sync } = this.#options;
    assert(chunk.cached, "a chunk is deleted once");
    const { pg } = chunk;
    catalogue.deleteChunk(pg.pgId, chunk);
    this.#forget(chunk);
    pg.damaged.delete(chunk.key);
    if (chunk.unverified) pg.noteUnverified(chunk.region, -1);
    pg.noteKey(chunk, -1);
    this.#count--;
    sync.noteDirty();
    slots.zeroFreed();
  }

  /** Deletes a group's row and all its chunks. */
  deletePg(pg: DevicePg): void {
    const { catalogue, slots, sync } = this.#options;
    catalogue.deletePg(pg.pgId);
    for (const chunk of [...pg.chunks.values()]) this.#forget(chunk);
    this.#count -= pg.chunkCount;
    sync.noteDirty();
    slots.zeroFreed();
  }

  listRegion(pg: DevicePg, region: number): ChunkId[] {
    return this.#options.catalogue.listRegion(pg.pgId, region);
  }

  listPg(pg: DevicePg, page: { readonly afterKey: number; readonly limit: number }): ChunkId[] {
    return this.#options.catalogue.listPg(pg.pgId, { after: splitKey(page.afterKey), limit: page.limit });
  }

  listUnverified(pg: DevicePg, limit: number): ChunkId[] {
    const chunks: ChunkId[] = [];
    for (const region of pg.unverifiedCounts.keys()) {
      const rows = this.#options.catalogue.listRegion(pg.pgId, region);
      chunks.push(...rows.filter((row) => row.unverified).slice(0, limit - chunks.length));
      if (chunks.length >= limit) break;
    }
    return chunks;
  }

  /** As `Device.acceptUnverified`; those who ask for the same chunk share one pass. */
  accept(chunk: Chunk): Promise<void> {
    if (!chunk.unverified) return Promise.resolve();
    const running = this.#accepting.get(chunk);
    if (running !== undefined) return running;
    const accepted = this.#accept(chunk).finally(() => this.#accepting.delete(chunk));
    this.#accepting.set(chunk, accepted);
    return accepted;
  }

  /**
   * Counts as a write of the region: a sync that is under way has not seen the new checksums, so its round may not clear the intent,
   * and without one a loss of power could keep the row that says "verified" and lose the checksums.
   */
  async #accept(chunk: Chunk): Promise<void> {
    const { blocks, intents } = this.#options;
    const { pg, region } = chunk;
    chunk.pin();
    pg.beginWrite(region, intents.round);
    try {
      await new Promise<void>((resolve, reject) => {
        intents.set(pg, region, (code) => {
          if (code === undefined) resolve();
          else reject(new StorageError(code, `Cannot accept chunk ${chunk.chunkIndex}: its intent is not durable`));
        });
      });
      await blocks.recompute(chunk);
      this.markVerified(chunk);
    } finally {
      pg.endWrite(region, intents.round);
      chunk.unpin();
    }
  }

  markVerified(chunk: Chunk): void {
    if (!chunk.unverified || !chunk.cached) return;
    this.#options.catalogue.setVerified(chunk.pg.pgId, chunk);
    chunk.unverified = false;
    chunk.pg.noteUnverified(chunk.region, -1);
  }

  /** Resolves when no chunk is being accepted. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#accepting.values());
  }

  #load(pg: DevicePg, key: number): Chunk | undefined {
    const { catalogue, files, health } = this.#options;
    const row = catalogue.getChunk(pg.pgId, splitKey(key));
    if (row === undefined) return undefined;
    const chunk = new Chunk(pg, { id: row, slot: row.slot, unverified: row.unverified });
    try {
      files.readPage(row.slot, chunk.page);
    } catch (cause) {
      throw health.fail(`Cannot read checksums of slot ${row.slot}`, cause);
    }
    this.#cache.add(chunk);
    return chunk;
  }

  #forget(chunk: Chunk): void {
    this.#cache.remove(chunk);
    this.#options.slots.noteDeleted(chunk);
  }
}

/** Node and chunk index of a key; of -1 a pair before every other. */
function splitKey(key: number): { readonly nodeId: number; readonly chunkIndex: number } {
  const nodeId = Math.floor(key / CHUNKS_PER_VOLUME_MAX);
  return { nodeId, chunkIndex: key - nodeId * CHUNKS_PER_VOLUME_MAX };
}
