/**
 * Alert rules: when a figure of the cluster becomes an alert. A rule looks at one metric of one kind of source, and fires when
 * the metric was over its threshold at as many evaluations in a row as it asks for, `everyMs` apart. It stops firing at the
 * first figure that is not over the threshold, whenever that comes.
 *
 * Rules of one condition describe the same trouble at several heights (a heartbeat that is late, one that is missing): a source
 * has one alert per condition, under the worst rule that fires.
 *
 * @module
 */
import { type Severity, severitySchema } from "@/shared/api/overview.ts";
import { TIMES } from "@/shared/constants.ts";

/** What a rule looks at. */
export type SourceType = "SDS" | "SDC" | "POOL" | "VOLUME";

/** The trouble that a rule is about; sources have one alert of each. */
export type Condition =
  | "sds_down"
  | "heartbeat_miss"
  | "pool_degraded"
  | "capacity_warning"
  | "rebuild_stall"
  | "io_error_rate"
  | "device_failed";

/** A figure that rules compare. */
export type Metric =
  | "heartbeat_age_seconds"
  | "stopped_seconds"
  | "failed_devices"
  | "capacity_used_percent"
  | "groups_lacking_copies"
  | "groups_unavailable"
  | "rebuild_idle_seconds"
  | "io_error_rate_percent";

/** What a rule says, without its number. */
export interface RuleText {
  readonly name: string;
  readonly condition: Condition;
  readonly sourceType: SourceType;
  readonly metric: Metric;
  /** Fires above it, not at it. */
  readonly threshold: number;
  readonly severity: Severity;
  readonly everyMs: number;
  /** Evaluations over the threshold in a row; 1 or more. */
  readonly consecutive: number;
  /** An alert that resolved by itself less than this ago is opened again instead of a new one being raised. */
  readonly coolDownMs: number;
}

/** A rule of the table. */
export interface AlertRule extends RuleText {
  readonly ruleId: number;
  readonly isActive: boolean;
}

const SECOND_MS = 1_000;
const COOL_DOWN_MS = 300_000;

function rule(text: Omit<RuleText, "coolDownMs" | "everyMs"> & { readonly everySeconds: number }): RuleText {
  const { everySeconds, ...rest } = text;
  return { ...rest, everyMs: everySeconds * SECOND_MS, coolDownMs: COOL_DOWN_MS };
}

/** The rules of a new database. The first five are the predecessor's; the others tell sooner, or of what it did not watch. */
export const SEEDED_RULES: readonly RuleText[] = [
  rule({
    name: "SDS Heartbeat Missed",
    condition: "sds_down",
    sourceType: "SDS",
    metric: "heartbeat_age_seconds",
    threshold: 60,
    severity: "critical",
    everySeconds: 30,
    consecutive: 2,
  }),
  rule({
    name: "SDC Heartbeat Missed",
    condition: "heartbeat_miss",
    sourceType: "SDC",
    metric: "heartbeat_age_seconds",
    threshold: 60,
    severity: "error",
    everySeconds: 30,
    consecutive: 2,
  }),
  rule({
    name: "Pool Capacity Warning",
    condition: "capacity_warning",
    sourceType: "POOL",
    metric: "capacity_used_percent",
    threshold: 80,
    severity: "warning",
    everySeconds: 60,
    consecutive: 1,
  }),
  rule({
    name: "Pool Capacity Critical",
    condition: "capacity_warning",
    sourceType: "POOL",
    metric: "capacity_used_percent",
    threshold: 95,
    severity: "critical",
    everySeconds: 60,
    consecutive: 1,
  }),
  rule({
    name: "High IO Error Rate",
    condition: "io_error_rate",
    sourceType: "VOLUME",
    metric: "io_error_rate_percent",
    threshold: 1,
    severity: "error",
    everySeconds: 60,
    consecutive: 3,
  }),
  // An alert 30 s after a server fell silent: the moment at which its process is called STALE.
  rule({
    name: "SDS Stale",
    condition: "sds_down",
    sourceType: "SDS",
    metric: "heartbeat_age_seconds",
    threshold: TIMES.staleAfterMs / SECOND_MS,
    severity: "warning",
    everySeconds: 1,
    consecutive: 1,
  }),
  rule({
    name: "SDS Stopped",
    condition: "sds_down",
    sourceType: "SDS",
    metric: "stopped_seconds",
    threshold: 0,
    severity: "warning",
    everySeconds: 1,
    consecutive: 1,
  }),
  rule({
    name: "SDC Stale",
    condition: "heartbeat_miss",
    sourceType: "SDC",
    metric: "heartbeat_age_seconds",
    threshold: TIMES.staleAfterMs / SECOND_MS,
    severity: "warning",
    everySeconds: 1,
    consecutive: 1,
  }),
  rule({
    name: "Device Failed",
    condition: "device_failed",
    sourceType: "SDS",
    metric: "failed_devices",
    threshold: 0,
    severity: "error",
    everySeconds: 1,
    consecutive: 1,
  }),
  rule({
    name: "Pool Degraded",
    condition: "pool_degraded",
    sourceType: "POOL",
    metric: "groups_lacking_copies",
    threshold: 0,
    severity: "warning",
    everySeconds: 1,
    consecutive: 1,
  }),
  rule({
    name: "Pool Not Served",
    condition: "pool_degraded",
    sourceType: "POOL",
    metric: "groups_unavailable",
    threshold: 0,
    severity: "critical",
    everySeconds: 1,
    consecutive: 1,
  }),
  rule({
    name: "Rebuild Stalled",
    condition: "rebuild_stall",
    sourceType: "POOL",
    metric: "rebuild_idle_seconds",
    threshold: 60,
    severity: "error",
    everySeconds: 10,
    consecutive: 1,
  }),
];

/** A figure of one source at one instant. */
export interface Reading {
  readonly sourceType: SourceType;
  readonly sourceId: number;
  readonly sourceName: string;
  readonly metric: Metric;
  readonly value: number;
  /** What an alert about it says. */
  readonly message: string;
}

/** How often each rule was broken in a row, by source; and when it was evaluated last. */
export type RuleProgress = ReadonlyMap<number, {
  /** Monotonic. */
  readonly evaluatedAtMs: number;
  readonly breachCounts: ReadonlyMap<number, number>;
}>;

/** A rule that fires for a source. */
export interface Firing {
  readonly key: string;
  readonly rule: AlertRule;
  readonly reading: Reading;
}

/** Key of the alert that `rule` raises for a source: one per condition and source. */
export function alertKey(rule: Pick<RuleText, "condition" | "sourceType">, sourceId: number): string {
  return `${rule.condition}:${rule.sourceType.toLowerCase()}-${sourceId}`;
}

const SEVERITIES_BEST_FIRST = severitySchema.options;

/** Height of a severity: 0 for `info`, 3 for `critical`. */
export function severityRank(severity: Severity): number {
  return SEVERITIES_BEST_FIRST.indexOf(severity);
}

/**
 * Evaluates `rules` over `readings`. `ruleOfOpenAlert` names the rule under which an alert is open already: as long as it is
 * broken it fires, so that a restart, which forgets the counts, resolves nothing.
 */
export function evaluateRules(progress: RuleProgress, facts: {
  readonly rules: readonly AlertRule[];
  readonly readings: readonly Reading[];
  readonly nowMs: number;
  readonly ruleOfOpenAlert: ReadonlyMap<string, number | null>;
}): { readonly progress: RuleProgress; readonly firing: readonly Firing[] } {
  const { rules, readings, nowMs, ruleOfOpenAlert } = facts;
  const next = new Map<number, { evaluatedAtMs: number; breachCounts: ReadonlyMap<number, number> }>();
  const worst = new Map<string, Firing>();
  for (const rule of rules) {
    if (!rule.isActive) continue;
    const before = progress.get(rule.ruleId);
    const due = before === undefined || nowMs - before.evaluatedAtMs >= rule.everyMs;
    const breachCounts = new Map<number, number>();
    for (const reading of readings) {
      if (reading.metric !== rule.metric || reading.sourceType !== rule.sourceType) continue;
      if (reading.value <= rule.threshold) continue;
      const count = (before?.breachCounts.get(reading.sourceId) ?? 0) + (due ? 1 : 0);
      breachCounts.set(reading.sourceId, count);
      const key = alertKey(rule, reading.sourceId);
      const open = ruleOfOpenAlert.get(key) === rule.ruleId;
      if (count < rule.consecutive && !open) continue;
      const other = worst.get(key);
      const isWorse = other === undefined || severityRank(rule.severity) > severityRank(other.rule.severity) ||
        (rule.severity === other.rule.severity && open);
      if (isWorse) worst.set(key, { key, rule, reading });
    }
    next.set(rule.ruleId, { evaluatedAtMs: due ? nowMs : before.evaluatedAtMs, breachCounts });
  }
  return { progress: next, firing: [...worst.values()] };
}
