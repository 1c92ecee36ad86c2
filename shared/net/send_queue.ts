/**
 * What leaves over one connection. Frames that are appended in one wakeup leave in one write; while a write is in flight,
 * appends gather behind it and leave together when it ends (worth 13 to 24 times at depth 32).
 *
 *   reserve, append ──► current buffer ──┐ cut when full, before a segment, or when the wire is free
 *   appendSegment ───────────────────────┴──► segments in order ──► one write at a time ──► connection
 *
 * The first append schedules a microtask that starts writing, so nobody calls a flush. Small payloads are copied behind
 * their header; large ones are sent from the caller's own buffer as a segment, which the queue borrows until
 * `segmentSent`. The queue does not own the connection: after a failure its owner closes it.
 *
 * @module
 */
import type { BufferPool, PooledBuffer } from "@/shared/buffers.ts";
import type { Clock } from "@/shared/clock.ts";
import { assert } from "@/shared/errors.ts";
import type { Connection } from "@/shared/transport.ts";

/** Size of a gathering buffer, and the most that one `reserve` may ask for. */
export const SEND_BUFFER_BYTES = 256 * 1024;
/** Bytes that may wait in one queue before the peer counts as not reading, unless the owner sets another limit. */
export const SEND_QUEUE_BYTES_MAX = 256 * 1024 * 1024;

/** Who lent a segment. */
export interface SegmentOwner {
  /** Called once, when the bytes are no longer needed: they were sent, or the queue was closed or failed. */
  segmentSent(): void;
}

/** What a queue needs. */
export interface SendQueueOptions {
  readonly buffers: BufferPool;
  /** The connection cannot be written to, or the peer let `queuedBytesMax` pile up. Called once; the queue is closed then. */
  onError(error: unknown): void;
  /** Called after each write, when `queuedBytes` has fallen: for owners that pause while it is high. */
  onProgress?(): void;
  /** Default {@linkcode SEND_QUEUE_BYTES_MAX}. */
  readonly queuedBytesMax?: number;
}

/** One piece of the stream: either a gathering buffer of the pool or a segment that somebody lent. */
interface Segment {
  readonly bytes: Uint8Array;
  readonly pooled: PooledBuffer | undefined;
  readonly owner: SegmentOwner | undefined;
}

const NO_BUFFER: PooledBuffer = new Uint8Array(0);
const NO_VIEW = new DataView(NO_BUFFER.buffer);

/** Where closed queues let their owners write to; nobody reads it. */
let discarded: PooledBuffer | undefined;

/** The outgoing side of one connection. */
export class SendQueue {
  /** The buffer that the last `reserve` points into; other calls may replace it. */
  bytes: PooledBuffer = NO_BUFFER;
  /** `bytes` as a view, for integers of a header. */
  view: DataView<ArrayBuffer> = NO_VIEW;

  readonly #connection: Connection;
  readonly #options: SendQueueOptions;
  readonly #queuedBytesMax: number;
  readonly #segments: Segment[] = [];
  #filledBytes = 0;
  #queuedBytes = 0;
  #writing = false;
  #scheduled = false;
  #closed = false;
  #drainWaiters: (() => void)[] = [];

  constructor(connection: Connection, options: SendQueueOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#queuedBytesMax = options.queuedBytesMax ?? SEND_QUEUE_BYTES_MAX;
  }

  /** Bytes appended and not yet taken by the connection. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** True after `close` or a failure: what is appended then goes nowhere. */
  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Makes room for `byteCount` (up to {@linkcode SEND_BUFFER_BYTES}) bytes at the end of the stream and gives their offset
   * in `bytes` and `view`. The caller fills all of them before it returns to the event loop.
   */
  reserve(byteCount: number): number {
    assert(byteCount <= SEND_BUFFER_BYTES, "a reservation fits one send buffer");
    if (this.#filledBytes + byteCount > this.bytes.length) this.#replaceBuffer();
    const offset = this.#filledBytes;
    this.#filledBytes += byteCount;
    this.#enqueued(byteCount);
    return offset;
  }

  /** Takes back the last reservation from `offset` on, when its content could not be had. Nothing was appended since. */
  unreserve(offset: number): void {
    assert(offset <= this.#filledBytes, "a reservation is taken back once");
    this.#queuedBytes -= this.#filledBytes - offset;
    this.#filledBytes = offset;
  }

  /** Copies `bytes`, of any length, to the end of the stream. */
  append(bytes: Uint8Array): void {
    if (bytes.length <= SEND_BUFFER_BYTES) {
      const offset = this.reserve(bytes.length);
      this.bytes.set(bytes, offset);
      return;
    }
    for (let start = 0; start < bytes.length; start += SEND_BUFFER_BYTES) {
      this.append(bytes.subarray(start, start + SEND_BUFFER_BYTES));
    }
  }

  /** Puts `bytes` at the end of the stream without a copy. Borrows them until `owner.segmentSent`. */
  appendSegment(bytes: Uint8Array, owner: SegmentOwner): void {
    if (this.#closed) return owner.segmentSent();
    this.#cut();
    this.#segments.push({ bytes, pooled: undefined, owner });
    this.#enqueued(bytes.length);
  }

  /** Resolves when all that was appended has left, or never will because the queue is closed. */
  drained(): Promise<void> {
    if (this.#queuedBytes === 0 || this.#closed) return Promise.resolve();
    return new Promise((resolve) => this.#drainWaiters.push(resolve));
  }

  /** As `drained`, for at most `limitMs`: then `giveUp` is called, which must close the queue. */
  async drainedWithin(clock: Clock, limit: { readonly limitMs: number; readonly giveUp: () => void }): Promise<void> {
    if (this.#queuedBytes === 0) return;
    const deadline = clock.setTimer(limit.limitMs, limit.giveUp);
    await this.drained();
    deadline.cancel();
  }

  /** Drops what waits. A write in flight keeps its segment until it settles: close the connection to make it. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#queuedBytes = 0;
    this.#releaseCurrent();
    for (const segment of this.#segments.splice(0)) this.#release(segment);
    this.#resolveDrained();
  }

  #enqueued(byteCount: number): void {
    if (this.#closed) {
      // Room is still given, so that callers need not ask.
      this.#filledBytes = 0;
      return;
    }
    this.#queuedBytes += byteCount;
    const piledUp = this.#queuedBytes > this.#queuedBytesMax;
    if (this.#scheduled || (this.#writing && !piledUp)) return;
    this.#scheduled = true;
    queueMicrotask(this.#start);
  }

  readonly #start = (): void => {
    this.#scheduled = false;
    if (this.#queuedBytes > this.#queuedBytesMax) this.#failPiledUp();
    if (!this.#writing && !this.#closed) this.#writeAll();
  };

  /** Writes until nothing is left. Never rejects. */
  async #writeAll(): Promise<void> {
    this.#writing = true;
    try {
      for (let segment = this.#next(); segment !== undefined; segment = this.#next()) {
        await this.#writeSegment(segment);
        if (!this.#closed) this.#options.onProgress?.();
      }
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#writing = false;
    }
    if (this.#queuedBytes === 0) this.#resolveDrained();
  }

  /** The segment goes back to its owner whatever happens, but only after the write that borrows it has settled. */
  async #writeSegment(segment: Segment): Promise<void> {
    try {
      let sentBytes = 0;
      while (sentBytes < segment.bytes.length && !this.#closed) {
        const rest = sentBytes === 0 ? segment.bytes : segment.bytes.subarray(sentBytes);
        const writtenBytes = await this.#connection.write(rest);
        sentBytes += writtenBytes;
        if (!this.#closed) this.#queuedBytes -= writtenBytes;
      }
    } finally {
      this.#release(segment);
    }
  }

  #next(): Segment | undefined {
    if (this.#closed) return undefined;
    if (this.#segments.length === 0) this.#cut();
    return this.#segments.shift();
  }

  /** Turns what was gathered into a segment. */
  #cut(): void {
    if (this.#filledBytes === 0) return;
    const bytes = this.#filledBytes === this.bytes.length ? this.bytes : this.bytes.subarray(0, this.#filledBytes);
    this.#segments.push({ bytes, pooled: this.bytes, owner: undefined });
    this.bytes = NO_BUFFER;
    this.view = NO_VIEW;
    this.#filledBytes = 0;
  }

  #replaceBuffer(): void {
    this.#cut();
    this.bytes = this.#closed ? (discarded ??= new Uint8Array(SEND_BUFFER_BYTES)) : this.#options.buffers.take(
      SEND_BUFFER_BYTES,
    );
    this.view = new DataView(this.bytes.buffer);
  }

  #releaseCurrent(): void {
    if (this.bytes.length > 0) this.#options.buffers.give(this.bytes);
    this.bytes = NO_BUFFER;
    this.view = NO_VIEW;
    this.#filledBytes = 0;
  }

  #release(segment: Segment): void {
    if (segment.pooled !== undefined) this.#options.buffers.give(segment.pooled);
    segment.owner?.segmentSent();
  }

  #failPiledUp(): void {
    this.#fail(new Error(`Cannot send to ${this.#connection.peer}: ${this.#queuedBytes} bytes wait, it does not read`));
  }

  #fail(error: unknown): void {
    if (this.#closed) return;
    this.close();
    this.#options.onError(error);
  }

  #resolveDrained(): void {
    for (const resolve of this.#drainWaiters.splice(0)) resolve();
  }
}
