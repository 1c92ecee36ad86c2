/**
 * Joins that were given to primaries and have not ended (replication design, section 3.8), one per group at most. The planner
 * adds, heartbeats report, an ended join leaves.
 *
 *   given ── reported running ──► running ── done, failed, epoch changed, absent for 5 s ──► (gone)
 *
 * A failed join waits before it is given again, longer with each failure.
 *
 * @module
 */
import type { JoinMode } from "@/mdm/core/joins.ts";
import type { DeviceId, Epoch, Incarnation, PgId, SdsId } from "@/shared/ids.ts";

/** A join missing from its primary's heartbeats for this long is planned anew. */
export const JOIN_ABSENT_MS = 5_000;
/** First and longest wait after a failed join of one group. */
export const JOIN_RETRY_MIN_MS = 1_000;
export const JOIN_RETRY_MAX_MS = 30_000;

/** Failures in a row, and when the next try may begin, monotonic ms. */
export interface Retry {
  readonly failures: number;
  readonly notBeforeMs: number;
}

/** The wait after one more failure: doubled with each, from {@linkcode JOIN_RETRY_MIN_MS} to {@linkcode JOIN_RETRY_MAX_MS}. */
export function nextRetry(before: Retry | undefined, nowMs: number): Retry {
  const failures = (before?.failures ?? 0) + 1;
  const waitMs = Math.min(JOIN_RETRY_MIN_MS * 2 ** Math.min(failures - 1, 10), JOIN_RETRY_MAX_MS);
  return { failures, notBeforeMs: nowMs + waitMs };
}

/** One join. Times are of the monotonic clock, in ms. */
export interface Join {
  readonly pgId: PgId;
  readonly epoch: Epoch;
  readonly primarySdsId: SdsId;
  readonly sdsId: SdsId;
  readonly deviceId: DeviceId;
  readonly incarnation: Incarnation;
  readonly mode: JoinMode;
  /** When it was given or last reported. */
  readonly seenAtMs: number;
  readonly chunksCopied: number;
  /** Undefined while unknown. */
  readonly chunksTotal: number | undefined;
  readonly verifying: boolean;
  readonly bytesCopied: number;
}

/** The running joins by group. */
export class JoinTable {
  readonly #joins = new Map<PgId, Join>();
  readonly #retries = new Map<PgId, Retry>();
  /** What the last join of a group had copied. */
  readonly #copied = new Map<PgId, number>();

  get(pgId: PgId): Join | undefined {
    return this.#joins.get(pgId);
  }

  all(): Iterable<Join> {
    return this.#joins.values();
  }

  get size(): number {
    return this.#joins.size;
  }

  set(join: Join): void {
    this.#joins.set(join.pgId, join);
    this.#copied.set(join.pgId, join.bytesCopied);
  }

  remove(pgId: PgId): void {
    this.#joins.delete(pgId);
  }

  /** The group has all its copies or another epoch: whatever failed before does not matter any more. */
  forget(pgId: PgId): void {
    this.#joins.delete(pgId);
    this.#retries.delete(pgId);
  }

  /** Bytes that the last join of the group had copied when it was heard of last; forgotten by being asked. */
  takeCopied(pgId: PgId): number {
    const bytes = this.#copied.get(pgId) ?? 0;
    this.#copied.delete(pgId);
    return bytes;
  }

  /** Failures of the past make nobody wait any more. */
  forgetRetries(): void {
    this.#retries.clear();
  }

  /** Ends a join that failed; the group's next one waits. */
  fail(pgId: PgId, nowMs: number): void {
    this.#joins.delete(pgId);
    this.#retries.set(pgId, nextRetry(this.#retries.get(pgId), nowMs));
  }

  /** True while the group waits after a failure. */
  waits(pgId: PgId, nowMs: number): boolean {
    return (this.#retries.get(pgId)?.notBeforeMs ?? 0) > nowMs;
  }
}
