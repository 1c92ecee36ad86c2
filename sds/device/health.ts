/**
 * Whether a device may still be used. The first write or sync error fails it for ever: after a failed `fdatasync` the kernel
 * may report pages clean that were never written (Rebello et al., ATC 2020), so nothing is retried (I22).
 *
 * @module
 */
import { type ErrorCode, StorageError } from "@/shared/errors.ts";

/** Read errors and wrong checksums within {@linkcode READ_ERROR_WINDOW_MS} that a device may have; one more fails it. */
export const READ_ERRORS_MAX = 10;
export const READ_ERROR_WINDOW_MS = 600_000;

/** The state of one device in this process. */
export class DeviceHealth {
  #failure: StorageError | undefined;
  readonly #listeners: ((failure: StorageError) => void)[] = [];
  /** When each place was last found bad. */
  readonly #badPlacesMs = new Map<string, number>();

  /** `device_failed` once it failed. */
  get failed(): ErrorCode | undefined {
    return this.#failure?.code;
  }

  /** Why it failed. */
  get failure(): StorageError | undefined {
    return this.#failure;
  }

  /** Calls `listener` once when the device fails; at once if it has. */
  onFailed(listener: (failure: StorageError) => void): void {
    if (this.#failure !== undefined) listener(this.#failure);
    else this.#listeners.push(listener);
  }

  /** Fails the device, unless it has failed already, and gives the error to throw: `attempt` is what could not be done. */
  fail(attempt: string, cause: unknown): StorageError {
    if (this.#failure === undefined) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      this.#failure = new StorageError("device_failed", `${attempt}: ${reason}; the device is out of use`, { cause });
      for (const listener of this.#listeners.splice(0)) listener(this.#failure);
    }
    return this.#failure;
  }

  /** @throws {StorageError} device_failed */
  requireIntact(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /**
   * Counts a read error or a wrong checksum of one place, such as `block 7 of slot 2`; more than {@linkcode READ_ERRORS_MAX} places
   * in the window fail the device. A place counts once, however often it is looked at before it is mended.
   */
  noteReadError(place: string, error: { readonly reason: string; readonly nowMs: number }): void {
    const { nowMs } = error;
    for (const [known, timeMs] of this.#badPlacesMs) {
      if (nowMs - timeMs >= READ_ERROR_WINDOW_MS) this.#badPlacesMs.delete(known);
    }
    this.#badPlacesMs.set(place, nowMs);
    if (this.#badPlacesMs.size > READ_ERRORS_MAX) {
      const count = this.#badPlacesMs.size;
      this.fail(`Cannot read ${place}: ${error.reason}`, new Error(`${count} read errors in ten minutes`));
    }
  }
}
