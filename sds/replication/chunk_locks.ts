/**
 * Locks of block ranges within chunks, shared by client, replication, join and repair operations of one device (replication
 * design, section 3.4 step 2). First come, first served: a waiter is never overtaken by one that overlaps it, which keeps
 * overlapping operations in the same order on all members (I11).
 *
 * @module
 */
import { assert } from "@/shared/errors.ts";

/** Something that holds or waits for a range. One object waits for one lock at a time. */
export interface LockHolder {
  /** Chunk under the vTree, see {@linkcode lockKey}. */
  readonly lockKey: number;
  /** First block and the one after the last, 0 to 256. */
  readonly firstBlock: number;
  readonly endBlock: number;
  /** Readers share with readers. */
  readonly shared: boolean;
  /** Called when a lock that had to wait is granted. */
  lockGranted(): void;
}

interface ChunkLock {
  readonly holders: LockHolder[];
  readonly waiters: LockHolder[];
}

/** Idle lock records kept for reuse. */
const IDLE_LOCKS_MAX = 1024;

/** One number per chunk: vTrees stay below 2^28 and chunks below 2^24, so it is exact. */
export function lockKey(vtreeId: number, chunkIndex: number): number {
  return vtreeId * 2 ** 24 + chunkIndex;
}

/** The locks of one device. */
export class ChunkLocks {
  readonly #locks = new Map<number, ChunkLock>();
  readonly #idle: ChunkLock[] = [];

  /** True if `holder` has the lock now; false if it waits and hears `lockGranted` later. */
  acquire(holder: LockHolder): boolean {
    let lock = this.#locks.get(holder.lockKey);
    if (lock === undefined) {
      lock = this.#idle.pop() ?? { holders: [], waiters: [] };
      this.#locks.set(holder.lockKey, lock);
    } else if (conflicts(holder, lock.holders) || conflicts(holder, lock.waiters)) {
      lock.waiters.push(holder);
      return false;
    }
    lock.holders.push(holder);
    return true;
  }

  /** Gives up a lock that is held and grants what waited for it. */
  release(holder: LockHolder): void {
    const lock = this.#locks.get(holder.lockKey);
    const index = lock?.holders.indexOf(holder) ?? -1;
    assert(lock !== undefined && index >= 0, "a lock is released by who holds it");
    lock.holders[index] = lock.holders[lock.holders.length - 1]!;
    lock.holders.pop();
    this.#settle(holder.lockKey, lock);
  }

  /** Takes back a wait. True if `holder` was waiting; false if it holds the lock or never asked. */
  abandon(holder: LockHolder): boolean {
    const lock = this.#locks.get(holder.lockKey);
    const index = lock?.waiters.indexOf(holder) ?? -1;
    if (lock === undefined || index < 0) return false;
    lock.waiters.splice(index, 1);
    this.#settle(holder.lockKey, lock);
    return true;
  }

  /** Chunks that somebody holds or waits for. */
  get busyChunkCount(): number {
    return this.#locks.size;
  }

  #settle(key: number, lock: ChunkLock): void {
    if (lock.waiters.length > 0) {
      const granted: LockHolder[] = [];
      const still: LockHolder[] = [];
      for (const waiter of lock.waiters) {
        if (conflicts(waiter, lock.holders) || conflicts(waiter, still)) still.push(waiter);
        else {
          lock.holders.push(waiter);
          granted.push(waiter);
        }
      }
      lock.waiters.length = 0;
      lock.waiters.push(...still);
      for (const waiter of granted) waiter.lockGranted();
    } else if (lock.holders.length === 0) {
      this.#locks.delete(key);
      if (this.#idle.length < IDLE_LOCKS_MAX) this.#idle.push(lock);
    }
  }
}

function conflicts(holder: LockHolder, others: readonly LockHolder[]): boolean {
  for (let index = 0; index < others.length; index++) {
    const other = others[index]!;
    if (holder.shared && other.shared) continue;
    if (holder.firstBlock < other.endBlock && other.firstBlock < holder.endBlock) return true;
  }
  return false;
}
