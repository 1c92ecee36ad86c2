/**
 * Breaks of long background work, so that the event loop serves IO in between.
 *
 * @module
 */
import type { Clock, Timer } from "@/shared/clock.ts";

/** Gives the turn away until stopped. */
export class Turns {
  readonly #clock: Clock;
  readonly #pauses = new Map<() => void, Timer>();
  #stopped = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** True once nobody should begin background work. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Resolves in a later turn, `delayMs` from now, or at once when stopped. The caller checks {@linkcode Turns.stopped}. */
  pause(delayMs = 0): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.#clock.setTimer(delayMs, () => {
        this.#pauses.delete(resolve);
        resolve();
      });
      this.#pauses.set(resolve, timer);
    });
  }

  /** Ends all pauses, now and later. */
  stop(): void {
    this.#stopped = true;
    for (const [resolve, timer] of this.#pauses) {
      timer.cancel();
      resolve();
    }
    this.#pauses.clear();
  }
}
