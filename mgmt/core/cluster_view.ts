/**
 * What MGMT knows of the cluster at one instant: the newest overview, whether the MDM still answers, and rates. Pages are
 * functions of it.
 *
 * @module
 */
import type { Overview } from "@/shared/api/overview.ts";
import type { Alert } from "@/mgmt/core/alerts.ts";
import type { AnswerTable } from "@/mgmt/core/monitoring.ts";
import type { HistoryPoint, RateTable } from "@/mgmt/core/rates.ts";

/** Whether the MDM answers. Times are MGMT's wall clock in ms. */
export type Contact =
  | { readonly kind: "in_touch" }
  /** The first poll has not ended yet. */
  | { readonly kind: "not_tried" }
  | {
    readonly kind: "lost";
    readonly sinceMs: number;
    readonly attemptCount: number;
    /** What went wrong last, in words. */
    readonly reason: string;
  };

/** What MGMT knows. */
export interface ClusterView {
  readonly mdmUrl: string;
  /** MGMT's wall clock. */
  readonly nowMs: number;
  readonly contact: Contact;
  readonly snapshot: Snapshot | undefined;
  readonly rates: RateTable;
  readonly history: readonly HistoryPoint[];
  /** Alerts that are not resolved, worst first. */
  readonly alerts: readonly Alert[];
  /** What the processes' own management listeners say. */
  readonly answers: AnswerTable;
}

/** An overview and when MGMT received it. */
export interface Snapshot {
  readonly overview: Overview;
  /** MGMT's wall clock. */
  readonly takenAtMs: number;
}
