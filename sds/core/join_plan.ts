/**
 * Which chunks a join has still to copy, as the primary sees it (replication design, section 3.8 steps 2 to 4).
 *
 * A region to visit is untouched, then under way, then done. A chunk is *pending*, so that writes of it are not forwarded, while
 * its region is untouched, or under way and the chunk not copied yet. Every question is asked under the chunk's lock.
 *
 * @module
 */
import { clearBit, hasBit, setBitsOf } from "@/sds/device/bitmap.ts";

/** A chunk by its key within the group. */
export interface PlannedChunk {
  readonly key: number;
  readonly region: number;
}

/** What a join has to do. */
export class JoinPlan<Chunk extends PlannedChunk> {
  readonly #toVisit: Uint8Array;
  #region = -1;
  #queue: Chunk[] = [];
  readonly #copied = new Set<number>();

  /** `toVisit` has one bit per region; it is copied. */
  constructor(toVisit: Uint8Array) {
    this.#toVisit = toVisit.slice();
  }

  /** True if a write of the chunk is not forwarded: the copier will bring it. */
  isPending(chunk: PlannedChunk): boolean {
    if (!hasBit(this.#toVisit, chunk.region)) return false;
    return chunk.region !== this.#region || !this.#copied.has(chunk.key);
  }

  /** A write made a chunk: if its region is under way the copier must bring it too. */
  chunkCreated(chunk: Chunk): void {
    if (chunk.region === this.#region && !this.#copied.has(chunk.key)) this.#queue.push(chunk);
  }

  /** The next region to visit, which is under way from now on; undefined when all are done. */
  nextRegion(chunksOf: (region: number) => readonly Chunk[]): { region: number; chunks: readonly Chunk[] } | undefined {
    const [region] = setBitsOf(this.#toVisit);
    if (region === undefined) return undefined;
    this.#region = region;
    this.#copied.clear();
    const chunks = chunksOf(region);
    this.#queue = [...chunks];
    return { region, chunks };
  }

  /** The next chunk of the region under way; undefined when it is done, and in that same turn it leaves the visit set. */
  nextChunk(): Chunk | undefined {
    for (let chunk = this.#queue.shift(); chunk !== undefined; chunk = this.#queue.shift()) {
      if (!this.#copied.has(chunk.key)) return chunk;
    }
    clearBit(this.#toVisit, this.#region);
    this.#region = -1;
    this.#copied.clear();
    return undefined;
  }

  /** The chunk was stored by the joiner; called while its lock is still held. */
  chunkCopied(chunk: PlannedChunk): void {
    this.#copied.add(chunk.key);
  }

  get regionsLeft(): number {
    return setBitsOf(this.#toVisit).length;
  }
}
