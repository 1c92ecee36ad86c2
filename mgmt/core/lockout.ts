/**
 * How sign-in answers repeated failures: five are free, then each one locks the user for a while, twice as long each time.
 * The count falls back to zero after a success, or after a quiet hour.
 *
 * @module
 */

/** Failures in a row that have no consequence. */
export const FREE_FAILURES = 5;
/** First time of being locked. */
export const LOCK_MS_MIN = 30_000;
/** Longest time of being locked. */
export const LOCK_MS_MAX = 900_000;
/** Time without a failure after which earlier ones are forgotten. */
export const FORGET_AFTER_MS = 3_600_000;

/** Failures of one user so far. */
export interface Failures {
  readonly count: number;
  readonly lastAtMs: number;
}

/** What one more failure at `nowMs` makes of `failures`. */
export function afterFailure(failures: Failures, nowMs: number): Failures {
  const forgotten = nowMs - failures.lastAtMs >= FORGET_AFTER_MS;
  return { count: (forgotten ? 0 : failures.count) + 1, lastAtMs: nowMs };
}

/** How long no password is looked at any more, in ms from `nowMs`; 0 = it is. */
export function lockedForMs(failures: Failures, nowMs: number): number {
  const beyond = failures.count - FREE_FAILURES;
  if (beyond < 0) return 0;
  const lockMs = Math.min(LOCK_MS_MAX, LOCK_MS_MIN * 2 ** Math.min(beyond, 10));
  // A wall clock that went back must not lock for longer than the lock itself.
  return Math.min(lockMs, Math.max(0, failures.lastAtMs + lockMs - nowMs));
}
