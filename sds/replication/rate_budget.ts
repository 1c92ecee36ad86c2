/**
 * A token bucket: bytes per second with one second of burst, shared by whoever copies.
 *
 * @module
 */
import { type Clock, sleep } from "@/shared/clock.ts";

/** Bytes that may be used per second. */
export class RateBudget {
  readonly #clock: Clock;
  readonly #bytesPerSecond: number;
  #availableBytes: number;
  #filledMs: number;

  constructor(clock: Clock, bytesPerSecond: number) {
    this.#clock = clock;
    this.#bytesPerSecond = bytesPerSecond;
    this.#availableBytes = bytesPerSecond;
    this.#filledMs = clock.monotonicMs();
  }

  /** Resolves when `byteCount` may be used, or when `signal` is aborted: the caller looks at it. */
  async take(byteCount: number, signal: AbortSignal): Promise<void> {
    this.#refill();
    this.#availableBytes -= byteCount;
    if (this.#availableBytes >= 0) return;
    await sleep(this.#clock, -this.#availableBytes / this.#bytesPerSecond * 1000, signal);
  }

  #refill(): void {
    const nowMs = this.#clock.monotonicMs();
    const earned = (nowMs - this.#filledMs) / 1000 * this.#bytesPerSecond;
    this.#availableBytes = Math.min(this.#bytesPerSecond, this.#availableBytes + earned);
    this.#filledMs = nowMs;
  }
}
