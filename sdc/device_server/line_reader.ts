/**
 * Lines of one connection. The buffer grows with the line up to the limit and shrinks behind it, so that a client that
 * sends nothing holds little.
 *
 * @module
 */
import { BUFFER_BYTES_MIN, type BufferPool, type PooledBuffer } from "@/shared/buffers.ts";

/** The next line without its end, the end of the stream, or a line that is longer than allowed. */
export type NextLine =
  | { readonly kind: "line"; readonly text: string }
  | { readonly kind: "end" }
  | { readonly kind: "too_long" };

/** What a reader needs. */
export interface LineReaderOptions {
  readonly buffers: BufferPool;
  /** Longest line, in bytes, without its end. */
  readonly lineBytesMax: number;
  /** Reads once, as `Connection.read` does. */
  read(into: Uint8Array): Promise<number | null>;
}

const NEWLINE = 0x0a;
/** Size of the buffer while lines are short. */
const SHORT_BUFFER_BYTES = 16 * BUFFER_BYTES_MIN;

const utf8 = new TextDecoder();

/** See the module comment. */
export class LineReader {
  readonly #options: LineReaderOptions;
  #buffer: PooledBuffer;
  #start = 0;
  #end = 0;
  /** Everything before it is known to hold no newline. */
  #searched = 0;

  constructor(options: LineReaderOptions) {
    this.#options = options;
    this.#buffer = options.buffers.take(SHORT_BUFFER_BYTES);
  }

  /** The next line; one without newline at the end of the stream counts. Invalid UTF-8 becomes U+FFFD. */
  async next(): Promise<NextLine> {
    while (true) {
      const newline = this.#buffer.subarray(0, this.#end).indexOf(NEWLINE, this.#searched);
      const lineBytes = (newline < 0 ? this.#end : newline) - this.#start;
      if (lineBytes > this.#options.lineBytesMax) return { kind: "too_long" };
      if (newline >= 0) return this.#take(newline, newline + 1);
      this.#searched = this.#end;
      this.#makeRoom();
      const count = await this.#options.read(this.#buffer.subarray(this.#end));
      if (count === null) return this.#end === this.#start ? { kind: "end" } : this.#take(this.#end, this.#end);
      this.#end += count;
    }
  }

  /** Gives the buffer back. Nobody uses this object afterwards. */
  release(): void {
    this.#options.buffers.give(this.#buffer);
  }

  #take(lineEnd: number, nextStart: number): NextLine {
    const text = utf8.decode(this.#buffer.subarray(this.#start, lineEnd));
    this.#start = this.#searched = nextStart;
    return { kind: "line", text };
  }

  /** Moves the rest to the front, into a buffer twice as large when this one is full, or a short one again. */
  #makeRoom(): void {
    const restBytes = this.#end - this.#start;
    const wantedBytes = restBytes === this.#buffer.length
      ? 2 * restBytes
      : restBytes < SHORT_BUFFER_BYTES
      ? SHORT_BUFFER_BYTES
      : this.#buffer.length;
    if (wantedBytes === this.#buffer.length) {
      if (this.#start > 0) this.#buffer.copyWithin(0, this.#start, this.#end);
    } else {
      const buffer = this.#options.buffers.take(wantedBytes);
      buffer.set(this.#buffer.subarray(this.#start, this.#end));
      this.#options.buffers.give(this.#buffer);
      this.#buffer = buffer;
    }
    this.#searched -= this.#start;
    this.#start = 0;
    this.#end = restBytes;
  }
}
