/**
 * A token bucket: bytes per second with a tenth of a second of burst, shared by whoever copies. The rate may change at any time,
 * and 0 makes everybody wait.
 *
 * @module
 */
import { type Clock, sleep } from "@/shared/clock.ts";

/** Part of a second's bytes that may be used at once. */
const BURST = 0.1;
/** A change of the rate is noticed within this time by those who wait. */
const LOOK_MS = 100;

/** Bytes that may be used per second. */
export class RateBudget {
  readonly #clock: Clock;
  #bytesPerSecond: number;
  #availableBytes: number;
  #filledMs: number;

  constructor(clock: Clock, bytesPerSecond: number) {
    this.#clock = clock;
    this.#bytesPerSecond = bytesPerSecond;
    this.#availableBytes = bytesPerSecond * BURST;
    this.#filledMs = clock.monotonicMs();
  }

  get bytesPerSecond(): number {
    return this.#bytesPerSecond;
  }

  /** Another rate from now on; 0 or more. */
  set(bytesPerSecond: number): void {
    this.#refill();
    this.#bytesPerSecond = bytesPerSecond;
  }

  /** Resolves when `byteCount` may be used, or when `signal` is aborted: the caller looks at it. */
  async take(byteCount: number, signal: AbortSignal): Promise<void> {
    this.#refill();
    this.#availableBytes -= byteCount;
    // Every caller's bytes are taken off before it waits, so together they keep to the rate.
    while (this.#availableBytes < 0) {
      if (signal.aborted) {
        this.#availableBytes += byteCount;
        return;
      }
      const dueMs = -this.#availableBytes / Math.max(this.#bytesPerSecond, 1) * 1000;
      await sleep(this.#clock, Math.min(Math.max(dueMs, 1), LOOK_MS), signal);
      this.#refill();
    }
  }

  #refill(): void {
    const nowMs = this.#clock.monotonicMs();
    const earned = (nowMs - this.#filledMs) / 1000 * this.#bytesPerSecond;
    this.#availableBytes = Math.min(this.#bytesPerSecond * BURST, this.#availableBytes + earned);
    this.#filledMs = nowMs;
  }
}
