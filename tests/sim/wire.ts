/**
 * What lies between simulated hosts: delays, one-way cuts, hosts that are down. Streams (`stream.ts`) and HTTP calls
 * (`virtual_http.ts`) ask it when something arrives, if at all.
 *
 * @module
 */
import type { EventLog } from "@/tests/sim/event_log.ts";
import type { SeededRandom } from "@/tests/sim/seeded_random.ts";
import type { VirtualTime } from "@/tests/sim/virtual_time.ts";

/** Usual one-way delay in ms: this at least, and up to this. */
const DELAY_MS = { min: 0.05, max: 0.6 } as const;
/** A packet in so many is late, by up to so much: enough to turn the order of two streams around. */
const LATE = { chance: 0.01, maxMs: 60 } as const;
/** After a cut is healed, TCP sends again what it held within so many ms. */
const RETRANSMIT_MS_MAX = 1_500;

/** What all parts of the network share. */
export interface WireOptions {
  readonly time: VirtualTime;
  readonly random: SeededRandom;
  readonly log: EventLog;
}

/** State of all one-way paths. Hosts are named; every host reaches every other unless a path is cut. */
export class Wire {
  readonly time: VirtualTime;
  readonly random: SeededRandom;
  readonly log: EventLog;
  readonly #cut = new Set<string>();
  readonly #down = new Set<string>();
  readonly #waiting = new Map<string, (() => void)[]>();

  constructor(options: WireOptions) {
    this.time = options.time;
    this.random = options.random;
    this.log = options.log;
  }

  /** Time that a packet takes from one host to another, when it arrives. */
  delayMs(): number {
    const usual = this.random.between(DELAY_MS.min, DELAY_MS.max);
    return this.random.chance(LATE.chance) ? usual + this.random.between(0, LATE.maxMs) : usual;
  }

  /** Nothing arrives at `to` from `from` until `heal`. */
  cut(from: string, to: string): void {
    this.#cut.add(pathName(from, to));
  }

  /** Opens the path again; what is held on it is sent again. */
  heal(from: string, to: string): void {
    const name = pathName(from, to);
    if (!this.#cut.delete(name)) return;
    const waiting = this.#waiting.get(name) ?? [];
    this.#waiting.delete(name);
    for (const send of waiting) this.time.after(this.random.between(0, RETRANSMIT_MS_MAX), send);
  }

  isCut(from: string, to: string): boolean {
    return this.#cut.has(pathName(from, to));
  }

  /** Calls `send` some time after the path was healed. */
  whenHealed(from: string, to: string, send: () => void): void {
    const name = pathName(from, to);
    const waiting = this.#waiting.get(name);
    if (waiting === undefined) this.#waiting.set(name, [send]);
    else waiting.push(send);
  }

  /** The host loses power: it answers nothing, not even with a reset. */
  setDown(host: string, down: boolean): void {
    if (down) this.#down.add(host);
    else this.#down.delete(host);
  }

  isDown(host: string): boolean {
    return this.#down.has(host);
  }
}

function pathName(from: string, to: string): string {
  return `${from}>${to}`;
}
