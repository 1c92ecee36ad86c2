/**
 * Gathers failures of IO and writes them to the store together, a second later: nothing on the IO path waits for a disk.
 *
 * @module
 */
import type { LoggedFailure, SdcStore } from "@/sdc/store/store.ts";
import type { Clock, Timer } from "@/shared/clock.ts";

/** Time from a failure to its row, in ms. */
export const FAILURE_WRITE_MS = 1_000;
/** Failures of one second that are kept; the rest is counted in the volume's totals only. */
export const FAILURES_WAITING_MAX = 1_000;
/** Of those, the ones that are worth a line in the log. */
export const FAILURES_SAID_MAX = 10;

/** See the module comment. */
export class FailureLog {
  readonly #store: SdcStore;
  readonly #clock: Clock;
  #waiting: LoggedFailure[] = [];
  #timer: Timer | undefined;

  constructor(store: SdcStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** Takes a failure; true if it is one of the first of this second, which the log tells of too. */
  add(failure: LoggedFailure): boolean {
    if (this.#waiting.length >= FAILURES_WAITING_MAX) return false;
    this.#waiting.push(failure);
    this.#timer ??= this.#clock.setTimer(FAILURE_WRITE_MS, () => this.flush());
    return this.#waiting.length <= FAILURES_SAID_MAX;
  }

  /** Writes what waits. */
  flush(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#waiting.length > 0) this.#store.logFailures(this.#waiting.splice(0));
  }
}
