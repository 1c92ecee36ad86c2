/**
 * Content of one file of a `MemoryDisk`: what the page cache holds, and what may be on stable storage instead.
 *
 * Each sync begins a new *layer*; a layer keeps the pages as they were before their first change in it, and goes when the sync
 * that covers it ends. After a power loss every sector of 512 bytes has one of the contents that the layers and the cache give.
 *
 * @module
 */
import type { Random } from "@/shared/random.ts";

const PAGE_BYTES = 4096;
const SECTOR_BYTES = 512;

interface Layer {
  /** Pages before their first change in this layer; `undefined`: it was a hole. */
  readonly before: Map<number, Uint8Array | undefined>;
  readonly sizeBytes: number;
}

export class MemoryContent {
  #pages = new Map<number, Uint8Array>();
  #layers: Layer[] = [{ before: new Map(), sizeBytes: 0 }];
  #sizeBytes = 0;

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  read(into: Uint8Array, positionBytes: number): number {
    const count = Math.max(0, Math.min(into.length, this.#sizeBytes - positionBytes));
    for (let done = 0; done < count;) {
      const { pageIndex, offset, length } = pieceAt(positionBytes + done, count - done);
      const page = this.#pages.get(pageIndex);
      if (page === undefined) into.fill(0, done, done + length);
      else into.set(page.subarray(offset, offset + length), done);
      done += length;
    }
    return count;
  }

  write(bytes: Uint8Array, positionBytes: number): void {
    for (let done = 0; done < bytes.length;) {
      const { pageIndex, offset, length } = pieceAt(positionBytes + done, bytes.length - done);
      this.#keepBefore(pageIndex);
      let page = this.#pages.get(pageIndex);
      if (page === undefined) this.#pages.set(pageIndex, page = new Uint8Array(PAGE_BYTES));
      page.set(bytes.subarray(done, done + length), offset);
      done += length;
    }
    this.#sizeBytes = Math.max(this.#sizeBytes, positionBytes + bytes.length);
  }

  truncate(sizeBytes: number): void {
    for (const pageIndex of [...this.#pages.keys()]) {
      const keptBytes = sizeBytes - pageIndex * PAGE_BYTES;
      if (keptBytes >= PAGE_BYTES) continue;
      this.#keepBefore(pageIndex);
      if (keptBytes <= 0) this.#pages.delete(pageIndex);
      else this.#pages.get(pageIndex)!.fill(0, keptBytes);
    }
    this.#sizeBytes = sizeBytes;
  }

  /** Begins a sync of what is written so far; the returned function ends it. */
  beginSync(): () => void {
    const covered = this.#layers;
    this.#layers = [...covered, { before: new Map(), sizeBytes: this.#sizeBytes }];
    return () => {
      this.#layers = this.#layers.filter((layer) => !covered.includes(layer));
    };
  }

  /** Changes a byte without the knowledge of anybody: rot. */
  flipBit(positionBytes: number, bit: number): void {
    const { pageIndex, offset } = pieceAt(positionBytes, 1);
    const page = this.#pages.get(pageIndex) ?? new Uint8Array(PAGE_BYTES);
    page[offset]! ^= 1 << bit;
    this.#pages.set(pageIndex, page);
  }

  /** Leaves of each unsynced sector one of the contents that it had since the last sync. */
  losePower(random: Random): void {
    const versions = new Map<number, (Uint8Array | undefined)[]>();
    for (const layer of this.#layers) {
      for (const [pageIndex, page] of layer.before) {
        const seen = versions.get(pageIndex);
        if (seen === undefined) versions.set(pageIndex, [page]);
        else seen.push(page);
      }
    }
    for (const [pageIndex, pages] of versions) {
      pages.push(this.#pages.get(pageIndex));
      this.#pages.set(pageIndex, mixSectors(pages, random));
    }
    const sizes = [...this.#layers.map((layer) => layer.sizeBytes), this.#sizeBytes];
    this.#layers = [{ before: new Map(), sizeBytes: 0 }];
    this.truncate(pick(sizes, random));
    this.#layers = [{ before: new Map(), sizeBytes: this.#sizeBytes }];
  }

  #keepBefore(pageIndex: number): void {
    const { before } = this.#layers.at(-1)!;
    if (!before.has(pageIndex)) before.set(pageIndex, this.#pages.get(pageIndex)?.slice());
  }
}

function mixSectors(pages: readonly (Uint8Array | undefined)[], random: Random): Uint8Array {
  const mixed = new Uint8Array(PAGE_BYTES);
  for (let offset = 0; offset < PAGE_BYTES; offset += SECTOR_BYTES) {
    const page = pick(pages, random);
    if (page !== undefined) mixed.set(page.subarray(offset, offset + SECTOR_BYTES), offset);
  }
  return mixed;
}

function pick<Item>(items: readonly Item[], random: Random): Item {
  return items[Math.floor(random.fraction() * items.length)]!;
}

function pieceAt(positionBytes: number, lengthBytes: number) {
  const offset = positionBytes % PAGE_BYTES;
  const length = Math.min(lengthBytes, PAGE_BYTES - offset);
  return { pageIndex: (positionBytes - offset) / PAGE_BYTES, offset, length };
}
