/**
 * Messages of one connection: lines, or frames once the client has switched to them. The buffer grows with what has arrived of
 * a message, up to the limit, and shrinks behind it, so that a client that sends nothing holds little, whatever it announced.
 *
 * @module
 */
import { BUFFER_BYTES_MIN, type BufferPool, type PooledBuffer } from "@/shared/buffers.ts";
import { decodeDevicePrefix, DEVICE_PREFIX_BYTES } from "@/shared/wire/device.ts";

/** The next line without its end, the end of the stream, or a line that is longer than allowed. */
export type NextLine =
  | { readonly kind: "line"; readonly text: string }
  | { readonly kind: "end" }
  | { readonly kind: "too_long" };

/** The next frame, the end of the stream, or a frame that breaks the rules. `payload` is borrowed until the next call. */
export type NextFrame =
  | { readonly kind: "frame"; readonly text: string; readonly payload: Uint8Array }
  | { readonly kind: "end" }
  | { readonly kind: "broken"; readonly problem: string };

/** What a reader needs. */
export interface MessageReaderOptions {
  readonly buffers: BufferPool;
  /** Longest line, in bytes, without its end. */
  readonly lineBytesMax: number;
  /** Reads once, as `Connection.read` does. */
  read(into: Uint8Array): Promise<number | null>;
}

const NEWLINE = 0x0a;
/** Size of the buffer while messages are short: what an idle connection holds. */
const SHORT_BUFFER_BYTES = 4 * BUFFER_BYTES_MIN;

const utf8 = new TextDecoder();

/** See the module comment. */
export class MessageReader {
  readonly #options: MessageReaderOptions;
  #buffer: PooledBuffer;
  #start = 0;
  #end = 0;
  /** Everything before it is known to hold no newline. */
  #searched = 0;

  constructor(options: MessageReaderOptions) {
    this.#options = options;
    this.#buffer = options.buffers.take(SHORT_BUFFER_BYTES);
  }

  /** The next line; one without newline at the end of the stream counts. Invalid UTF-8 becomes U+FFFD. */
  async nextLine(): Promise<NextLine> {
    while (true) {
      const newline = this.#buffer.subarray(0, this.#end).indexOf(NEWLINE, this.#searched);
      const lineBytes = (newline < 0 ? this.#end : newline) - this.#start;
      if (lineBytes > this.#options.lineBytesMax) return { kind: "too_long" };
      if (newline >= 0) return { kind: "line", text: this.#take(newline, newline + 1) };
      this.#searched = this.#end;
      if (await this.#fill()) continue;
      return this.#end === this.#start ? { kind: "end" } : { kind: "line", text: this.#take(this.#end, this.#end) };
    }
  }

  /** The next frame. */
  async nextFrame(): Promise<NextFrame> {
    if (!await this.#need(DEVICE_PREFIX_BYTES)) {
      return this.#end === this.#start ? { kind: "end" } : { kind: "broken", problem: "The stream ends in a frame" };
    }
    const lengths = decodeDevicePrefix(this.#buffer.subarray(this.#start));
    if (typeof lengths === "string") return { kind: "broken", problem: lengths };
    const { headerBytes, payloadBytes } = lengths;
    const frameBytes = DEVICE_PREFIX_BYTES + headerBytes + payloadBytes;
    if (!await this.#need(frameBytes)) return { kind: "broken", problem: "The stream ends in a frame" };
    const payloadEnd = this.#start + frameBytes;
    const payload = this.#buffer.subarray(payloadEnd - payloadBytes, payloadEnd);
    this.#start += DEVICE_PREFIX_BYTES;
    return { kind: "frame", text: this.#take(payloadEnd - payloadBytes, payloadEnd), payload };
  }

  /** Gives the buffer back. Nobody uses this object afterwards. */
  release(): void {
    this.#options.buffers.give(this.#buffer);
  }

  /** Reads until so many bytes are there; false if the stream ends first. */
  async #need(byteCount: number): Promise<boolean> {
    while (this.#end - this.#start < byteCount) {
      if (!await this.#fill()) return false;
    }
    return true;
  }

  /** Reads once; false at the end of the stream. */
  async #fill(): Promise<boolean> {
    this.#makeRoom();
    const count = await this.#options.read(this.#buffer.subarray(this.#end));
    if (count === null) return false;
    this.#end += count;
    return true;
  }

  /** The text up to `textEnd`; what is next begins at `nextStart`. */
  #take(textEnd: number, nextStart: number): string {
    const text = utf8.decode(this.#buffer.subarray(this.#start, textEnd));
    this.#start = this.#searched = nextStart;
    return text;
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
