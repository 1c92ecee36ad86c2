/**
 * Replies of one connection on their way into its send queue: which form a reply has, and whether data is copied.
 *
 * @module
 */
import type { Extent } from "@/sdc/block_device.ts";
import { COMMAND } from "@/sdc/nbd/protocol.ts";
import {
  CHUNK_HEADER_BYTES,
  DATA_CHUNK_HEADER_BYTES,
  encodeErrorChunk,
  encodeStatusChunk,
  putDataChunkHeader,
  putNoneChunk,
  putSimpleReply,
  SIMPLE_REPLY_BYTES,
} from "@/sdc/nbd/reply_frames.ts";
import type { NbdRequest } from "@/sdc/nbd/request.ts";
import { assert, type ErrorCode } from "@/shared/errors.ts";
import { SEND_BUFFER_BYTES, type SendQueue } from "@/shared/net/send_queue.ts";

/**
 * Data of a read up to this length is copied behind its header into the send buffer. Longer data leaves from the buffer
 * that the device filled, with the header written into the headroom in front: one write and no copy.
 */
export const COPIED_BYTES_MAX = 64 * 1024;

assert(DATA_CHUNK_HEADER_BYTES + COPIED_BYTES_MAX <= SEND_BUFFER_BYTES, "a copied reply fits one send buffer");

/** Bytes that a read's buffer has in front of the data. */
export function readHeadroomBytes(lengthBytes: number): number {
  return lengthBytes > COPIED_BYTES_MAX ? DATA_CHUNK_HEADER_BYTES : 0;
}

/** See the module comment. */
export class Replies {
  readonly #queue: SendQueue;
  readonly #structured: boolean;

  /** @param structured structured replies were agreed. */
  constructor(queue: SendQueue, structured: boolean) {
    this.#queue = queue;
    this.#structured = structured;
  }

  /** Success of a request that brings no data. */
  done(request: NbdRequest): void {
    const start = this.#queue.reserve(SIMPLE_REPLY_BYTES);
    putSimpleReply(this.#queue.view, start, request);
  }

  /** Success of a read of up to {@linkcode COPIED_BYTES_MAX}; its data is copied. */
  smallRead(request: NbdRequest): void {
    const queue = this.#queue;
    if (this.#structured && request.lengthBytes === 0) {
      const start = queue.reserve(CHUNK_HEADER_BYTES);
      return putNoneChunk(queue.view, start, request);
    }
    const headerBytes = this.#structured ? DATA_CHUNK_HEADER_BYTES : SIMPLE_REPLY_BYTES;
    const start = queue.reserve(headerBytes + request.lengthBytes);
    this.#putReadHeader(queue.view, start, request);
    queue.bytes.set(request.data, start + headerBytes);
  }

  /** Success of a longer read: the queue borrows the request's buffer until `request.segmentSent`. */
  largeRead(request: NbdRequest): void {
    const buffer = request.buffer;
    assert(buffer !== undefined && request.lengthBytes > COPIED_BYTES_MAX, "a large read has a buffer with headroom");
    const start = this.#structured ? 0 : DATA_CHUNK_HEADER_BYTES - SIMPLE_REPLY_BYTES;
    this.#putReadHeader(new DataView(buffer.buffer), start, request);
    this.#queue.appendSegment(buffer.subarray(start, DATA_CHUNK_HEADER_BYTES + request.lengthBytes), request);
  }

  /** Success of BLOCK_STATUS. */
  status(request: NbdRequest, extents: readonly Extent[]): void {
    this.#queue.append(encodeStatusChunk(request, extents));
  }

  /** The error in `request.errno`; `code` is what the device said, if it was asked. */
  failure(request: NbdRequest, code: ErrorCode | undefined): void {
    if (this.#structured) this.#queue.append(encodeErrorChunk(request, failureText(request, code)));
    else this.done(request);
  }

  #putReadHeader(view: DataView, start: number, request: NbdRequest): void {
    if (this.#structured) putDataChunkHeader(view, start, request);
    else putSimpleReply(view, start, request);
  }
}

const COMMAND_NAMES: readonly string[] = Object.keys(COMMAND);

function failureText(request: NbdRequest, code: ErrorCode | undefined): string {
  const name = COMMAND_NAMES[request.type] ?? `Request type ${request.type}`;
  const range = `${request.lengthBytes} bytes at ${request.offsetBytes}`;
  return code === undefined ? `${name} of ${range} was refused` : `${name} of ${range} failed: ${code}`;
}
