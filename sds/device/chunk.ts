/**
 * A chunk that the device has at hand: its slot and its checksums. Also the bounded cache of them.
 *
 * A cached page of checksums is authoritative while the process lives; there is one `Chunk` per slot, so a chunk must not be
 * evicted while somebody holds it across turns: {@linkcode Chunk.pin} it, or look it up again.
 *
 * @module
 */
import type { DevicePg } from "@/sds/device/device_pg.ts";
import { CHECKSUM_PAGE_BYTES } from "@/sds/device/layout.ts";
import { CHUNKS_PER_VOLUME_MAX } from "@/shared/constants.ts";
import { assert } from "@/shared/errors.ts";
import { NODE_ID_MAX, type NodeId, type VtreeId } from "@/shared/ids.ts";

assert(Number.isSafeInteger(NODE_ID_MAX * CHUNKS_PER_VOLUME_MAX), "a key of node and chunk index is exact");

/** Key of a chunk within its device: one number, so that a lookup allocates nothing. */
export function chunkKey(nodeId: NodeId, chunkIndex: number): number {
  return nodeId * CHUNKS_PER_VOLUME_MAX + chunkIndex;
}

/** Which chunk, as the catalogue knows it. */
export interface ChunkId {
  readonly vtreeId: VtreeId;
  readonly nodeId: NodeId;
  readonly chunkIndex: number;
  /** Region of write intents in its group, from `shared/placement.ts`. */
  readonly region: number;
}

/** One stored chunk. Fields that change belong to the device; others read them. */
export class Chunk implements ChunkId {
  readonly pg: DevicePg;
  readonly key: number;
  readonly vtreeId: VtreeId;
  readonly nodeId: NodeId;
  readonly chunkIndex: number;
  readonly region: number;
  readonly slot: number;
  /** One per block; 0: never written, reads as zeros. */
  readonly checksums: Uint32Array<ArrayBuffer>;
  /** The same memory, as it is stored. */
  readonly page: Uint8Array<ArrayBuffer>;
  /** True while data and checksums may disagree after an unclean stop (5.5): accept or overwrite the chunk before it is read. */
  unverified: boolean;
  /** True while the page in memory is newer than the one in the file. */
  pageDirty = false;
  /** False once it was evicted or deleted: whoever still holds it looks it up again. */
  cached = true;
  /** Used since the cache last looked for something to evict. */
  used = true;
  /** The last write to this copy while it was cached: wall clock, 0 for none, and where it was. */
  writtenAtMs = 0;
  writtenOffsetBytes = 0;
  writtenLengthBytes = 0;
  #pinCount = 0;

  constructor(
    pg: DevicePg,
    options: { readonly id: ChunkId; readonly slot: number; readonly unverified: boolean },
  ) {
    const { id } = options;
    this.pg = pg;
    this.key = chunkKey(id.nodeId, id.chunkIndex);
    this.vtreeId = id.vtreeId;
    this.nodeId = id.nodeId;
    this.chunkIndex = id.chunkIndex;
    this.region = id.region;
    this.slot = options.slot;
    this.unverified = options.unverified;
    this.page = new Uint8Array(CHECKSUM_PAGE_BYTES);
    this.checksums = new Uint32Array(this.page.buffer);
  }

  noteWrite(range: { readonly offsetBytes: number; readonly lengthBytes: number }, atMs: number): void {
    this.writtenAtMs = atMs;
    this.writtenOffsetBytes = range.offsetBytes;
    this.writtenLengthBytes = range.lengthBytes;
  }

  /** Keeps the chunk in the cache, and its slot from being zeroed if it is deleted, until `unpin`. */
  pin(): void {
    this.#pinCount++;
  }

  unpin(): void {
    assert(this.#pinCount > 0, "a chunk is unpinned as often as it was pinned");
    this.#pinCount--;
  }

  get isPinned(): boolean {
    return this.#pinCount > 0;
  }
}

/** Chunks in memory, at most as many as the setting says but for pinned ones. Evicts by second chance. */
export class ChunkCache {
  readonly #chunks: Chunk[] = [];
  readonly #chunksMax: number;
  readonly #beforeEvict: (chunk: Chunk) => void;
  #hand = 0;

  /** @param options.beforeEvict writes the chunk's page if it is dirty. */
  constructor(options: { readonly chunksMax: number; readonly beforeEvict: (chunk: Chunk) => void }) {
    this.#chunksMax = options.chunksMax;
    this.#beforeEvict = options.beforeEvict;
  }

  get size(): number {
    return this.#chunks.length;
  }

  get(pg: DevicePg, key: number): Chunk | undefined {
    const chunk = pg.chunks.get(key);
    if (chunk !== undefined) chunk.used = true;
    return chunk;
  }

  /** Takes a chunk in, evicting another one when full. */
  add(chunk: Chunk): void {
    chunk.pg.chunks.set(chunk.key, chunk);
    const index = this.#chunks.length >= this.#chunksMax ? this.#evict() : undefined;
    if (index === undefined) this.#chunks.push(chunk);
    else this.#chunks[index] = chunk;
  }

  /** Forgets a deleted chunk. */
  remove(chunk: Chunk): void {
    chunk.cached = false;
    chunk.pg.chunks.delete(chunk.key);
    // Its place is found by the hand: see `#evict`.
  }

  /** Frees a place and gives its index; undefined if everything is pinned. */
  #evict(): number | undefined {
    const count = this.#chunks.length;
    for (let step = 0; step < 2 * count; step++) {
      const index = this.#hand;
      this.#hand = (this.#hand + 1) % count;
      const chunk = this.#chunks[index]!;
      if (!chunk.cached) return index;
      if (chunk.isPinned) continue;
      if (chunk.used) {
        chunk.used = false;
        continue;
      }
      this.#beforeEvict(chunk);
      this.remove(chunk);
      return index;
    }
    return undefined;
  }
}
