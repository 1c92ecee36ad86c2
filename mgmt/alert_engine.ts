/**
 * Keeps the alerts in step with the cluster: after each poll it evaluates the rules and writes down what that changes. The one
 * owner of the alerts' state; what people do about them goes through it too.
 *
 * @module
 */
import type { Clock } from "@/shared/clock.ts";
import { StorageError, unreachable } from "@/shared/errors.ts";
import type { Severity } from "@/shared/api/overview.ts";
import { type AlertRule, evaluateRules, type RuleProgress } from "@/mgmt/core/alert_rules.ts";
import { readingsOf, type RebuildIdle, withRebuildProgress } from "@/mgmt/core/alert_readings.ts";
import {
  actionsIn,
  type Alert,
  type AlertAction,
  type AlertChange,
  BY_ITSELF,
  type Category,
  changesFor,
  type Finding,
  findingOf,
  stateAfter,
  worstFirst,
} from "@/mgmt/core/alerts.ts";
import type { Contact, Snapshot } from "@/mgmt/core/cluster_view.ts";
import type { RateTable } from "@/mgmt/core/rates.ts";
import type { AlertActor } from "@/mgmt/store/alerts.ts";
import type { MgmtStore } from "@/mgmt/store/store.ts";

/** Alerts that people may have open at a time beside those of rules. */
export const MANUAL_ALERTS_MAX = 200;
/** Longest time by which an alert is suppressed at once. */
export const SUPPRESS_MS_MAX = 30 * 86_400_000;

/** What the engine looks at. */
export interface EngineFacts {
  readonly contact: Contact;
  readonly snapshot: Snapshot | undefined;
  readonly rates: RateTable;
  readonly mdmUrl: string;
}

/** The engine. */
export class AlertEngine {
  readonly #store: Pick<MgmtStore, "alerts" | "alertRules">;
  readonly #clock: Clock;
  #rules: readonly AlertRule[];
  #progress: RuleProgress = new Map();
  #rebuildIdle: RebuildIdle = new Map();
  /** As the table has them, with what they say now. */
  #open: readonly Alert[];
  readonly #heldBack = new Set<string>();

  constructor(parts: { readonly store: Pick<MgmtStore, "alerts" | "alertRules">; readonly clock: Clock }) {
    this.#store = parts.store;
    this.#clock = parts.clock;
    this.#rules = parts.store.alertRules.all();
    this.#open = worstFirst(parts.store.alerts.open());
  }

  /** Alerts that are not resolved, worst first. */
  open(): readonly Alert[] {
    return this.#open;
  }

  /** Reads the rules again after somebody changed them; each is evaluated anew, at the next poll. */
  reloadRules(): void {
    this.#progress = new Map();
    this.#rules = this.#store.alertRules.all();
  }

  /** Raises, regrades and resolves by what is known now. */
  evaluate(facts: EngineFacts): void {
    const findings = this.#findings(facts);
    const keys = new Set(findings.map(({ key }) => key));
    const nowMs = this.#clock.wallMs();
    const isInTouch = facts.contact.kind === "in_touch";
    // While the MDM is away nothing is known to be over.
    if (isInTouch) { for (const key of this.#heldBack) if (!keys.has(key)) this.#heldBack.delete(key); }
    const coolDownMs = findings.reduce((longest, finding) => Math.max(longest, finding.coolDownMs), 0);
    const openKeys = new Set(this.#open.map(({ key }) => key));
    const isNew = findings.some(({ key }) => !openKeys.has(key));
    const changes = changesFor(findings, {
      open: this.#open,
      resolved: isNew ? this.#store.alerts.resolvedByThemselves(nowMs - coolDownMs) : [],
      heldBack: this.#heldBack,
      isKnown: (category: Category) => category === "mdm_unreachable" ? facts.contact.kind !== "not_tried" : isInTouch,
      nowMs,
    });
    for (const change of changes) this.#carryOut(change, { nowMs, by: BY_ITSELF });
    if (changes.length > 0) this.#open = this.#store.alerts.open();
    const byKey = new Map(findings.map((finding) => [finding.key, finding]));
    this.#open = worstFirst(
      this.#open.map((alert) => ({ ...alert, message: byKey.get(alert.key)?.message ?? alert.message })),
    );
  }

  /**
   * What a person does about an alert. @param options.forMs with `suppress`: for how long, null = until it is resolved.
   * @throws {StorageError} `not_found`, or `conflict` when its state does not allow it.
   */
  act(
    alertId: number,
    { action, by, forMs = null }: { readonly action: AlertAction; readonly by: string; readonly forMs?: number | null },
  ): Alert {
    const { alerts } = this.#store;
    const attempt = `Cannot ${action} alert ${alertId}`;
    const stored = alerts.byId(alertId);
    if (!stored) throw new StorageError("not_found", `${attempt}: there is none with this number`);
    if (!actionsIn(stored.state).includes(action)) {
      const allowed = actionsIn(stored.state);
      const may = allowed.length === 0 ? "nothing can be done about it any more" : `it allows ${allowed.join(", ")}`;
      throw new StorageError("conflict", `${attempt}: it is ${stored.state}; ${may}`);
    }
    const actor: AlertActor = { nowMs: this.#clock.wallMs(), by };
    const shown = this.#open.find((alert) => alert.alertId === alertId) ?? stored;
    switch (action) {
      case "acknowledge":
        alerts.acknowledge(alertId, actor);
        break;
      case "suppress": {
        const untilMs = forMs === null ? null : actor.nowMs + Math.min(forMs, SUPPRESS_MS_MAX);
        alerts.suppress(alertId, untilMs, actor);
        break;
      }
      case "resolve":
        alerts.resolve(alertId, shown.message, actor);
        // Its condition may hold still: it is raised again only after it has ended once.
        if (stored.category !== "manual") this.#heldBack.add(stored.key);
        break;
      default:
        return unreachable(action);
    }
    this.#open = worstFirst(alerts.open());
    return { ...stored, state: stateAfter(action) };
  }

  /** Raises an alert by hand; it stays until somebody resolves it. @throws {StorageError} `conflict` when there are too many. */
  raiseByHand(
    text: { readonly severity: Severity; readonly source: string; readonly message: string },
    by: string,
  ): number {
    const count = this.#open.filter(({ category }) => category === "manual").length;
    if (count >= MANUAL_ALERTS_MAX) {
      throw new StorageError(
        "conflict",
        `Cannot raise another alert by hand: ${count} are open, at most ${MANUAL_ALERTS_MAX} may be. Resolve some first`,
      );
    }
    const nowMs = this.#clock.wallMs();
    const key = `manual:${nowMs}:${count}`;
    const finding: Finding = { key, ruleId: null, category: "manual", coolDownMs: 0, ...text };
    const alertId = this.#store.alerts.raise(finding, { nowMs, by });
    this.#open = worstFirst(this.#store.alerts.open());
    return alertId;
  }

  #findings({ contact, snapshot, rates, mdmUrl }: EngineFacts): Finding[] {
    if (contact.kind === "lost") {
      return [{
        key: "mdm_unreachable",
        ruleId: null,
        category: "mdm_unreachable",
        severity: "critical",
        source: "MDM",
        message:
          `It does not answer at ${mdmUrl}: ${contact.reason}. Reads and writes go on without it; changes do not`,
        coolDownMs: 0,
      }];
    }
    if (contact.kind === "not_tried" || !snapshot) return [];
    const { overview } = snapshot;
    this.#rebuildIdle = withRebuildProgress(this.#rebuildIdle, overview);
    const { progress, firing } = evaluateRules(this.#progress, {
      rules: this.#rules,
      readings: readingsOf(overview, { rates, rebuildIdle: this.#rebuildIdle }),
      nowMs: this.#clock.monotonicMs(),
      ruleOfOpenAlert: new Map(this.#open.map((alert) => [alert.key, alert.ruleId])),
    });
    this.#progress = progress;
    const told = overview.alerts.map(({ key, severity, subject, message }): Finding => ({
      key: `mdm:${key}`,
      ruleId: null,
      category: "mdm",
      severity,
      source: subject,
      message,
      coolDownMs: 0,
    }));
    return [...firing.map(findingOf), ...told];
  }

  #carryOut(change: AlertChange, actor: AlertActor): void {
    const { alerts } = this.#store;
    switch (change.kind) {
      case "raise":
        alerts.raise(change.finding, actor);
        return;
      case "reopen":
        alerts.reopen(change.alertId, change.finding, actor);
        return;
      case "regrade":
        alerts.regrade(change.alertId, change.finding, actor);
        return;
      case "end_suppression":
        alerts.endSuppression(change.alertId, actor);
        return;
      case "resolve": {
        const shown = this.#open.find(({ alertId }) => alertId === change.alertId);
        alerts.resolve(change.alertId, shown?.message ?? "", actor);
        return;
      }
      default:
        unreachable(change);
    }
  }
}
