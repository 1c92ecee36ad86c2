/**
 * Work that is due soon: done once, however often it was asked for meanwhile.
 *
 * @module
 */
import type { Clock, Timer } from "@/shared/clock.ts";

/** Runs its task a moment after it was asked to; see the module comment. */
export class Soon {
  readonly #clock: Clock;
  readonly #delayMs: number;
  readonly #task: () => void;
  #timer: Timer | undefined;
  #ended = false;

  /** @param options.delayMs time in which further askings are the same one. */
  constructor(clock: Clock, options: { readonly delayMs: number; readonly task: () => void }) {
    this.#clock = clock;
    this.#delayMs = options.delayMs;
    this.#task = options.task;
  }

  /** Asks for the task; never runs it within this call. */
  ask(): void {
    if (this.#ended) return;
    this.#timer ??= this.#clock.setTimer(this.#delayMs, () => {
      this.#timer = undefined;
      this.#task();
    });
  }

  /** Nothing runs from now on. */
  cancel(): void {
    this.#ended = true;
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
