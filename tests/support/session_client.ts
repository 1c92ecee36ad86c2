/**
 * An SDC's side of one data connection, without routes, retries or locks: it sends what a test says, and tells what came back.
 *
 * @module
 */
import type { BufferPool } from "@/shared/buffers.ts";
import { writeBlockCrcs } from "@/shared/checksum.ts";
import { type ErrorCode, errorOfWire, isErrorCode, StorageError } from "@/shared/errors.ts";
import type { SdsId } from "@/shared/ids.ts";
import { type Frame, FrameChannel, type FrameHandler } from "@/shared/net/frame_channel.ts";
import { type HandshakeContext, openAsClient } from "@/shared/net/handshake.ts";
import type { Address, Transport } from "@/shared/transport.ts";
import { type SdcClient, type SessionAnswer, sessionAnswerSchema } from "@/shared/wire/control.ts";
import {
  blocksTouched,
  COMPACT_HEADER_BYTES,
  decodeCompactHeader,
  encodeCompactHeader,
  FLUSH_ENTRY_BYTES,
  FRAME_KINDS,
  FRAME_PREFIX_BYTES,
  type HeaderValues,
  WRITE_ACK_BYTES,
} from "@/shared/wire/header.ts";

/** What a connection is opened with. */
export interface SessionOptions extends HandshakeContext {
  readonly transport: Transport;
  readonly buffers: BufferPool;
  readonly address: Address;
  readonly client: SdcClient;
  readonly keyHex: string;
  readonly sdsId: SdsId;
  /** Default true. */
  readonly compact?: boolean;
}

/** One group of a flush, as asked (`value` is the epoch) or answered (`value` is the status). */
export interface FlushTriple {
  readonly pgId: number;
  readonly value: number;
  readonly lossGeneration: number;
}

/** What became of a request frame. `closed`: the connection ended before an answer. */
export interface FrameAnswer {
  readonly code: ErrorCode | "closed" | undefined;
  readonly lossGeneration: number;
  readonly data: Uint8Array;
  /** Of a flush. */
  readonly groups: readonly FlushTriple[];
}

/** A header without its requestId, which the client gives. */
export type RequestHeader = Omit<HeaderValues, "requestId">;

const EMPTY = new Uint8Array(0);

/** See the module comment. */
export class SessionClient implements FrameHandler {
  readonly channel: FrameChannel;
  closedBecause: string | undefined;
  /** Ids of requests in the order in which their answers came. */
  readonly answeredOrder: number[] = [];
  readonly #frames = new Map<number, (answer: FrameAnswer) => void>();
  readonly #asked = new Map<number, PromiseWithResolvers<SessionAnswer>>();
  #nextId = 1;

  private constructor(channel: FrameChannel) {
    this.channel = channel;
    channel.handle(this);
  }

  /** @throws {StorageError} when the SDS refuses the session. */
  static async open(options: SessionOptions): Promise<SessionClient> {
    const { transport, address, client, keyHex, sdsId, clock, random, compact = true } = options;
    const channel = new FrameChannel(await transport.connect(address), { buffers: options.buffers });
    void channel.run();
    await openAsClient(channel, {
      clock,
      random,
      identity: { role: "sdc", client },
      keyHex,
      serverSdsId: sdsId,
      compact,
    });
    return new SessionClient(channel);
  }

  /** Sends a control message. @throws {StorageError} the refusal, or `unavailable` when the connection ends. */
  ask(message: { readonly kind: string; readonly [field: string]: unknown }): Promise<SessionAnswer> {
    const requestId = this.#nextId++;
    const waiting = Promise.withResolvers<SessionAnswer>();
    if (this.channel.closed) waiting.reject(new StorageError("unavailable", "the connection is closed"));
    this.#asked.set(requestId, waiting);
    this.channel.sendJson({ ...message, requestId });
    return waiting.promise;
  }

  /** Handle of the volume that `token` is for. @throws {StorageError} the refusal. */
  async openVolume(token: string): Promise<number> {
    const answer = await this.ask({ kind: "open_volume", token });
    if (answer.kind !== "volume_opened") throw new Error(`open_volume was answered with ${answer.kind}`);
    return answer.handle;
  }

  /** Sends a frame in the form that the connection agreed on. */
  send(header: RequestHeader, payload: Uint8Array = EMPTY): Promise<FrameAnswer> {
    const requestId = this.#nextId++;
    const { promise, resolve } = Promise.withResolvers<FrameAnswer>();
    if (this.channel.closed) resolve({ code: "closed", lossGeneration: 0, data: EMPTY, groups: [] });
    this.#frames.set(requestId, resolve);
    const values = { ...header, requestId } as HeaderValues; // `kind` is in the rest
    if (this.channel.compact) {
      const bytes = new Uint8Array(FRAME_PREFIX_BYTES + COMPACT_HEADER_BYTES);
      const view = new DataView(bytes.buffer);
      view.setUint32(0, COMPACT_HEADER_BYTES);
      view.setUint32(4, payload.length);
      encodeCompactHeader(view, FRAME_PREFIX_BYTES, values);
      this.channel.send.append(bytes);
      this.channel.send.append(payload);
    } else {
      this.channel.sendJson(values, payload);
    }
    return promise;
  }

  close(): void {
    this.channel.close("the test is done with it");
  }

  onFrame(frame: Frame): void {
    const header = decodeCompactHeader(frame.header, frame.headerAt);
    if (typeof header === "string") throw new Error(header);
    const { view, bytes, payloadAt, payloadBytes } = frame;
    if (header.kind === "write_acks") {
      for (let at = payloadAt; at < payloadAt + payloadBytes; at += WRITE_ACK_BYTES) {
        this.#answer(view.getUint32(at), { lossGeneration: view.getUint32(at + 4) });
      }
      return;
    }
    const { status = 0, lossGeneration = 0 } = header;
    this.#answer(header.requestId!, {
      code: status === 0 ? undefined : errorOfWire(status),
      lossGeneration,
      data: bytes.slice(payloadAt, payloadAt + payloadBytes),
      groups: header.kind === "flush_answer" ? triplesOf(bytes.slice(payloadAt, payloadAt + payloadBytes)) : [],
    });
  }

  onMessage(message: { readonly kind?: unknown }): void {
    const answer = sessionAnswerSchema.parse(message);
    const waiting = this.#asked.get(answer.requestId);
    this.#asked.delete(answer.requestId);
    if (answer.kind !== "refused") return waiting?.resolve(answer);
    const code = isErrorCode(answer.code) ? answer.code : "internal";
    waiting?.reject(new StorageError(code, answer.message));
  }

  onBatchEnd(): void {}

  onClosed(reason: string): void {
    this.closedBecause = reason;
    for (const requestId of [...this.#frames.keys()]) this.#answer(requestId, { code: "closed" });
    for (const waiting of this.#asked.values()) waiting.reject(new StorageError("unavailable", reason));
    this.#asked.clear();
  }

  #answer(requestId: number, answer: Partial<FrameAnswer>): void {
    const resolve = this.#frames.get(requestId);
    if (resolve === undefined) throw new Error(`An answer to request ${requestId}, which is not under way`);
    this.#frames.delete(requestId);
    this.answeredOrder.push(requestId);
    resolve({ code: undefined, lossGeneration: 0, data: EMPTY, groups: [], ...answer });
  }
}

/** Payload of a write: checksums, then data. */
export function writePayload(offsetBytes: number, data: Uint8Array): Uint8Array {
  const checksumBytes = 4 * blocksTouched(offsetBytes, data.length);
  const payload = new Uint8Array(checksumBytes + data.length);
  const view = new DataView(payload.buffer);
  writeBlockCrcs(view, 0, data, { dataStart: 0, offsetBytes, lengthBytes: data.length });
  payload.set(data, checksumBytes);
  return payload;
}

/** Payload of a flush. */
export function flushPayload(groups: readonly FlushTriple[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(groups.length * FLUSH_ENTRY_BYTES));
  groups.forEach(({ pgId, value, lossGeneration }, index) => {
    view.setUint32(index * FLUSH_ENTRY_BYTES, pgId);
    view.setUint32(index * FLUSH_ENTRY_BYTES + 4, value);
    view.setUint32(index * FLUSH_ENTRY_BYTES + 8, lossGeneration);
  });
  return new Uint8Array(view.buffer);
}

function triplesOf(bytes: Uint8Array): FlushTriple[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: bytes.length / FLUSH_ENTRY_BYTES }, (_, index) => ({
    pgId: view.getUint32(index * FLUSH_ENTRY_BYTES),
    value: view.getUint32(index * FLUSH_ENTRY_BYTES + 4),
    lossGeneration: view.getUint32(index * FLUSH_ENTRY_BYTES + 8),
  }));
}

/** Kinds of requests, for tests that go through all of them. */
export const MUTATION_KINDS = ["write", "trim", "write_zeroes"] as const satisfies (keyof typeof FRAME_KINDS)[];
