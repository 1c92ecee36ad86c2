/**
 * A request frame that waits for its answer, and the table of those in flight on one connection. The requestId of a frame is
 * its slot plus a generation, so an answer finds its request by an index, without a map or an allocation (data-path rule 11).
 *
 * | bits of requestId | meaning |
 * | --- | --- |
 * | 0 to 7 | slot |
 * | 8 to 30 | generation: how often the slot was used, so that an answer that comes twice is noticed |
 * | 31 | set for control messages, which do not use slots |
 *
 * @module
 */
import { QUEUE_DEPTH } from "@/shared/constants.ts";
import { assert, type ErrorCode } from "@/shared/errors.ts";
import type { Frame } from "@/shared/net/frame_channel.ts";
import type { Lane } from "@/sdc/remote/lane.ts";

/** Lowest requestId of a control message. */
export const CONTROL_REQUEST_ID_MIN = 0x8000_0000;

const SLOT_BITS = 8;
const SLOT_MASK = (1 << SLOT_BITS) - 1;
const GENERATION_MAX = 2 ** 23;

assert(QUEUE_DEPTH <= SLOT_MASK + 1, "every request in flight has a slot");

/** A request to one SDS: sent when the connection has a free slot, answered by exactly one call below. */
export interface Exchange {
  /** The connection it is in flight on, and its requestId there. Set and cleared by the lane. */
  lane: Lane | undefined;
  requestId: number;
  /** False when nobody wants it any more: it is dropped instead of sent. */
  readonly wanted: boolean;
  /** Sends the request over `lane`, which has a free slot, under the handle of its volume there. */
  transmit(lane: Lane, handle: number): void;
  /** The request was carried out. */
  acknowledged(lossGeneration: number): void;
  /** A read's data is in the frame, which is borrowed. @throws {StorageError} when it is not what was asked for. */
  dataArrived(frame: Frame): void;
  /** The results of a flush are in the frame, which is borrowed. @throws {StorageError} when they are malformed. */
  flushAnswered(frame: Frame): void;
  /** The SDS refused; `epoch` is the newest it knows of the group, 0 if it says none. */
  refused(code: ErrorCode, epoch: number): void;
  /** The connection ended without an answer: nobody knows what became of the request. */
  connectionLost(): void;
  /** The answer takes long: perhaps another SDS serves by now. Called again and again while it does. */
  late(): void;
  /** It waited and was not sent; routes have changed, so it must find its SDS anew. */
  rerouted(): void;
}

/** Requests in flight on one connection. */
export class SlotTable {
  readonly #exchanges: (Exchange | undefined)[];
  /** requestId of what is in the slot; 0 when free. A slot whose request was forgotten stays taken until its answer came. */
  readonly #requestIds: Float64Array;
  readonly #generations: Uint32Array;
  readonly #deadlineTicks: Uint32Array;
  readonly #sentTicks: Uint32Array;
  readonly #free: number[];
  #tick = 0;

  /** @param depth slots, 1 to {@linkcode QUEUE_DEPTH}. */
  constructor(depth: number) {
    assert(depth >= 1 && depth <= QUEUE_DEPTH, "requests in flight are limited");
    this.#exchanges = new Array(depth).fill(undefined);
    this.#requestIds = new Float64Array(depth);
    this.#generations = new Uint32Array(depth);
    this.#deadlineTicks = new Uint32Array(depth);
    this.#sentTicks = new Uint32Array(depth);
    this.#free = Array.from({ length: depth }, (_, index) => depth - 1 - index);
  }

  get freeCount(): number {
    return this.#free.length;
  }

  get inFlightCount(): number {
    return this.#requestIds.length - this.#free.length;
  }

  /** Takes a free slot for `exchange`, which is overdue for good after `timeoutTicks`; gives its requestId. */
  take(exchange: Exchange, timeoutTicks: number): number {
    const slot = this.#free.pop();
    assert(slot !== undefined, "a request is sent when a slot is free");
    const generation = this.#generations[slot] = (this.#generations[slot]! + 1) % GENERATION_MAX;
    const requestId = generation * (SLOT_MASK + 1) + slot;
    // Generation 0 of slot 0 would be 0, which means free.
    if (requestId === 0) {
      this.#free.push(slot);
      return this.take(exchange, timeoutTicks);
    }
    this.#exchanges[slot] = exchange;
    this.#requestIds[slot] = requestId;
    this.#sentTicks[slot] = this.#tick;
    this.#deadlineTicks[slot] = this.#tick + timeoutTicks;
    return requestId;
  }

  /** True if an answer with this id is awaited. */
  has(requestId: number): boolean {
    return requestId !== 0 && this.#requestIds[requestId & SLOT_MASK] === requestId;
  }

  /** The request that is answered, whose slot becomes free; undefined if it was forgotten. `has` was asked. */
  release(requestId: number): Exchange | undefined {
    const slot = requestId & SLOT_MASK;
    const exchange = this.#exchanges[slot];
    this.#exchanges[slot] = undefined;
    this.#requestIds[slot] = 0;
    this.#free.push(slot);
    return exchange;
  }

  /** The request is not interested in its answer any more; its slot stays taken until the answer came. */
  forget(requestId: number): void {
    assert(this.has(requestId), "only a request in flight is forgotten");
    this.#exchanges[requestId & SLOT_MASK] = undefined;
  }

  /**
   * Counts one tick of the connection's timer. `expired`: some answer is overdue for good. `late`: the requests that wait for
   * `lateTicks` or more.
   */
  tick(lateTicks: number): { readonly expired: boolean; readonly late: readonly Exchange[] } {
    const tick = ++this.#tick;
    const late: Exchange[] = [];
    let expired = false;
    for (let slot = 0; slot < this.#requestIds.length; slot++) {
      if (this.#requestIds[slot] === 0) continue;
      if (this.#deadlineTicks[slot]! <= tick) expired = true;
      const exchange = this.#exchanges[slot];
      if (exchange !== undefined && this.#sentTicks[slot]! + lateTicks <= tick) late.push(exchange);
    }
    return { expired, late };
  }

  /** Empties the table, at the end of the connection; gives the requests that were not answered. */
  takeAll(): readonly Exchange[] {
    const exchanges = this.#exchanges.filter((exchange) => exchange !== undefined);
    this.#exchanges.fill(undefined);
    this.#requestIds.fill(0);
    return exchanges;
  }
}
