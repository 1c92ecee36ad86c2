/**
 * Whether the next read is made on the event loop or off it. Data in the page cache takes 1 to 30 us on it and 13 to 40 off it;
 * cold data would stop heartbeats and all other IO for milliseconds. The time of recent reads decides: one slow read sends the
 * next ones off the event loop, and after them one read probes. Each slow probe doubles their number, each quick one halves it.
 *
 * @module
 */

/** Reads off the event loop after the first slow one. */
export const ASYNC_RUN_MIN = 16;
/** Reads off the event loop between two slow probes at most. */
export const ASYNC_RUN_MAX = 4096;

/** The pace of reads of one device. */
export class ReadPace {
  readonly #coldMs: number;
  #runLength = 0;
  #remaining = 0;

  /** @param options.coldMs a read on the event loop that took this long was not from the page cache. */
  constructor(options: { readonly coldMs: number }) {
    this.#coldMs = options.coldMs;
  }

  /** True if the next read goes off the event loop. */
  nextIsAsync(): boolean {
    if (this.#remaining === 0) return false;
    this.#remaining--;
    return true;
  }

  /** Notes how long a read on the event loop took. */
  noteSync(tookMs: number): void {
    if (tookMs >= this.#coldMs) {
      this.#runLength = Math.min(ASYNC_RUN_MAX, Math.max(ASYNC_RUN_MIN, 2 * this.#runLength));
      this.#remaining = this.#runLength;
    } else if (this.#runLength > 0) {
      this.#runLength = this.#runLength <= ASYNC_RUN_MIN ? 0 : this.#runLength / 2;
      this.#remaining = this.#runLength;
    }
  }
}
