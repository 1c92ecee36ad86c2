/**
 * Clocks of simulated hosts: each runs at its own rate and its wall clock stands where it likes. A process sees its host's
 * clock through its gate, so that timers of a dead process never fire and those of a paused one fire late.
 *
 * @module
 */
import type { Clock, Timer } from "@/shared/clock.ts";
import type { Gate } from "@/tests/sim/gate.ts";
import type { VirtualTime } from "@/tests/sim/virtual_time.ts";

/** What distinguishes the clock of one host. */
export interface HostClockOptions {
  readonly time: VirtualTime;
  /** Host milliseconds per true millisecond: 0.99 to 1.01. */
  readonly rate: number;
  /** What the wall clock shows when the run starts, in ms since 1970. */
  readonly wallStartMs: number;
}

/** The clock of one host, which outlives its processes. */
export class HostClock {
  readonly #time: VirtualTime;
  readonly #rate: number;
  #wallOffsetMs: number;

  constructor(options: HostClockOptions) {
    this.#time = options.time;
    this.#rate = options.rate;
    this.#wallOffsetMs = options.wallStartMs;
  }

  /** Someone sets the wall clock: forward, or back when negative. */
  jumpWall(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  /** The clock as the process behind `gate` sees it. */
  forProcess(gate: Gate): Clock {
    return {
      monotonicMs: () => this.#time.nowMs * this.#rate,
      wallMs: () => Math.floor(this.#wallOffsetMs + this.#time.nowMs * this.#rate),
      setTimer: (delayMs, callback) => this.#setTimer(gate, { delayMs, callback }),
    };
  }

  #setTimer(gate: Gate, timer: { readonly delayMs: number; readonly callback: () => void }): Timer {
    if (gate.dead) return { cancel() {} };
    let cancelled = false;
    const fire = () => {
      if (!cancelled) timer.callback();
    };
    const scheduled = this.#time.after(Math.max(0, timer.delayMs) / this.#rate, () => gate.pass(fire));
    return {
      cancel() {
        cancelled = true;
        scheduled.cancel();
      },
    };
  }
}
