/**
 * The one timer of everything that this process does at a steady pace: pulses of all links, judging silence and grace, the beat
 * to the MDM. What waits for one timer wakes an idle process once, where timers of their own would wake it for each.
 *
 * Hosts find a common rhythm: a peer's pulse that comes when the next beat is nearly due brings it forward, so that pulses,
 * answers and beats of a whole cluster fall together and each process handles them in one waking. A beat never comes late for
 * it, so leases and grace rest on the same bounds.
 *
 * @module
 */
import type { Clock, Timer } from "@/shared/clock.ts";

/** Share of the interval that must have passed before a peer's pulse brings the next beat forward. */
const NUDGED_AFTER_SHARE = 0.8;

/** See the module comment. */
export class Heart {
  readonly intervalMs: number;
  readonly #clock: Clock;
  readonly #listeners = new Set<() => void>();
  #timer: Timer | undefined;
  #lastMs = -Infinity;

  constructor(clock: Clock, intervalMs: number) {
    this.#clock = clock;
    this.intervalMs = intervalMs;
  }

  /** Calls `listener`, which must not throw, at each beat until the timer that this gives is cancelled. */
  onBeat(listener: () => void): Timer {
    this.#listeners.add(listener);
    if (this.#listeners.size === 1) this.#arm();
    return {
      cancel: () => {
        this.#listeners.delete(listener);
        if (this.#listeners.size === 0) this.#timer?.cancel();
      },
    };
  }

  /** A peer beats now: so does this process, if it would soon anyway. */
  nudge(): void {
    if (this.#listeners.size === 0) return;
    if (this.#clock.monotonicMs() - this.#lastMs >= NUDGED_AFTER_SHARE * this.intervalMs) this.#beat();
  }

  #arm(): void {
    this.#lastMs = this.#clock.monotonicMs();
    this.#timer?.cancel();
    this.#timer = this.#clock.setTimer(this.intervalMs, () => this.#beat());
  }

  #beat(): void {
    this.#arm();
    for (const listener of [...this.#listeners]) listener();
  }
}
