/**
 * What arrives over one connection. One read takes whatever is there; the parser then consumes frame by frame, and a frame
 * that is not complete moves to the front before the next read.
 *
 *   │ consumed │ start … available … end │ room for the next read │
 *
 * @module
 */
import type { BufferPool, PooledBuffer } from "@/shared/buffers.ts";
import type { Connection } from "@/shared/transport.ts";

/** Size of the buffer of one connection. */
export const RECEIVE_BUFFER_BYTES = 512 * 1024;
/** With less room than this behind `end`, the rest moves to the front before a read. */
const READ_ROOM_BYTES_MIN = 128 * 1024;

/** The incoming side of one connection. */
export class ReceiveBuffer {
  readonly bytes: PooledBuffer;
  readonly view: DataView<ArrayBuffer>;
  start = 0;
  end = 0;
  readonly #connection: Connection;
  readonly #buffers: BufferPool;

  constructor(connection: Connection, buffers: BufferPool) {
    this.#connection = connection;
    this.#buffers = buffers;
    this.bytes = buffers.take(RECEIVE_BUFFER_BYTES);
    this.view = new DataView(this.bytes.buffer);
  }

  /** Bytes that arrived and are not consumed. */
  get available(): number {
    return this.end - this.start;
  }

  /** Reads once; false at the end of the stream. At most one call at a time. @throws {Error} when the connection broke. */
  async fill(): Promise<boolean> {
    if (this.start === this.end) {
      this.start = this.end = 0;
    } else if (this.bytes.length - this.end < READ_ROOM_BYTES_MIN) {
      this.bytes.copyWithin(0, this.start, this.end);
      this.end -= this.start;
      this.start = 0;
    }
    const room = this.end === 0 ? this.bytes : this.bytes.subarray(this.end);
    const readBytes = await this.#connection.read(room);
    if (readBytes === null) return false;
    this.end += readBytes;
    return true;
  }

  /** Reads until `byteCount` (well below {@linkcode RECEIVE_BUFFER_BYTES}) are available; false if the stream ends first. */
  async need(byteCount: number): Promise<boolean> {
    while (this.available < byteCount) {
      if (!await this.fill()) return false;
    }
    return true;
  }

  /** Gives the buffer back to the pool. Nobody uses this object afterwards. */
  release(): void {
    this.#buffers.give(this.bytes);
  }
}
