/**
 * Recycled byte buffers by size class: a fresh 1 MiB array costs 242 us, a recycled one nothing. Classes are the powers of
 * two from {@linkcode BUFFER_BYTES_MIN} to {@linkcode BUFFER_BYTES_MAX}; the last lets 32 MiB of payload carry a header.
 *
 * A buffer has one owner: `take` hands it over, `give` hands it back whole. Its old content stays in it, so an owner sends
 * on only what it has overwritten. A buffer that is never given back is garbage like any other.
 *
 * @module
 */
import { assert } from "@/shared/errors.ts";

/** Smallest buffer. */
export const BUFFER_BYTES_MIN = 4 * 1024;
/** Largest buffer. */
export const BUFFER_BYTES_MAX = 64 * 1024 * 1024;
/** Bytes that a pool keeps for reuse unless it is told otherwise. */
export const POOL_IDLE_BYTES_MAX = 64 * 1024 * 1024;

/** A buffer of a pool: it owns all of its memory, so that its length tells its class. */
export type PooledBuffer = Uint8Array<ArrayBuffer>;

const CLASS_SHIFT_MIN = Math.log2(BUFFER_BYTES_MIN);
const CLASS_COUNT = Math.log2(BUFFER_BYTES_MAX) - CLASS_SHIFT_MIN + 1;
assert(Number.isInteger(CLASS_SHIFT_MIN) && Number.isInteger(CLASS_COUNT), "buffer classes are powers of two");

/** Buffers of one process, or of one part of it. */
export class BufferPool {
  readonly #idle: PooledBuffer[][] = Array.from({ length: CLASS_COUNT }, () => []);
  readonly #idleBytesMax: number;
  #idleBytes = 0;

  /** @param options.idleBytesMax what is given back beyond this many bytes is left to the garbage collector. */
  constructor(options: { readonly idleBytesMax?: number } = {}) {
    this.#idleBytesMax = options.idleBytesMax ?? POOL_IDLE_BYTES_MAX;
  }

  /** Bytes waiting for reuse. */
  get idleBytes(): number {
    return this.#idleBytes;
  }

  /** A buffer of the smallest class that holds `byteCount` (up to {@linkcode BUFFER_BYTES_MAX}), with undefined content. */
  take(byteCount: number): PooledBuffer {
    const index = classIndex(byteCount);
    const buffer = this.#idle[index]!.pop();
    if (buffer === undefined) return new Uint8Array(BUFFER_BYTES_MIN * 2 ** index);
    this.#idleBytes -= buffer.length;
    return buffer;
  }

  /** Takes back what `take` gave, whole. The caller keeps no view of it. */
  give(buffer: PooledBuffer): void {
    const index = classIndex(buffer.length);
    assert(
      buffer.length === BUFFER_BYTES_MIN * 2 ** index && buffer.byteLength === buffer.buffer.byteLength,
      "a buffer goes back whole",
    );
    if (this.#idleBytes + buffer.length > this.#idleBytesMax) return;
    this.#idleBytes += buffer.length;
    this.#idle[index]!.push(buffer);
  }
}

function classIndex(byteCount: number): number {
  assert(byteCount <= BUFFER_BYTES_MAX, "a buffer is at most as large as the largest class");
  return byteCount <= BUFFER_BYTES_MIN ? 0 : 32 - Math.clz32(byteCount - 1) - CLASS_SHIFT_MIN;
}
