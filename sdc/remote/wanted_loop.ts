/**
 * A task that many may ask for and that runs one at a time: who asks while it runs gets another run after it. Between runs
 * it pauses, 50 ms at first and longer each time as long as it is needed again.
 *
 * @module
 */
import { backoffMs } from "@/sdc/core/retry.ts";
import { type Clock, sleep } from "@/shared/clock.ts";
import type { Random } from "@/shared/random.ts";

/** What a loop is made of. */
export interface WantedLoopOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Longest pause between two runs, in ms. */
  readonly pauseMsMax: number;
  /** One run; true if it is needed again. Never rejects. */
  readonly run: () => Promise<boolean>;
}

/** See the module comment. */
export class WantedLoop {
  readonly #options: WantedLoopOptions;
  readonly #closing = new AbortController();
  #wanted = false;
  #running = false;

  constructor(options: WantedLoopOptions) {
    this.#options = options;
  }

  /** Asks for a run: at once if none runs and the last one's pause is over. */
  want(): void {
    this.#wanted = true;
    if (!this.#running && !this.#closing.signal.aborted) void this.#runAll();
  }

  /** Starts nothing more. */
  close(): void {
    this.#closing.abort();
  }

  async #runAll(): Promise<void> {
    const { clock, random, pauseMsMax, run } = this.#options;
    this.#running = true;
    for (let round = 0; this.#wanted; round++) {
      this.#wanted = false;
      const again = await run();
      if (this.#closing.signal.aborted) break;
      await sleep(clock, backoffMs(round, random.fraction(), pauseMsMax), this.#closing.signal);
      if (this.#closing.signal.aborted) break;
      this.#wanted ||= again;
    }
    this.#running = false;
  }
}
