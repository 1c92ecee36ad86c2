/**
 * Alerts: what somebody should know of, from the moment it is raised to the moment it is resolved.
 *
 *   raised ──► active ── acknowledge ──► acknowledged
 *                │  ▲                        │
 *      suppress ─┤  └── time is over ──┐     │
 *                ▼                     │     │
 *            suppressed ───────────────┘     │
 *                │                           │
 *                └────── resolve ◄───────────┘   by a person, or by itself when the condition ends
 *
 * An alert that resolved by itself and comes back within its rule's cool-down is opened again; later, a new one is raised.
 *
 * @module
 */
import type { Severity } from "@/shared/api/overview.ts";
import type { Condition, Firing } from "@/mgmt/core/alert_rules.ts";
import { severityRank } from "@/mgmt/core/alert_rules.ts";

/** What stands behind an alert: a rule's condition, the MDM itself, its absence, or a person. */
export type Category = Condition | "mdm" | "mdm_unreachable" | "manual";

/** Every state. */
export const ALERT_STATES = ["active", "acknowledged", "suppressed", "resolved"] as const;
export type AlertState = typeof ALERT_STATES[number];

/** Who resolves what ends by itself. */
export const BY_ITSELF = "system";

/** One alert. Times are MGMT's wall clock in ms. */
export interface Alert {
  readonly alertId: number;
  /** Condition and source; of the alerts that are not resolved, each has another. */
  readonly key: string;
  /** Null for those that no rule raises. */
  readonly ruleId: number | null;
  readonly category: Category;
  readonly severity: Severity;
  readonly state: AlertState;
  /** What it is about, such as `sds-2`. */
  readonly source: string;
  readonly message: string;
  readonly raisedAtMs: number;
  readonly acknowledgedBy: string | null;
  /** When a suppressed one becomes active again; null: not before it is resolved. */
  readonly suppressedUntilMs: number | null;
  readonly resolvedAtMs: number | null;
  /** A user, or {@linkcode BY_ITSELF}. */
  readonly resolvedBy: string | null;
}

/** A condition that holds now. */
export interface Finding {
  readonly key: string;
  readonly ruleId: number | null;
  readonly category: Category;
  readonly severity: Severity;
  readonly source: string;
  readonly message: string;
  readonly coolDownMs: number;
}

/** The finding that a firing rule is. */
export function findingOf({ key, rule, reading }: Firing): Finding {
  return {
    key,
    ruleId: rule.ruleId,
    category: rule.condition,
    severity: rule.severity,
    source: reading.sourceName,
    message: reading.message,
    coolDownMs: rule.coolDownMs,
  };
}

/** What is to be done so that the alerts say what is. */
export type AlertChange =
  | { readonly kind: "raise"; readonly finding: Finding }
  | { readonly kind: "reopen"; readonly alertId: number; readonly finding: Finding }
  /** Another rule of the same condition holds now. */
  | { readonly kind: "regrade"; readonly alertId: number; readonly finding: Finding }
  | { readonly kind: "end_suppression"; readonly alertId: number }
  | { readonly kind: "resolve"; readonly alertId: number };

/** The changes that make `alerts` say `findings`. */
export function changesFor(findings: readonly Finding[], facts: {
  /** Those that are not resolved. */
  readonly open: readonly Alert[];
  /** Those that resolved by themselves, newest first, as far back as a cool-down reaches. */
  readonly resolved: readonly Alert[];
  /** Keys that a person resolved while their condition held: they are raised again once it has ended. */
  readonly heldBack: ReadonlySet<string>;
  /** Categories of which nothing is known now: they stay as they are. */
  readonly isKnown: (category: Category) => boolean;
  readonly nowMs: number;
}): AlertChange[] {
  const { open, resolved, heldBack, isKnown, nowMs } = facts;
  const changes: AlertChange[] = [];
  const openByKey = new Map(open.map((alert) => [alert.key, alert]));
  const wanted = new Set<string>();
  for (const finding of findings) {
    wanted.add(finding.key);
    const alert = openByKey.get(finding.key);
    if (!alert) {
      if (heldBack.has(finding.key)) continue;
      const recent = resolved.find(({ key, resolvedAtMs }) =>
        key === finding.key && nowMs - (resolvedAtMs ?? 0) < finding.coolDownMs
      );
      changes.push(recent ? { kind: "reopen", alertId: recent.alertId, finding } : { kind: "raise", finding });
    } else if (alert.ruleId !== finding.ruleId || alert.severity !== finding.severity) {
      changes.push({ kind: "regrade", alertId: alert.alertId, finding });
    }
  }
  for (const alert of open) {
    const { alertId, key, category, state, suppressedUntilMs } = alert;
    if (!wanted.has(key) && category !== "manual" && isKnown(category)) changes.push({ kind: "resolve", alertId });
    else if (state === "suppressed" && suppressedUntilMs !== null && suppressedUntilMs <= nowMs) {
      changes.push({ kind: "end_suppression", alertId });
    }
  }
  return changes;
}

/** What a person may do with an alert. */
export type AlertAction = "acknowledge" | "suppress" | "resolve";

const ALLOWED: Readonly<Record<AlertState, readonly AlertAction[]>> = {
  active: ["acknowledge", "suppress", "resolve"],
  acknowledged: ["suppress", "resolve"],
  suppressed: ["acknowledge", "resolve"],
  resolved: [],
};

/** What may be done in `state`. */
export function actionsIn(state: AlertState): readonly AlertAction[] {
  return ALLOWED[state];
}

/** The state after `action`. */
export function stateAfter(action: AlertAction): AlertState {
  if (action === "acknowledge") return "acknowledged";
  return action === "suppress" ? "suppressed" : "resolved";
}

/** True for those that want attention: nobody suppressed them, and they are not over. */
export function isWanted({ state }: Alert): boolean {
  return state === "active" || state === "acknowledged";
}

/** How many of `alerts` that want attention there are of each severity: those that nobody suppressed. */
export function alertCounts(alerts: readonly Alert[]): Readonly<Record<Severity, number>> {
  const counts = { info: 0, warning: 0, error: 0, critical: 0 };
  for (const { severity } of alerts.filter(isWanted)) counts[severity]++;
  return counts;
}

/** `alerts` with the worst first, of equal ones the newest. */
export function worstFirst(alerts: readonly Alert[]): readonly Alert[] {
  return alerts.toSorted((a, b) =>
    severityRank(b.severity) - severityRank(a.severity) || b.raisedAtMs - a.raisedAtMs || b.alertId - a.alertId
  );
}

/** Which alerts one wants to see; an absent field allows all. */
export interface AlertFilter {
  readonly state?: AlertState;
  readonly severity?: Severity;
  readonly category?: string;
  readonly source?: string;
}
