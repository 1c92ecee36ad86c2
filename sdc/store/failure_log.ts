/**
 * Gathers failures of IO and writes them to the store together, a second later: nothing on the IO path waits for a disk. The
 * next heartbeat tells the MDM of them, as one per volume.
 *
 * @module
 */
import type { LoggedFailure, SdcStore } from "@/sdc/store/store.ts";
import { IO_FAILURES_PER_BEAT_MAX, type IoFailureReport as FailureReport } from "@/shared/api/sdc.ts";
import type { Clock, Timer } from "@/shared/clock.ts";
import { asId, type VolumeId } from "@/shared/ids.ts";

/** Time from a failure to its row, in ms. */
export const FAILURE_WRITE_MS = 1_000;
/** Failures of one second that are kept; the rest is counted in the volume's totals only. */
export const FAILURES_WAITING_MAX = 1_000;
/** Of those, the ones that are worth a line in the log. */
export const FAILURES_SAID_MAX = 10;

/** See the module comment. */
export class FailureLog {
  readonly #store: SdcStore;
  readonly #clock: Clock;
  #waiting: LoggedFailure[] = [];
  #timer: Timer | undefined;
  /** By volume: what the MDM has not been told yet. */
  readonly #untold = new Map<number, { count: number; last: LoggedFailure }>();

  constructor(store: SdcStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** Takes a failure; true if it is one of the first of this second, which the log tells of too. */
  add(failure: LoggedFailure): boolean {
    const { volumeId } = failure;
    this.#untold.set(volumeId, { count: (this.#untold.get(volumeId)?.count ?? 0) + 1, last: failure });
    if (this.#waiting.length >= FAILURES_WAITING_MAX) return false;
    this.#waiting.push(failure);
    this.#timer ??= this.#clock.setTimer(FAILURE_WRITE_MS, () => this.flush());
    return this.#waiting.length <= FAILURES_SAID_MAX;
  }

  /** Writes what waits. */
  flush(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#waiting.length > 0) this.#store.logFailures(this.#waiting.splice(0));
  }

  /** Failures since the last that were told, by volume, for the next heartbeat. */
  untold(): FailureReport[] {
    return [...this.#untold].slice(0, IO_FAILURES_PER_BEAT_MAX).map(([volumeId, { count, last }]) => {
      const { operation, offsetBytes, lengthBytes, code, message } = last;
      return { volumeId: asId<VolumeId>(volumeId), count, operation, offsetBytes, lengthBytes, code, message };
    });
  }

  /** The MDM has answered a beat that carried these. */
  told(reports: readonly FailureReport[]): void {
    for (const { volumeId, count } of reports) {
      const known = this.#untold.get(volumeId);
      if (known === undefined) continue;
      known.count -= count;
      if (known.count <= 0) this.#untold.delete(volumeId);
    }
  }
}
