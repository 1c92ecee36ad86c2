/**
 * One session of a replication link at the primary: operations in numbered slots, so that an answer finds its operation
 * without a map, and control requests as promises.
 *
 * @module
 */
import { isErrorCode, StorageError } from "@/shared/errors.ts";
import type { Frame, FrameChannel, FrameHandler } from "@/shared/net/frame_channel.ts";
import { type LinkAnswer, linkAnswerSchema } from "@/shared/wire/control.ts";
import {
  COMPACT_HEADER_BYTES,
  FRAME_KINDS,
  HEADER_FIELDS,
  REPLICATE_ACK_BYTES,
  setUint53,
} from "@/shared/wire/header.ts";
import { BLOCK_BYTES } from "@/shared/constants.ts";
import type { LinkOut, LinkRequestBody } from "@/sds/replication/link_out.ts";
import { withData } from "@/sds/replication/operation_resend.ts";
import type { PrimaryOperation } from "@/sds/replication/primary_operation.ts";
import type { Target } from "@/sds/replication/primary_role.ts";

/** Number that control requests begin at: slots are below. */
const CONTROL_REQUEST_MIN = 0x8000_0000;
/** Pieces of one chunk that is being copied are numbered from here. */
const COPY_REQUEST_MIN = 0x4000_0000;

interface Slot {
  operation: PrimaryOperation | undefined;
  target: Target | undefined;
  generation: number;
  sentMs: number;
}

/** What one piece of a join copy is. */
export interface CopyPiece {
  readonly pgId: number;
  readonly epoch: number;
  readonly vtreeId: number;
  readonly nodeId: number;
  readonly chunkIndex: number;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly flags: number;
  /** One per block; 0: never written, and then the block's bytes are not sent. */
  readonly crcs: Uint32Array;
  /** The piece's blocks, all of them. Borrowed. */
  readonly data: Uint8Array;
}

/** One connection of a link, after its handshake. */
export class LinkConnection implements FrameHandler {
  readonly channel: FrameChannel;
  readonly ended: Promise<void>;
  readonly #link: LinkOut;
  readonly #slots: Slot[] = [];
  readonly #free: number[] = [];
  #inFlight = 0;
  readonly #controls = new Map<number, PromiseWithResolvers<LinkAnswer>>();
  readonly #copies = new Map<number, PromiseWithResolvers<void>>();
  #nextControl = CONTROL_REQUEST_MIN;
  #nextCopy = COPY_REQUEST_MIN;
  #endedResolve!: () => void;

  constructor(link: LinkOut, channel: FrameChannel) {
    this.#link = link;
    this.channel = channel;
    this.ended = new Promise((resolve) => this.#endedResolve = resolve);
    channel.handle(this);
    if (channel.closed) this.onClosed("the connection closed during its handshake");
  }

  /** How long the oldest unanswered operation has waited; 0 if none does. */
  silentMs(nowMs: number): number {
    if (this.#inFlight === 0) return 0;
    let oldestMs = nowMs;
    for (const slot of this.#slots) if (slot.operation !== undefined) oldestMs = Math.min(oldestMs, slot.sentMs);
    return nowMs - oldestMs;
  }

  close(reason: string): void {
    this.channel.close(reason);
  }

  /** Sends a control request. @throws {StorageError} the refusal, or `unavailable` when the link breaks first. */
  async request(body: LinkRequestBody): Promise<LinkAnswer> {
    const requestId = this.#nextControl++;
    if (this.#nextControl > 0xffff_ffff) this.#nextControl = CONTROL_REQUEST_MIN;
    const waiting = Promise.withResolvers<LinkAnswer>();
    if (this.channel.closed) throw new StorageError("unavailable", `Cannot ask for ${body.kind}: the link is down`);
    this.#controls.set(requestId, waiting);
    this.channel.sendJson({ ...body, requestId });
    const answer = await waiting.promise;
    if (answer.kind === "refused") {
      throw new StorageError(isErrorCode(answer.code) ? answer.code : "internal", answer.message);
    }
    return answer;
  }

  /** Forwards an operation under the group's present epoch. */
  sendOperation(operation: PrimaryOperation, target: Target): void {
    const index = this.#free.pop() ?? this.#addSlot();
    const slot = this.#slots[index]!;
    slot.operation = operation;
    slot.target = target;
    slot.generation = operation.generation;
    slot.sentMs = this.#link.device.context.clock.monotonicMs();
    this.#inFlight++;
    operation.frameSent();
    if (operation.kind === FRAME_KINDS.replicate) {
      withData(operation, {
        send: (bytes, at) => {
          if (!this.channel.closed) this.#writeFrame(operation, { requestId: index, bytes, at });
        },
        ended: () => this.#freeSlot(index),
      });
    } else {
      this.#writeFrame(operation, { requestId: index, bytes: undefined, at: 0 });
    }
  }

  /** Sends one piece of a chunk; resolves when the joiner has stored and verified it. */
  copy(piece: CopyPiece): Promise<void> {
    if (this.channel.closed) throw new StorageError("unavailable", "Cannot copy a chunk: the link is down");
    const requestId = this.#nextCopy++;
    if (this.#nextCopy >= CONTROL_REQUEST_MIN) this.#nextCopy = COPY_REQUEST_MIN;
    const written = piece.crcs.reduce((count, crc) => count + (crc === 0 ? 0 : 1), 0);
    const payloadBytes = piece.crcs.length * 4 + written * BLOCK_BYTES;
    const { send } = this.channel;
    const at = this.channel.beginFrame(FRAME_KINDS.join_copy, { requestId, payloadBytes });
    const { view } = send;
    view.setUint8(at + HEADER_FIELDS.flags[0], piece.flags);
    view.setUint32(at + HEADER_FIELDS.pgId[0], piece.pgId);
    view.setUint32(at + HEADER_FIELDS.epoch[0], piece.epoch);
    view.setUint32(at + HEADER_FIELDS.nodeId[0], piece.nodeId);
    view.setUint32(at + HEADER_FIELDS.chunkIndex[0], piece.chunkIndex);
    view.setUint32(at + HEADER_FIELDS.offsetBytes[0], piece.offsetBytes);
    view.setUint32(at + HEADER_FIELDS.lengthBytes[0], piece.lengthBytes);
    view.setUint32(at + HEADER_FIELDS.vtreeId[0], piece.vtreeId);
    let to = at + COMPACT_HEADER_BYTES;
    for (const crc of piece.crcs) {
      view.setUint32(to, crc);
      to += 4;
    }
    for (let block = 0; block < piece.crcs.length; block++) {
      if (piece.crcs[block] === 0) continue;
      send.bytes.set(piece.data.subarray(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES), to);
      to += BLOCK_BYTES;
    }
    const waiting = Promise.withResolvers<void>();
    this.#copies.set(requestId, waiting);
    return waiting.promise;
  }

  onFrame(frame: Frame): void {
    const kind = frame.header.getUint8(frame.headerAt);
    if (kind === FRAME_KINDS.replicate_acks) {
      const end = frame.payloadAt + frame.payloadBytes;
      for (let at = frame.payloadAt; at + REPLICATE_ACK_BYTES <= end; at += REPLICATE_ACK_BYTES) {
        this.#answered(frame.view.getUint32(at), 0);
      }
    } else if (kind === FRAME_KINDS.answer) {
      const at = frame.headerAt;
      this.#answered(
        frame.header.getUint32(at + HEADER_FIELDS.requestId[0]),
        frame.header.getUint16(at + HEADER_FIELDS.status[0]),
      );
    } else {
      throw new StorageError("bad_request", `Cannot take an answer on a link: kind is ${kind}`);
    }
  }

  onMessage(message: { readonly kind?: unknown }): void {
    const answer = linkAnswerSchema.safeParse(message);
    if (!answer.success) {
      throw new StorageError("bad_request", `Cannot take an answer on a link: ${answer.error.issues[0]!.message}`);
    }
    const waiting = this.#controls.get(answer.data.requestId);
    this.#controls.delete(answer.data.requestId);
    waiting?.resolve(answer.data);
  }

  onBatchEnd(): void {}

  onClosed(reason: string): void {
    const error = new StorageError("unavailable", `The replication link broke: ${reason}`);
    for (const waiting of this.#controls.values()) waiting.reject(error);
    this.#controls.clear();
    for (const waiting of this.#copies.values()) waiting.reject(error);
    this.#copies.clear();
    this.#slots.length = 0;
    this.#inFlight = 0;
    this.#link.connectionLost(this, reason);
    this.#endedResolve();
  }

  #answered(requestId: number, status: number): void {
    if (requestId >= COPY_REQUEST_MIN) return this.#copyAnswered(requestId, status);
    const slot = this.#slots[requestId];
    const operation = slot?.operation;
    const target = slot?.target;
    if (slot === undefined || operation === undefined || target === undefined) return;
    this.#freeSlot(requestId);
    // The operation may have ended and be in use for another request.
    if (operation.generation !== slot.generation) return;
    if (status === 0) operation.acknowledged(target);
    else this.#link.operationFailed(operation, { target, status });
  }

  #copyAnswered(requestId: number, status: number): void {
    const waiting = this.#copies.get(requestId);
    this.#copies.delete(requestId);
    if (status === 0) waiting?.resolve();
    else waiting?.reject(new StorageError("io_error", `Cannot copy a chunk: the joiner answers with status ${status}`));
  }

  #freeSlot(index: number): void {
    const slot = this.#slots[index];
    // None is left when the connection has ended.
    if (slot === undefined) return;
    slot.operation = undefined;
    slot.target = undefined;
    this.#inFlight--;
    this.#free.push(index);
  }

  #addSlot(): number {
    this.#slots.push({ operation: undefined, target: undefined, generation: 0, sentMs: 0 });
    return this.#slots.length - 1;
  }

  #writeFrame(
    operation: PrimaryOperation,
    options: { requestId: number; bytes: Uint8Array | undefined; at: number },
  ): void {
    const { requestId, bytes } = options;
    const { send } = this.channel;
    const blockCount = bytes === undefined ? 0 : operation.lengthBytes / BLOCK_BYTES;
    const payloadBytes = bytes === undefined ? 0 : blockCount * 4 + operation.lengthBytes;
    const at = this.channel.beginFrame(operation.kind, { requestId, payloadBytes });
    const { view } = send;
    view.setUint8(at + HEADER_FIELDS.flags[0], operation.flags);
    view.setUint32(at + HEADER_FIELDS.pgId[0], operation.group.pgId);
    view.setUint32(at + HEADER_FIELDS.epoch[0], operation.role.config.epoch);
    view.setUint32(at + HEADER_FIELDS.nodeId[0], operation.request.nodeId);
    view.setUint32(at + HEADER_FIELDS.chunkIndex[0], operation.request.chunkIndex);
    view.setUint32(at + HEADER_FIELDS.offsetBytes[0], operation.offsetBytes);
    view.setUint32(at + HEADER_FIELDS.lengthBytes[0], operation.lengthBytes);
    view.setUint32(at + HEADER_FIELDS.opSession[0], operation.request.opSession);
    setUint53(view, at + HEADER_FIELDS.opSeq[0], operation.request.opSeq);
    view.setUint32(at + HEADER_FIELDS.writeNumber[0], operation.writeNumber);
    view.setUint32(at + HEADER_FIELDS.vtreeId[0], operation.request.vtreeId);
    view.setUint32(at + HEADER_FIELDS.traceId[0], operation.request.traceId);
    if (bytes === undefined) return;
    let to = at + COMPACT_HEADER_BYTES;
    for (let block = 0; block < blockCount; block++, to += 4) view.setUint32(to, operation.crcs[block]!);
    send.bytes.set(bytes.subarray(options.at, options.at + operation.lengthBytes), to);
  }
}
