/**
 * Frames over one connection: one read, every frame in it handed to the handler, whose answers gather in the send queue and
 * leave in one write (architecture, data-path rule 2). No allocation per frame: the handler gets one cursor that is reused.
 *
 * A bad frame ends this connection only, and says which field was wrong.
 *
 * @module
 */
import type { BufferPool, PooledBuffer } from "@/shared/buffers.ts";
import { StorageError } from "@/shared/errors.ts";
import { SendQueue } from "@/shared/net/send_queue.ts";
import type { Connection } from "@/shared/transport.ts";
import {
  COMPACT_HEADER_BYTES,
  encodeCompactHeader,
  FRAME_KINDS,
  FRAME_PAYLOAD_BYTES_MAX,
  FRAME_PREFIX_BYTES,
  HANDSHAKE_HEADER_BYTES_MAX,
  HEADER_FIELDS,
  headerOfJson,
  JSON_HEADER_BYTES_MAX,
  JSON_HEADER_FIRST_BYTE,
  kindOfNumber,
} from "@/shared/wire/header.ts";

/** Size of a receive buffer: several 64 KiB frames in one read (rule 4). */
export const RECEIVE_BUFFER_BYTES = 512 * 1024;

/** The frame being handled. Its buffers are borrowed: valid during `onFrame` only. */
export interface Frame {
  /** A compact header at `headerAt`, also when the frame came with a JSON header that has a compact form. */
  header: DataView;
  headerAt: number;
  /** Payload of `payloadBytes` at `payloadAt` of `bytes`. */
  bytes: Uint8Array;
  view: DataView;
  payloadAt: number;
  payloadBytes: number;
}

/** What a channel does with what arrives. */
export interface FrameHandler {
  /** A frame with a kind of `FRAME_KINDS`. @throws {StorageError} to end the connection. */
  onFrame(frame: Frame): void;
  /** A control message. @throws {StorageError} to end the connection. */
  onMessage(message: { readonly kind?: unknown }): void;
  /** All frames of one read were handed over. */
  onBatchEnd(): void;
  /** The connection is over; called once. */
  onClosed(reason: string): void;
}

const KIND_NAMES: ReadonlySet<string> = new Set(Object.keys(FRAME_KINDS));
const REQUEST_ID_AT = HEADER_FIELDS.requestId[0];
const decoder = new TextDecoder("utf-8", { fatal: true });
const encoder = new TextEncoder();

/** What a channel needs. */
export interface FrameChannelOptions {
  readonly buffers: BufferPool;
  /** Bytes that may wait for a peer that does not read. */
  readonly queuedBytesMax?: number;
  /** Hears of a handler that broke an invariant, for the log. */
  onFault?(error: unknown): void;
}

/** One connection of frames. */
export class FrameChannel {
  readonly send: SendQueue;
  readonly peer: string;
  /** Headers that have a compact form are sent in it. Set by the handshake. */
  compact = false;
  /** Until the peer has proved who it is, headers are small and payloads empty. */
  trusted = false;

  readonly #connection: Connection;
  readonly #buffers: BufferPool;
  readonly #onFault: ((error: unknown) => void) | undefined;
  #handler: FrameHandler | undefined;
  #closed = false;
  readonly #scratch = new DataView(new ArrayBuffer(COMPACT_HEADER_BYTES));
  readonly #frame: Frame = {
    header: this.#scratch,
    headerAt: 0,
    bytes: new Uint8Array(0),
    view: this.#scratch,
    payloadAt: 0,
    payloadBytes: 0,
  };

  constructor(connection: Connection, options: FrameChannelOptions) {
    this.#connection = connection;
    this.#onFault = options.onFault;
    this.#buffers = options.buffers;
    this.peer = connection.peer;
    this.send = new SendQueue(connection, {
      ...options,
      onError: (error) => this.close(`cannot write to ${this.peer}: ${messageOf(error)}`),
    });
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Changes who handles what arrives: the handshake, then the session. */
  handle(handler: FrameHandler): void {
    this.#handler = handler;
  }

  /** Reads until the connection ends. Never rejects. */
  async run(): Promise<void> {
    let buffer: PooledBuffer = this.#buffers.take(RECEIVE_BUFFER_BYTES);
    let view = new DataView(buffer.buffer);
    let start = 0;
    let end = 0;
    try {
      while (!this.#closed) {
        const readBytes = await this.#connection.read(end === 0 ? buffer : buffer.subarray(end));
        if (readBytes === null) {
          this.close("the peer closed the connection");
          break;
        }
        if (this.#closed) break;
        end += readBytes;
        this.#frame.bytes = buffer;
        this.#frame.view = view;
        const needed = this.#handOver(start, end);
        start = this.#parsedTo;
        this.#handler?.onBatchEnd();
        if (start === end) start = end = 0;
        else if (needed > buffer.length - start) {
          const larger = needed > buffer.length ? this.#buffers.take(needed) : buffer;
          larger.set(buffer.subarray(start, end));
          if (larger !== buffer) {
            this.#buffers.give(buffer);
            buffer = larger;
            view = new DataView(buffer.buffer);
          }
          end -= start;
          start = 0;
        }
      }
    } catch (error) {
      this.close(error instanceof StorageError ? error.message : `cannot read from ${this.peer}: ${messageOf(error)}`);
    } finally {
      this.#buffers.give(buffer);
    }
  }

  #parsedTo = 0;

  /** A handler that throws anything but a StorageError has a fault of its own: it is told, and ends this connection too. */
  #handOver(start: number, end: number): number {
    try {
      return this.#parse(start, end);
    } catch (error) {
      if (!(error instanceof StorageError)) this.#onFault?.(error);
      throw error;
    }
  }

  /** Hands over every whole frame between `start` and `end`; gives the bytes that the next frame needs from `#parsedTo`. */
  #parse(start: number, end: number): number {
    const frame = this.#frame;
    const view = frame.view;
    let at = start;
    let needed = FRAME_PREFIX_BYTES + COMPACT_HEADER_BYTES + FRAME_PAYLOAD_BYTES_MAX;
    while (end - at >= FRAME_PREFIX_BYTES && !this.#closed) {
      const headerBytes = view.getUint32(at);
      const payloadBytes = view.getUint32(at + 4);
      this.#checkLengths(headerBytes, payloadBytes);
      const frameBytes = FRAME_PREFIX_BYTES + headerBytes + payloadBytes;
      if (end - at < frameBytes) {
        needed = Math.max(needed, frameBytes);
        break;
      }
      const headerAt = at + FRAME_PREFIX_BYTES;
      at += frameBytes;
      this.#parsedTo = at;
      frame.payloadAt = headerAt + headerBytes;
      frame.payloadBytes = payloadBytes;
      if (frame.bytes[headerAt] === JSON_HEADER_FIRST_BYTE) this.#onJson(headerAt, headerBytes);
      else this.#onCompact(headerAt, headerBytes);
    }
    this.#parsedTo = at;
    return needed;
  }

  #checkLengths(headerBytes: number, payloadBytes: number): void {
    const headerMax = this.trusted ? JSON_HEADER_BYTES_MAX : HANDSHAKE_HEADER_BYTES_MAX;
    const payloadMax = this.trusted ? FRAME_PAYLOAD_BYTES_MAX : 0;
    if (headerBytes < 2 || headerBytes > headerMax) {
      throw new StorageError(
        "bad_request",
        `Cannot read a frame: headerBytes is ${headerBytes}, not 2 to ${headerMax}`,
      );
    }
    if (payloadBytes > payloadMax) {
      throw new StorageError(
        "bad_request",
        `Cannot read a frame: payloadBytes is ${payloadBytes}, at most ${payloadMax}`,
      );
    }
  }

  #onCompact(headerAt: number, headerBytes: number): void {
    const frame = this.#frame;
    if (!this.trusted || headerBytes !== COMPACT_HEADER_BYTES || kindOfNumber(frame.bytes[headerAt]!) === undefined) {
      const kind = frame.bytes[headerAt];
      throw new StorageError(
        "bad_request",
        `Cannot read a frame: a compact header of kind ${kind} and ${headerBytes} bytes is none of ours (${COMPACT_HEADER_BYTES})`,
      );
    }
    frame.header = frame.view;
    frame.headerAt = headerAt;
    this.#handler!.onFrame(frame);
  }

  #onJson(headerAt: number, headerBytes: number): void {
    const frame = this.#frame;
    let json: { kind?: unknown };
    try {
      json = JSON.parse(decoder.decode(frame.bytes.subarray(headerAt, headerAt + headerBytes)));
    } catch (cause) {
      throw new StorageError("bad_request", "Cannot read a frame: the header begins with { and is not JSON", { cause });
    }
    if (typeof json.kind !== "string" || !KIND_NAMES.has(json.kind)) return this.#handler!.onMessage(json);
    const values = headerOfJson(json);
    if (typeof values === "string") throw new StorageError("bad_request", `Cannot read a frame: ${values}`);
    if (!this.trusted) {
      throw new StorageError("unauthorized", `Cannot take ${values.kind}: the connection is not open yet`);
    }
    encodeCompactHeader(this.#scratch, 0, values);
    frame.header = this.#scratch;
    frame.headerAt = 0;
    this.#handler!.onFrame(frame);
  }

  /** Sends a control message, or any frame in its JSON form, with an optional payload (copied). */
  sendJson(message: object, payload?: Uint8Array): void {
    if (this.#closed) return;
    const header = encoder.encode(JSON.stringify(message));
    const at = this.send.reserve(FRAME_PREFIX_BYTES);
    this.send.view.setUint32(at, header.length);
    this.send.view.setUint32(at + 4, payload?.length ?? 0);
    this.send.append(header);
    if (payload) this.send.append(payload);
  }

  /**
   * Reserves a frame with a compact header in the send queue, all its fields 0 but `kind` and `requestId`, and gives the
   * header's place in `send.view`. The caller fills the rest, and the payload behind the header, in the same turn.
   */
  beginFrame(kind: number, frame: { readonly requestId: number; readonly payloadBytes: number }): number {
    const { send } = this;
    const start = send.reserve(FRAME_PREFIX_BYTES + COMPACT_HEADER_BYTES + frame.payloadBytes);
    const { view } = send;
    view.setUint32(start, COMPACT_HEADER_BYTES);
    view.setUint32(start + 4, frame.payloadBytes);
    const at = start + FRAME_PREFIX_BYTES;
    for (let offset = 0; offset < COMPACT_HEADER_BYTES; offset += 4) view.setUint32(at + offset, 0);
    view.setUint8(at, kind);
    view.setUint32(at + REQUEST_ID_AT, frame.requestId);
    return at;
  }

  /** Ends the connection; the handler hears why, once. */
  close(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.send.close();
    this.#connection.close();
    this.#handler?.onClosed(reason);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
