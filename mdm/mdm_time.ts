/**
 * MDM time (replication design, section 6.3): milliseconds that never go back, also over restarts. What was told is always below
 * the persisted limit, and a restart begins at that limit or at the wall clock, whichever is later.
 *
 * @module
 */
import type { Database } from "@/mdm/store/database.ts";
import { counterValue, setCounter } from "@/mdm/store/cluster_config.ts";
import type { Clock } from "@/shared/clock.ts";

/** How far ahead the limit is persisted. */
export const PERSISTED_AHEAD_MS = 10_000;

/** The time in which tokens expire and events are dated. */
export class MdmTime {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #offsetMs: number;
  #limitMs: number;

  constructor(db: Database, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
    this.#limitMs = counterValue(db, "mdm_time_ms");
    this.#offsetMs = Math.max(this.#limitMs, clock.wallMs()) - clock.monotonicMs();
    this.extend();
  }

  /** Now, in whole milliseconds. Persists a new limit first if this one is reached. */
  nowMs(): number {
    const now = Math.floor(this.#clock.monotonicMs() + this.#offsetMs);
    if (now >= this.#limitMs) this.extend();
    return now;
  }

  /** Persists the limit anew when less than half of the lead is left: called in the background, so that `nowMs` rarely writes. */
  extend(): void {
    const now = Math.floor(this.#clock.monotonicMs() + this.#offsetMs);
    if (this.#limitMs - now > PERSISTED_AHEAD_MS / 2) return;
    this.#limitMs = now + PERSISTED_AHEAD_MS;
    setCounter(this.#db, "mdm_time_ms", this.#limitMs);
  }
}
