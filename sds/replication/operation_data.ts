/**
 * The data of an operation: borrowed from the receive buffer while nothing has to wait, copied into a pooled buffer as soon as
 * something does.
 *
 * @module
 */
import type { BufferPool, PooledBuffer } from "@/shared/buffers.ts";
import type { BlockWrite } from "@/sds/device/block_io.ts";

const NO_DATA: Uint8Array = new Uint8Array(0);

/** Bytes of one operation. Reused with it. */
export class OperationData {
  bytes: Uint8Array = NO_DATA;
  at = 0;
  #lengthBytes = 0;
  readonly #write = { offsetBytes: 0, data: NO_DATA, crcs: new Uint32Array(0), crcIndex: 0 };
  #pooled: PooledBuffer | undefined;

  /** True while the bytes are at hand. */
  get present(): boolean {
    return this.bytes.length > 0;
  }

  /** The bytes, valid as long as they are present. */
  view(): Uint8Array {
    return this.bytes.subarray(this.at, this.at + this.#lengthBytes);
  }

  /** The bytes as a write of whole blocks, good for one call: the object is the same each time. */
  asWrite(of: { readonly offsetBytes: number; readonly crcs: Uint32Array<ArrayBuffer> }): BlockWrite {
    this.#write.offsetBytes = of.offsetBytes;
    this.#write.data = this.view();
    this.#write.crcs = of.crcs;
    return this.#write;
  }

  /** Borrows bytes until the caller's turn ends, {@linkcode OperationData.keep} or `forgetBorrowed`. */
  borrow(bytes: Uint8Array, options: { readonly at: number; readonly lengthBytes: number }): void {
    this.bytes = bytes;
    this.at = options.at;
    this.#lengthBytes = options.lengthBytes;
  }

  /** Copies what is borrowed. */
  keep(buffers: BufferPool): void {
    if (this.#pooled !== undefined || !this.present) return;
    const copy = buffers.take(this.#lengthBytes);
    copy.set(this.view());
    this.take(copy, { buffers, lengthBytes: this.#lengthBytes });
  }

  /** Takes a pooled buffer in place of what was there. */
  take(buffer: PooledBuffer, options: { readonly buffers: BufferPool; readonly lengthBytes: number }): void {
    this.release(options.buffers);
    this.#pooled = buffer;
    this.borrow(buffer, { at: 0, lengthBytes: options.lengthBytes });
  }

  /** The data is stored: what was only borrowed is let go. */
  forgetBorrowed(): void {
    this.#write.data = NO_DATA;
    if (this.#pooled === undefined) this.bytes = NO_DATA;
  }

  /** Gives everything back. */
  release(buffers: BufferPool): void {
    if (this.#pooled !== undefined) buffers.give(this.#pooled);
    this.#pooled = undefined;
    this.bytes = NO_DATA;
  }
}
