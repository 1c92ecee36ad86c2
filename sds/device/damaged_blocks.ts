/**
 * Blocks of which no good copy is left (replication design, section 5.6): they fail every read until they are written again or
 * mended. The catalogue keeps them, so that neither a restart nor the acceptance of an unverified chunk makes them look good.
 *
 * @module
 */
import { hasBit } from "@/sds/device/bitmap.ts";
import type { Catalogue } from "@/sds/device/catalogue.ts";
import { type Chunk, chunkKey } from "@/sds/device/chunk.ts";
import type { DevicePg } from "@/sds/device/device_pg.ts";
import { BLOCKS_PER_CHUNK } from "@/shared/constants.ts";
import type { PgId } from "@/shared/ids.ts";

/** The damaged blocks of one device; `DevicePg.damaged` holds them in memory. */
export class DamagedBlocks {
  readonly #catalogue: Catalogue;

  constructor(catalogue: Catalogue) {
    this.#catalogue = catalogue;
  }

  /** Fills memory from the catalogue. */
  load(pgs: ReadonlyMap<PgId, DevicePg>): void {
    for (const { pgId, nodeId, chunkIndex, blocks } of this.#catalogue.listDamaged()) {
      pgs.get(pgId)?.damaged.set(chunkKey(nodeId, chunkIndex), blocks);
    }
  }

  has(chunk: Chunk, block: number): boolean {
    const bits = chunk.pg.damaged.get(chunk.key);
    return bits !== undefined && hasBit(bits, block);
  }

  /** Marks a block; in the catalogue with the transaction of this turn. True if it was not marked. */
  mark(chunk: Chunk, block: number): boolean {
    if (this.has(chunk, block)) return false;
    const bits = chunk.pg.damaged.get(chunk.key)?.slice() ?? new Uint8Array(BLOCKS_PER_CHUNK / 8);
    bits[block >> 3]! |= 1 << (block & 7);
    this.#put(chunk, bits);
    return true;
  }

  /** Blocks from `first` up to `end` hold new data: what was damaged is no more. */
  overwritten(chunk: Chunk, range: { readonly first: number; readonly end: number }): void {
    const known = chunk.pg.damaged.get(chunk.key);
    if (known === undefined) return;
    const bits = known.slice();
    for (let block = range.first; block < range.end; block++) bits[block >> 3]! &= ~(1 << (block & 7));
    if (bits.some((byte, index) => byte !== known[index])) this.#put(chunk, bits);
  }

  #put(chunk: Chunk, bits: Uint8Array): void {
    const blocks = bits.some((byte) => byte !== 0) ? bits : undefined;
    this.#catalogue.putDamaged(chunk.pg.pgId, chunk, blocks);
    if (blocks === undefined) chunk.pg.damaged.delete(chunk.key);
    else chunk.pg.damaged.set(chunk.key, blocks);
  }
}

/** Damaged blocks of a copy. */
export function damagedCountOf(pg: DevicePg): number {
  let count = 0;
  for (const bits of pg.damaged.values()) {
    for (let block = 0; block < BLOCKS_PER_CHUNK; block++) if (hasBit(bits, block)) count++;
  }
  return count;
}
