/**
 * A request in flight: what the block device works on, and what its reply needs. The objects are recycled, so that a
 * request costs no allocation.
 *
 * @module
 */
import type { BlockOperation, BlockRequest } from "@/sdc/block_device.ts";
import type { ReadReply } from "@/sdc/nbd/reply_frames.ts";
import type { BufferPool, PooledBuffer } from "@/shared/buffers.ts";
import { assert, type ErrorCode } from "@/shared/errors.ts";
import type { SegmentOwner } from "@/shared/net/send_queue.ts";

/** Who a request belongs to. */
export interface RequestOwner {
  /** The device is done with `request`. */
  requestCompleted(request: NbdRequest, error: ErrorCode | undefined): void;
  /** The reply of `request` left with its data, or never will. */
  requestSent(request: NbdRequest): void;
}

const NO_DATA = new Uint8Array(0);

/** See the module comment. */
export class NbdRequest implements BlockRequest, SegmentOwner, ReadReply {
  operation: BlockOperation = "read";
  offsetBytes = 0;
  lengthBytes = 0;
  forceUnitAccess = false;
  noHole = false;
  data: Uint8Array = NO_DATA;
  cookieHigh = 0;
  cookieLow = 0;
  /** Set when the request was refused before the device saw it, and for the reply. */
  errno = 0;
  /** Request type of the protocol, and its flags. */
  type = 0;
  flags = 0;
  /** Holds `data`, behind `headroom` bytes for the header of the reply. */
  buffer: PooledBuffer | undefined = undefined;

  readonly #owner: RequestOwner;
  #atDevice = false;

  constructor(owner: RequestOwner) {
    this.#owner = owner;
  }

  /** Gives the request `lengthBytes` of memory with `headroomBytes` in front. */
  attachBuffer(buffers: BufferPool, headroomBytes: number): void {
    this.buffer = buffers.take(headroomBytes + this.lengthBytes);
    // Most requests fill a size class exactly and need no view of their own.
    this.data = headroomBytes === 0 && this.buffer.length === this.lengthBytes
      ? this.buffer
      : this.buffer.subarray(headroomBytes, headroomBytes + this.lengthBytes);
  }

  /** Returns the memory to the pool. */
  detachBuffer(buffers: BufferPool): void {
    if (this.buffer !== undefined) buffers.give(this.buffer);
    this.buffer = undefined;
    this.data = NO_DATA;
  }

  /** Marks that the device has the request, until it calls `complete`. */
  handOver(): void {
    this.#atDevice = true;
  }

  complete(error: ErrorCode | undefined): void {
    assert(this.#atDevice, "a device completes each request once");
    this.#atDevice = false;
    this.#owner.requestCompleted(this, error);
  }

  segmentSent(): void {
    this.#owner.requestSent(this);
  }
}
