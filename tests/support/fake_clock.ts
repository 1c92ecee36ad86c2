/**
 * A clock that stands still until a test advances it. Timers fire in the order of their times, those of equal time in the order
 * in which they were set; after each, what they resolved goes on before the next fires.
 *
 * @module
 */
import { setImmediate } from "node:timers";
import type { Clock, Timer } from "@/shared/clock.ts";

/** Turns of the microtask queue that a timer's consequences get. */
const TURNS = 20;

interface PendingTimer {
  readonly atMs: number;
  readonly callback: () => void;
}

export class FakeClock implements Clock {
  #nowMs: number;
  readonly #wallOffsetMs: number;
  readonly #timers = new Set<PendingTimer>();

  /** @param options.wallMs wall clock at the start. */
  constructor(options: { readonly wallMs?: number } = {}) {
    this.#nowMs = 1_000;
    this.#wallOffsetMs = (options.wallMs ?? 1_700_000_000_000) - this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#nowMs + this.#wallOffsetMs;
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const timer = { atMs: this.#nowMs + Math.max(0, delayMs), callback };
    this.#timers.add(timer);
    return { cancel: () => this.#timers.delete(timer) };
  }

  /** Timers that were neither fired nor cancelled. */
  get timerCount(): number {
    return this.#timers.size;
  }

  /** Lets `durationMs` pass. */
  async advance(durationMs: number): Promise<void> {
    const endMs = this.#nowMs + durationMs;
    await settle();
    for (;;) {
      const next = this.#earliest(endMs);
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#nowMs = next.atMs;
      next.callback();
      await settle();
    }
    this.#nowMs = endMs;
    await settle();
  }

  /** The first timer in order of time, then of setting: a `Set` keeps the latter. */
  #earliest(endMs: number): PendingTimer | undefined {
    let earliest: PendingTimer | undefined;
    for (const timer of this.#timers) {
      if (timer.atMs <= endMs && (earliest === undefined || timer.atMs < earliest.atMs)) earliest = timer;
    }
    return earliest;
  }
}

/** Lets promises that are resolved already, and what waits for them, go on; also what takes a turn of the event loop. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn++) await Promise.resolve();
  await new Promise<void>((resolve) => setImmediate(resolve));
}
