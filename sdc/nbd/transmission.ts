/**
 * The transmission phase of one connection, the hot path of the SDC (architecture, section 5): one read, every request in
 * it parsed and submitted, the replies gathered in one send buffer. No promise and no allocation per request.
 *
 *   receive ── parse ──► NbdRequest ── submit ──► BlockDevice ── complete ──► send queue
 *      ▲                     (recycled)                                          │
 *      └──────────────── pauses while too much is in flight ◄────────────────────┘
 *
 * Payload of a write is copied from the receive buffer, and what has not arrived is read straight into the request's own
 * buffer.
 *
 * @module
 */
import type { BlockOperation } from "@/sdc/block_device.ts";
import { extentsToReport } from "@/sdc/nbd/extents.ts";
import type { NbdLimits } from "@/sdc/nbd/limits.ts";
import type { Agreement } from "@/sdc/nbd/option_answers.ts";
import {
  BLOCK_SIZE,
  COMMAND,
  COMMAND_FLAG,
  ERRNO,
  errnoOf,
  EXTENTS_PER_REPLY_MAX,
  STATUS_RANGE_BYTES_MAX,
} from "@/sdc/nbd/protocol.ts";
import type { ReceiveBuffer } from "@/sdc/nbd/receive_buffer.ts";
import { COPIED_BYTES_MAX, readHeadroomBytes, Replies } from "@/sdc/nbd/replies.ts";
import { NbdRequest, type RequestOwner } from "@/sdc/nbd/request.ts";
import {
  decodeRequestHeader,
  emptyRequestHeader,
  REQUEST_HEADER_BYTES,
  requestErrno,
  type RequestHeader,
} from "@/sdc/nbd/request_header.ts";
import type { BufferPool } from "@/shared/buffers.ts";
import { type ErrorCode, StorageError } from "@/shared/errors.ts";
import type { SendQueue } from "@/shared/net/send_queue.ts";
import type { Connection } from "@/shared/transport.ts";

/** With more payload than this still to come, it is read into the request's own buffer instead of the receive buffer. */
const DIRECT_READ_BYTES_MIN = 64 * 1024;

/** What a transmission works with. */
export interface TransmissionParts {
  readonly connection: Connection;
  readonly receive: ReceiveBuffer;
  readonly queue: SendQueue;
  readonly buffers: BufferPool;
  readonly agreement: Agreement;
  readonly limits: NbdLimits;
  readonly totals: IoTotals;
}

/** What clients did, counted over the life of a server. */
export interface IoTotals {
  readCount: number;
  writeCount: number;
  readBytes: number;
  writtenBytes: number;
  /** Requests that were answered with an error. */
  errorCount: number;
}

/** See the module comment. */
export class Transmission implements RequestOwner {
  readonly #connection: Connection;
  readonly #receive: ReceiveBuffer;
  readonly #queue: SendQueue;
  readonly #buffers: BufferPool;
  readonly #agreement: Agreement;
  readonly #limits: NbdLimits;
  readonly #totals: IoTotals;
  readonly #replies: Replies;

  readonly #header: RequestHeader = emptyRequestHeader();
  readonly #rules: { sizeBytes: number; flags: number; allocationContext: boolean };
  readonly #idleRequests: NbdRequest[] = [];
  #inFlightCount = 0;
  #inFlightBytes = 0;
  /** The write whose payload is still arriving, and how much of it is there. */
  #arriving: NbdRequest | undefined;
  #arrivedBytes = 0;
  /** Why parsing ended; undefined while it goes on. */
  #ended: string | undefined;
  #stopping = false;
  #wakeReader: (() => void) | undefined;
  #idleWaiters: (() => void)[] = [];

  constructor(parts: TransmissionParts) {
    this.#connection = parts.connection;
    this.#receive = parts.receive;
    this.#queue = parts.queue;
    this.#buffers = parts.buffers;
    this.#agreement = parts.agreement;
    this.#limits = parts.limits;
    this.#totals = parts.totals;
    const { device, flags, allocationContext, structuredReplies } = parts.agreement;
    this.#replies = new Replies(parts.queue, structuredReplies);
    this.#rules = { sizeBytes: device.sizeBytes, flags, allocationContext };
  }

  /** Requests between header and reply. */
  get inFlightCount(): number {
    return this.#inFlightCount;
  }

  /**
   * Serves requests until the client leaves, breaks the protocol or the connection is closed, and gives the reason. The
   * device is done with all of them then; the replies are in the send queue.
   */
  async run(): Promise<string> {
    try {
      await this.#serve();
    } catch (error) {
      this.#ended ??= `the connection broke: ${error instanceof Error ? error.message : error}`;
    }
    this.#abandonArriving();
    await this.idle();
    return this.#ended ?? "the client left";
  }

  /** From now on new requests are refused with ESHUTDOWN. */
  refuseNew(): void {
    this.#stopping = true;
  }

  /** Resolves when no request is in flight. */
  idle(): Promise<void> {
    if (this.#inFlightCount === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  /** Looks again whether there is room for the next request: the owner of the send queue calls it on progress. */
  resume(): void {
    if (this.#wakeReader === undefined) return;
    if (!this.#queue.closed && !this.#hasRoom(this.#headerPayloadBytes())) return;
    const wake = this.#wakeReader;
    this.#wakeReader = undefined;
    wake();
  }

  async #serve(): Promise<void> {
    while (true) {
      const blocked = this.#parse();
      if (this.#ended !== undefined) return;
      if (blocked) {
        await this.#room();
        if (this.#queue.closed) return;
      } else if (!await this.#receiveMore()) {
        return;
      }
    }
  }

  #room(): Promise<void> {
    return new Promise((resolve) => this.#wakeReader = resolve);
  }

  async #receiveMore(): Promise<boolean> {
    const request = this.#arriving;
    if (request === undefined || request.lengthBytes - this.#arrivedBytes < DIRECT_READ_BYTES_MIN) {
      return await this.#receive.fill();
    }
    // The receive buffer is empty: what it held of the payload was copied.
    const readBytes = await this.#connection.read(request.data.subarray(this.#arrivedBytes));
    if (readBytes === null) return false;
    this.#arrivedBytes += readBytes;
    return true;
  }

  /** Consumes every complete request; true if it stopped because too much is in flight. */
  #parse(): boolean {
    const receive = this.#receive;
    this.#rules.sizeBytes = this.#agreement.device.sizeBytes;
    while (true) {
      if (this.#arriving !== undefined && !this.#takePayload(this.#arriving)) return false;
      if (receive.available < REQUEST_HEADER_BYTES) return false;
      if (!decodeRequestHeader(receive.view, receive.start, this.#header)) {
        this.#ended = "the magic of a request is wrong";
        return false;
      }
      if (this.#header.type === COMMAND.disconnect) {
        this.#ended = "the client disconnected";
        return false;
      }
      if (this.#header.type === COMMAND.write && this.#header.lengthBytes > BLOCK_SIZE.maxBytes) {
        // Without reading the payload nobody knows where the next request starts.
        this.#ended = `a write is ${this.#header.lengthBytes} bytes, at most ${BLOCK_SIZE.maxBytes} are allowed`;
        return false;
      }
      if (!this.#hasRoom(this.#headerPayloadBytes())) return true;
      receive.start += REQUEST_HEADER_BYTES;
      this.#begin(this.#stopping ? ERRNO.ESHUTDOWN : requestErrno(this.#header, this.#rules));
    }
  }

  /** Payload that the decoded request brings or asks for; a read above the maximum is refused and brings none. */
  #headerPayloadBytes(): number {
    const { type, lengthBytes } = this.#header;
    return (type === COMMAND.read || type === COMMAND.write) && lengthBytes <= BLOCK_SIZE.maxBytes ? lengthBytes : 0;
  }

  #hasRoom(payloadBytes: number): boolean {
    const heldBytes = this.#inFlightBytes + this.#queue.queuedBytes;
    if (this.#inFlightCount === 0 && heldBytes === 0) return true;
    return this.#inFlightCount < this.#limits.requestsInFlightMax &&
      heldBytes + payloadBytes <= this.#limits.bytesInFlightMax;
  }

  /** Makes a request of the decoded header; `errno` is why it is refused, or 0. */
  #begin(errno: number): void {
    const header = this.#header;
    const request = this.#idleRequests.pop() ?? new NbdRequest(this);
    this.#inFlightCount++;
    request.type = header.type;
    request.flags = header.flags;
    request.cookieHigh = header.cookieHigh;
    request.cookieLow = header.cookieLow;
    request.offsetBytes = header.offsetBytes;
    request.lengthBytes = header.lengthBytes;
    request.errno = errno;
    if (header.type === COMMAND.write) {
      this.#inFlightBytes += request.lengthBytes;
      request.attachBuffer(this.#buffers, 0);
      this.#arriving = request;
      this.#arrivedBytes = 0;
      return;
    }
    if (errno !== 0) return this.#fail(request, errno, undefined);
    if (header.type === COMMAND.blockStatus) return void this.#answerStatus(request);
    if (header.type === COMMAND.read) {
      this.#inFlightBytes += request.lengthBytes;
      request.attachBuffer(this.#buffers, readHeadroomBytes(request.lengthBytes));
    }
    this.#submit(request);
  }

  /** Moves buffered payload into `request`; true once it is complete and the request on its way. */
  #takePayload(request: NbdRequest): boolean {
    const receive = this.#receive;
    const missingBytes = request.lengthBytes - this.#arrivedBytes;
    const takenBytes = Math.min(missingBytes, receive.available);
    if (takenBytes > 0) {
      request.data.set(receive.bytes.subarray(receive.start, receive.start + takenBytes), this.#arrivedBytes);
      receive.start += takenBytes;
      this.#arrivedBytes += takenBytes;
    }
    if (takenBytes < missingBytes) return false;
    this.#arriving = undefined;
    if (request.errno !== 0) this.#fail(request, request.errno, undefined);
    else this.#submit(request);
    return true;
  }

  #submit(request: NbdRequest): void {
    const { flags, type } = request;
    request.operation = OPERATIONS[type]!;
    request.forceUnitAccess = (flags & COMMAND_FLAG.fua) !== 0 && CHANGES[type]!;
    request.noHole = (flags & COMMAND_FLAG.noHole) !== 0;
    request.handOver();
    if (request.lengthBytes === 0 && type !== COMMAND.flush) return request.complete(undefined);
    const { device } = this.#agreement;
    if ((flags & COMMAND_FLAG.fastZero) !== 0 && device.zeroesFast?.(request) !== true) {
      return request.complete("unsupported");
    }
    device.submit(request);
  }

  requestCompleted(request: NbdRequest, error: ErrorCode | undefined): void {
    if (error !== undefined) return this.#fail(request, errnoOf(error), error);
    const { lengthBytes } = request;
    if (request.type === COMMAND.read) {
      this.#totals.readCount++;
      this.#totals.readBytes += lengthBytes;
      if (lengthBytes <= COPIED_BYTES_MAX) {
        this.#replies.smallRead(request);
        return this.#finish(request);
      }
      this.#inFlightBytes -= lengthBytes; // from here on the send queue counts them
      return this.#replies.largeRead(request);
    }
    if (request.type === COMMAND.write) {
      this.#totals.writeCount++;
      this.#totals.writtenBytes += lengthBytes;
    }
    this.#replies.done(request);
    this.#finish(request);
  }

  requestSent(request: NbdRequest): void {
    this.#recycle(request);
  }

  async #answerStatus(request: NbdRequest): Promise<void> {
    const rangeBytes = Math.min(request.lengthBytes, STATUS_RANGE_BYTES_MAX);
    try {
      const extents = await this.#agreement.device.extents(request.offsetBytes, rangeBytes);
      const countMax = (request.flags & COMMAND_FLAG.reqOne) !== 0 ? 1 : EXTENTS_PER_REPLY_MAX;
      this.#replies.status(request, extentsToReport(extents, countMax));
      this.#finish(request);
    } catch (error) {
      const code = error instanceof StorageError ? error.code : "internal";
      this.#fail(request, errnoOf(code), code);
    }
  }

  /** Answers with an error; `code` is what the device said, if it was asked. */
  #fail(request: NbdRequest, errno: number, code: ErrorCode | undefined): void {
    this.#totals.errorCount++;
    request.errno = errno;
    this.#replies.failure(request, code);
    this.#finish(request);
  }

  /** The reply is in the send queue, or will never be. */
  #finish(request: NbdRequest): void {
    if (request.buffer !== undefined) this.#inFlightBytes -= request.lengthBytes;
    this.#recycle(request);
  }

  #recycle(request: NbdRequest): void {
    request.detachBuffer(this.#buffers);
    this.#idleRequests.push(request);
    this.#inFlightCount--;
    if (this.#wakeReader !== undefined) this.resume();
    if (this.#inFlightCount > 0 || this.#idleWaiters.length === 0) return;
    for (const resolve of this.#idleWaiters.splice(0)) resolve();
  }

  #abandonArriving(): void {
    const request = this.#arriving;
    this.#arriving = undefined;
    if (request !== undefined) this.#finish(request);
  }
}

/** By request type. */
const OPERATIONS: readonly (BlockOperation | undefined)[] = [
  "read",
  "write",
  undefined,
  "flush",
  "trim",
  "cache",
  "write_zeroes",
];
const CHANGES: readonly boolean[] = [false, true, false, false, true, false, true];
