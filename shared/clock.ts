/**
 * Time as a capability. Everything that waits or measures takes a `Clock`, so that a test advances time and the simulator
 * owns it. The real clock is at the bottom; `tests/support/fake_clock.ts` and `tests/sim/` hold the others.
 *
 * @module
 */

/** A timer that has not fired yet, or has; cancelling a fired timer does nothing. */
export interface Timer {
  cancel(): void;
}

/** Source of time and of timers. */
export interface Clock {
  /** Milliseconds since an arbitrary start, never going back, with fractions. For intervals, leases and grace. */
  monotonicMs(): number;
  /** Milliseconds since 1970 by the host's wall clock. May jump. For people, and to notice a suspended host. */
  wallMs(): number;
  /** Runs `callback` once, `delayMs` (0 or more) from now. */
  setTimer(delayMs: number, callback: () => void): Timer;
}

/** The clock of this host. */
export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  setTimer(delayMs, callback) {
    const id = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(id) };
  },
};

/** Resolves after `delayMs`, or at once when `signal` is aborted: the caller looks at the signal. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const finish = () => {
      timer.cancel();
      signal?.removeEventListener("abort", finish);
      resolve();
    };
    const timer = clock.setTimer(delayMs, finish);
    signal?.addEventListener("abort", finish, { once: true });
  });
}

/** Runs `task` each `intervalMs`, counted from the end of the last run, until the returned timer is cancelled. */
export function every(clock: Clock, intervalMs: number, task: () => void | Promise<void>): Timer {
  let timer: Timer | undefined;
  let cancelled = false;
  const arm = () => {
    if (!cancelled) timer = clock.setTimer(intervalMs, run);
  };
  const run = () => {
    const outcome = task();
    if (outcome instanceof Promise) outcome.then(arm);
    else arm();
  };
  arm();
  return {
    cancel() {
      cancelled = true;
      timer?.cancel();
    },
  };
}
