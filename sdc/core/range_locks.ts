/**
 * Order of overlapping writes of one volume (I15): at most one unresolved write per 4 KiB block. A write waits for all
 * earlier ones that overlap it, running or waiting, so that overlapping writes run in the order in which they came. Reads
 * take no lock: a read that runs beside a write may see the block before or after it, and the primary shows no half write.
 *
 * All entries stand in one list; each counts the earlier ones that overlap it and runs at 0. Entering and leaving look at
 * every entry, some ten nanoseconds at the depths of a block device, and allocate nothing.
 *
 * @module
 */
import { assert } from "@/shared/errors.ts";

/** A write as the locks see it. The owner sets both ends before `enter` and leaves the rest alone. */
export interface RangeLockEntry {
  /** First block. */
  startBlock: number;
  /** Block after the last. */
  endBlock: number;
  /** Earlier entries that overlap this one; the entry runs at 0. */
  blockedByCount: number;
  /** Place in the list; -1 outside. */
  lockIndex: number;
}

/** The locks of one volume. */
export class RangeLocks<Entry extends RangeLockEntry> {
  readonly #entries: Entry[] = [];

  /** Entries that run or wait. */
  get size(): number {
    return this.#entries.length;
  }

  /** Adds `entry`; true if it may run now, else `leave` of an earlier one will name it. */
  enter(entry: Entry): boolean {
    assert(entry.lockIndex === -1, "a write enters the range locks once");
    const entries = this.#entries;
    let blockedByCount = 0;
    for (let index = 0; index < entries.length; index++) {
      const other = entries[index]!;
      if (other.startBlock < entry.endBlock && entry.startBlock < other.endBlock) blockedByCount++;
    }
    entry.blockedByCount = blockedByCount;
    entry.lockIndex = entries.length;
    entries.push(entry);
    return blockedByCount === 0;
  }

  /** Removes `entry`, which ran, and calls `start` for each that may run now, in the order in which they came. */
  leave(entry: Entry, start: (entry: Entry) => void): void {
    const entries = this.#entries;
    assert(entries[entry.lockIndex] === entry && entry.blockedByCount === 0, "a write that leaves the range locks ran");
    const last = entries.pop()!;
    if (last !== entry) {
      // What overlaps a running entry came after it, so the order of the list does not matter to the counts.
      entries[entry.lockIndex] = last;
      last.lockIndex = entry.lockIndex;
    }
    entry.lockIndex = -1;
    let freed: Entry[] | undefined;
    for (let index = 0; index < entries.length; index++) {
      const other = entries[index]!;
      if (other.startBlock >= entry.endBlock || entry.startBlock >= other.endBlock) continue;
      if (--other.blockedByCount === 0) (freed ??= []).push(other);
    }
    if (freed !== undefined) { for (const other of freed) start(other); }
  }

  /** Forgets all entries: the volume was stopped. */
  clear(): void {
    for (const entry of this.#entries.splice(0)) entry.lockIndex = -1;
  }
}
