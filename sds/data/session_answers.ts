/**
 * What an SDC session answers, in the form that the connection agreed on: compact frames, or JSON headers. Acknowledgements of
 * one turn leave in one frame.
 *
 * @module
 */
import { type ErrorCode, errorTraits } from "@/shared/errors.ts";
import type { FrameChannel } from "@/shared/net/frame_channel.ts";
import {
  COMPACT_HEADER_BYTES,
  FLUSH_ENTRY_BYTES,
  FRAME_KINDS,
  HEADER_FIELDS,
  WRITE_ACK_BYTES,
} from "@/shared/wire/header.ts";
import type { IoTotals } from "@/sds/io_totals.ts";
import type { FlushResult } from "@/sds/replication/flush.ts";

/** The answering side of one session. */
export class SessionAnswers {
  readonly #channel: FrameChannel;
  /** Pairs of request id and loss generation. */
  readonly #acks: number[] = [];
  #scheduled = false;

  readonly #totals: IoTotals;

  /** @param totals count what is refused for good. */
  constructor(channel: FrameChannel, totals: IoTotals) {
    this.#channel = channel;
    this.#totals = totals;
  }

  /** A write is done. */
  acknowledge(requestId: number, lossGeneration: number): void {
    if (!this.#channel.compact) {
      return this.#channel.sendJson({ kind: "answer", requestId, status: 0, lossGeneration });
    }
    this.#acks.push(requestId, lossGeneration);
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(this.#sendAcks);
  }

  /** A request was refused or failed. */
  refuse(requestId: number, code: ErrorCode): void {
    this.#totals.refused(code);
    if (this.#channel.closed) return;
    const status = errorTraits(code).wire;
    if (!this.#channel.compact) return this.#channel.sendJson({ kind: "answer", requestId, status, code });
    const at = this.#channel.beginFrame(FRAME_KINDS.answer, { requestId, payloadBytes: 0 });
    this.#channel.send.view.setUint16(at + HEADER_FIELDS.status[0], status);
  }

  /** The data of a read, copied. */
  data(requestId: number, data: Uint8Array): void {
    const lengthBytes = data.length;
    if (!this.#channel.compact) return this.#channel.sendJson({ kind: "read_answer", requestId, lengthBytes }, data);
    const at = this.#channel.beginFrame(FRAME_KINDS.read_answer, { requestId, payloadBytes: lengthBytes });
    const { send } = this.#channel;
    send.view.setUint32(at + HEADER_FIELDS.lengthBytes[0], lengthBytes);
    send.bytes.set(data, at + COMPACT_HEADER_BYTES);
  }

  /** The outcome of a flush, per group. */
  flushed(requestId: number, results: readonly FlushResult[]): void {
    const payload = new DataView(new ArrayBuffer(results.length * FLUSH_ENTRY_BYTES));
    results.forEach((result, index) => {
      const at = index * FLUSH_ENTRY_BYTES;
      payload.setUint32(at, result.pgId);
      payload.setUint32(at + 4, result.code === undefined ? 0 : errorTraits(result.code).wire);
      payload.setUint32(at + 8, result.lossGeneration);
    });
    const bytes = new Uint8Array(payload.buffer);
    if (!this.#channel.compact) return this.#channel.sendJson({ kind: "flush_answer", requestId }, bytes);
    const at = this.#channel.beginFrame(FRAME_KINDS.flush_answer, { requestId, payloadBytes: bytes.length });
    this.#channel.send.bytes.set(bytes, at + COMPACT_HEADER_BYTES);
  }

  readonly #sendAcks = (): void => {
    this.#scheduled = false;
    const acks = this.#acks;
    if (!this.#channel.closed && acks.length > 0) {
      const payloadBytes = acks.length / 2 * WRITE_ACK_BYTES;
      const at = this.#channel.beginFrame(FRAME_KINDS.write_acks, { requestId: 0, payloadBytes });
      const { view } = this.#channel.send;
      let to = at + COMPACT_HEADER_BYTES;
      for (let index = 0; index < acks.length; index++, to += 4) view.setUint32(to, acks[index]!);
    }
    acks.length = 0;
  };
}
