/**
 * One open connection to an SDS: requests in slots, control messages by id, one coarse timer for all of them. A lane ends as
 * a whole: every request that was not answered hears `connectionLost` and is sent again over the next one (3.6).
 *
 * @module
 */
import type { Clock, Timer } from "@/shared/clock.ts";
import { type ErrorCode, errorOfWire, isErrorCode, StorageError } from "@/shared/errors.ts";
import type { Frame, FrameChannel, FrameHandler } from "@/shared/net/frame_channel.ts";
import type { SendQueue } from "@/shared/net/send_queue.ts";
import { type SessionAnswer, sessionAnswerSchema } from "@/shared/wire/control.ts";
import { FRAME_KINDS, HEADER_FIELDS, WRITE_ACK_BYTES } from "@/shared/wire/header.ts";
import { CONTROL_REQUEST_ID_MIN, type Exchange, SlotTable } from "@/sdc/remote/exchange.ts";

/** Period of a lane's timer while anything is in flight, in ms. */
export const LANE_TICK_MS = 500;
/** An answer that takes longer makes the SDC look whether the group has another primary by now, in ms. */
export const LATE_MS = 1_000;
/** A control message is answered within this time, in ms. */
export const CONTROL_TIMEOUT_MS = 5_000;

const LATE_TICKS = LATE_MS / LANE_TICK_MS;
const CONTROL_TICKS = CONTROL_TIMEOUT_MS / LANE_TICK_MS;

/** Ticks after which a wait of `timeoutMs` is certainly over. */
export function ticksOf(timeoutMs: number): number {
  return Math.ceil(timeoutMs / LANE_TICK_MS) + 1;
}

/** A request as a control message, without its id. */
export type ControlMessage = { readonly kind: string; readonly [field: string]: unknown };

/** What a lane tells its owner. */
export interface LaneOwner {
  /** Slots became free. */
  slotsFreed(): void;
  /** The lane is over; all its requests were told. */
  laneClosed(lane: Lane, reason: string): void;
}

interface ControlWait {
  readonly deadlineTick: number;
  resolve(answer: SessionAnswer): void;
  reject(error: StorageError): void;
}

/** See the module comment. */
export class Lane implements FrameHandler {
  readonly number: number;
  /** True once the SDS answered anything on this lane. */
  answered = false;
  readonly #channel: FrameChannel;
  readonly #clock: Clock;
  readonly #owner: LaneOwner;
  readonly #slots: SlotTable;
  readonly #control = new Map<number, ControlWait>();
  #nextControlId = CONTROL_REQUEST_ID_MIN;
  #timer: Timer | undefined;
  #controlTick = 0;
  #freed = false;

  /** Takes an open `channel`; the caller makes this its handler. */
  constructor(
    channel: FrameChannel,
    options: { readonly number: number; readonly depth: number; readonly clock: Clock; readonly owner: LaneOwner },
  ) {
    this.#channel = channel;
    this.#clock = options.clock;
    this.#owner = options.owner;
    this.number = options.number;
    this.#slots = new SlotTable(options.depth);
  }

  get send(): SendQueue {
    return this.#channel.send;
  }

  get closed(): boolean {
    return this.#channel.closed;
  }

  get freeSlots(): number {
    return this.#slots.freeCount;
  }

  get inFlightCount(): number {
    return this.#slots.inFlightCount;
  }

  /** Puts `exchange` in flight and gives the requestId for its frame, which the caller appends to `send` at once. */
  begin(exchange: Exchange, timeoutTicks: number): number {
    const requestId = this.#slots.take(exchange, timeoutTicks);
    exchange.lane = this;
    exchange.requestId = requestId;
    if (this.#timer === undefined) this.#arm();
    return requestId;
  }

  /** Drops the interest of `exchange`, in flight here, in its answer. */
  forget(exchange: Exchange): void {
    this.#slots.forget(exchange.requestId);
    exchange.lane = undefined;
  }

  /** Sends a control message. @throws {StorageError} the refusal, or `unavailable` when no answer came. */
  request(message: ControlMessage): Promise<SessionAnswer> {
    if (this.closed) return Promise.reject(new StorageError("unavailable", "Cannot ask the SDS: the lane is closed"));
    const requestId = this.#nextControlId;
    this.#nextControlId = requestId === 0xffff_ffff ? CONTROL_REQUEST_ID_MIN : requestId + 1;
    const { promise, resolve, reject } = Promise.withResolvers<SessionAnswer>();
    this.#control.set(requestId, { deadlineTick: this.#controlTick + CONTROL_TICKS + 1, resolve, reject });
    this.#channel.sendJson({ ...message, requestId });
    if (this.#timer === undefined) this.#arm();
    return promise;
  }

  close(reason: string): void {
    this.#channel.close(reason);
  }

  onFrame(frame: Frame): void {
    const { header, headerAt } = frame;
    switch (header.getUint8(headerAt)) {
      case FRAME_KINDS.write_acks:
        return this.#onWriteAcks(frame);
      case FRAME_KINDS.read_answer:
        return this.#answered(header.getUint32(headerAt + HEADER_FIELDS.requestId[0]))?.dataArrived(frame);
      case FRAME_KINDS.flush_answer:
        return this.#answered(header.getUint32(headerAt + HEADER_FIELDS.requestId[0]))?.flushAnswered(frame);
      case FRAME_KINDS.answer:
        return this.#onAnswer(header, headerAt);
      default:
        throw new StorageError("bad_request", `Cannot take frame kind ${header.getUint8(headerAt)}: it is no answer`);
    }
  }

  #onWriteAcks(frame: Frame): void {
    const { view, payloadAt, payloadBytes } = frame;
    if (payloadBytes % WRITE_ACK_BYTES !== 0) {
      throw new StorageError("bad_request", `Cannot read write_acks: ${payloadBytes} bytes are no list of 8`);
    }
    for (let at = payloadAt; at < payloadAt + payloadBytes; at += WRITE_ACK_BYTES) {
      this.#answered(view.getUint32(at))?.acknowledged(view.getUint32(at + 4));
    }
  }

  #onAnswer(header: DataView, headerAt: number): void {
    const status = header.getUint16(headerAt + HEADER_FIELDS.status[0]);
    const exchange = this.#answered(header.getUint32(headerAt + HEADER_FIELDS.requestId[0]));
    if (status === 0) exchange?.acknowledged(header.getUint32(headerAt + HEADER_FIELDS.lossGeneration[0]));
    else exchange?.refused(errorOfWire(status), header.getUint32(headerAt + HEADER_FIELDS.epoch[0]));
  }

  /** The request that `requestId` answers, with its slot freed; undefined if it was forgotten. */
  #answered(requestId: number): Exchange | undefined {
    if (requestId >= CONTROL_REQUEST_ID_MIN || !this.#slots.has(requestId)) {
      throw new StorageError("bad_request", `Cannot take an answer to request ${requestId}: it is not in flight`);
    }
    this.#freed = true;
    const exchange = this.#slots.release(requestId);
    if (exchange !== undefined) exchange.lane = undefined;
    return exchange;
  }

  onMessage(message: { readonly kind?: unknown }): void {
    const parsed = sessionAnswerSchema.safeParse(message);
    if (!parsed.success) {
      throw new StorageError("bad_request", `Cannot take message ${String(message.kind)}: ${parsed.error.message}`);
    }
    const answer = parsed.data;
    const code: ErrorCode | undefined = answer.kind !== "refused"
      ? undefined
      : isErrorCode(answer.code)
      ? answer.code
      : "internal";
    if (answer.requestId < CONTROL_REQUEST_ID_MIN) {
      if (code === undefined) throw new StorageError("bad_request", `Cannot take ${answer.kind} as answer to a frame`);
      return this.#answered(answer.requestId)?.refused(code, 0);
    }
    const wait = this.#control.get(answer.requestId);
    this.#control.delete(answer.requestId);
    if (code === undefined) wait?.resolve(answer);
    else if (answer.kind === "refused") wait?.reject(new StorageError(code, answer.message));
  }

  onBatchEnd(): void {
    this.answered = true;
    if (!this.#freed) return;
    this.#freed = false;
    this.#owner.slotsFreed();
  }

  onClosed(reason: string): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const error = new StorageError("unavailable", `The connection ended: ${reason}`);
    for (const wait of this.#control.values()) wait.reject(error);
    this.#control.clear();
    const lost = this.#slots.takeAll();
    for (const exchange of lost) exchange.lane = undefined;
    this.#owner.laneClosed(this, reason);
    for (const exchange of lost) exchange.connectionLost();
  }

  #arm(): void {
    this.#timer = this.#clock.setTimer(LANE_TICK_MS, () => this.#onTick());
  }

  #onTick(): void {
    this.#timer = undefined;
    this.#controlTick++;
    const { expired, late } = this.#slots.tick(LATE_TICKS);
    let controlExpired = false;
    for (const wait of this.#control.values()) controlExpired ||= wait.deadlineTick <= this.#controlTick;
    if (expired || controlExpired) return this.close("an answer is overdue");
    for (const exchange of late) exchange.late();
    if (this.#slots.inFlightCount > 0 || this.#control.size > 0) this.#arm();
  }
}
