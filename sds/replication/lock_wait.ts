/**
 * A chunk lock for code that may wait for a promise: joins and deletions. The hot path implements `LockHolder` itself.
 *
 * @module
 */
import { BLOCK_BYTES } from "@/shared/constants.ts";
import type { VtreeId } from "@/shared/ids.ts";
import { type ChunkLocks, type LockHolder, lockKey } from "@/sds/replication/chunk_locks.ts";

/** A range of a chunk under its vTree. */
export interface LockRange {
  readonly vtreeId: VtreeId;
  readonly chunkIndex: number;
  /** Whole blocks. */
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** An exclusive lock, released when it is disposed of. */
export class LockWait implements LockHolder, Disposable {
  readonly lockKey: number;
  readonly firstBlock: number;
  readonly endBlock: number;
  readonly shared = false;
  readonly #locks: ChunkLocks;
  #granted = (): void => {};

  private constructor(locks: ChunkLocks, range: LockRange) {
    this.#locks = locks;
    this.lockKey = lockKey(range.vtreeId, range.chunkIndex);
    this.firstBlock = range.offsetBytes / BLOCK_BYTES;
    this.endBlock = (range.offsetBytes + range.lengthBytes) / BLOCK_BYTES;
  }

  /** Resolves when the lock is held. */
  static async take(locks: ChunkLocks, range: LockRange): Promise<LockWait> {
    const lock = new LockWait(locks, range);
    const granted = new Promise<void>((resolve) => lock.#granted = resolve);
    if (!locks.acquire(lock)) await granted;
    return lock;
  }

  lockGranted(): void {
    this.#granted();
  }

  [Symbol.dispose](): void {
    this.#locks.release(this);
  }
}
