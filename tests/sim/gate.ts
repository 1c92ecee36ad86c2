/**
 * Whether a simulated process runs. Everything that wakes a process (timers, bytes, answers, finished disk operations)
 * passes its gate, so that a crash ends it at once and a pause holds all of it back.
 *
 *   running ◄──pause, resume──► paused        either ──kill──► dead, for ever
 *
 * @module
 */
import type { VirtualTime } from "@/tests/sim/virtual_time.ts";

/** Gate of one incarnation of one process. */
export class Gate {
  readonly #time: VirtualTime;
  #state: "running" | "paused" | "dead" = "running";
  #held: (() => void)[] = [];

  constructor(time: VirtualTime) {
    this.#time = time;
  }

  get dead(): boolean {
    return this.#state === "dead";
  }

  get paused(): boolean {
    return this.#state === "paused";
  }

  /** Runs `wake` now, or when the process is resumed, or never. */
  pass(wake: () => void): void {
    if (this.#state === "running") wake();
    else if (this.#state === "paused") this.#held.push(wake);
  }

  /** SIGSTOP. */
  pause(): void {
    if (this.#state === "running") this.#state = "paused";
  }

  /** SIGCONT: what waited runs in the order in which it came, each with everything it sets off. */
  resume(): void {
    if (this.#state !== "paused") return;
    this.#state = "running";
    for (const wake of this.#held.splice(0)) this.#time.after(0, () => this.pass(wake));
  }

  /** SIGKILL: nothing passes any more. */
  kill(): void {
    this.#state = "dead";
    this.#held = [];
  }

  /** A promise for something that `start` does in `delayMs`; it never settles when the process is dead. */
  later<Result>(delayMs: number, start: () => Result): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#time.after(delayMs, () =>
        this.pass(() => {
          try {
            resolve(start());
          } catch (error) {
            reject(error);
          }
        }));
    });
  }
}
