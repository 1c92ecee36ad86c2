/**
 * Tables `alerts` and `alert_history`: what was raised, and everything that happened to it. Each change of an alert writes its
 * line of history in the same transaction.
 *
 * @module
 */
import type { DatabaseSync } from "node:sqlite";
import type { Severity } from "@/shared/api/overview.ts";
import { type Alert, type AlertFilter, BY_ITSELF, type Finding } from "@/mgmt/core/alerts.ts";
import { inTransaction } from "@/mgmt/store/transaction.ts";

/** Alerts that one answer carries. */
export const ALERTS_SHOWN_MAX = 500;

/** What happened to an alert. */
export type AlertEvent =
  | "raised"
  | "reopened"
  | "regraded"
  | "acknowledged"
  | "suppressed"
  | "suppression_ended"
  | "resolved";

/** A row of `alert_history`. */
export interface AlertHistoryRow {
  readonly atMs: number;
  readonly event: AlertEvent;
  readonly actor: string;
  readonly severity: Severity;
  readonly note: string;
}

/** Who does something when. */
export interface AlertActor {
  readonly nowMs: number;
  readonly by: string;
  readonly note?: string;
}

/** The tables. */
export class Alerts {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** Raises an alert and gives its id. */
  raise(finding: Finding, actor: AlertActor): number {
    return inTransaction(this.#database, () => {
      const { lastInsertRowid } = this.#database.prepare(`
        INSERT INTO alerts (alert_key, rule_id, category, severity, state, source, message, raised_at_ms)
        VALUES (?, ?, ?, ?, 'active', ?, ?, ?)
      `).run(
        finding.key,
        finding.ruleId,
        finding.category,
        finding.severity,
        finding.source,
        finding.message,
        Math.floor(actor.nowMs),
      );
      const alertId = Number(lastInsertRowid);
      this.#note(alertId, "raised", { ...actor, note: actor.note ?? finding.message });
      return alertId;
    });
  }

  /** Opens a resolved alert again. */
  reopen(alertId: number, finding: Finding, actor: AlertActor): void {
    inTransaction(this.#database, () => {
      this.#database.prepare(`
        UPDATE alerts SET state = 'active', rule_id = ?2, severity = ?3, message = ?4, resolved_at_ms = NULL,
          resolved_by = NULL, acknowledged_by = NULL, suppressed_until_ms = NULL WHERE id = ?1
      `).run(alertId, finding.ruleId, finding.severity, finding.message);
      this.#note(alertId, "reopened", { ...actor, note: finding.message });
    });
  }

  /** Another rule holds: the severity changes, the state stays. */
  regrade(alertId: number, finding: Finding, actor: AlertActor): void {
    inTransaction(this.#database, () => {
      this.#database.prepare("UPDATE alerts SET rule_id = ?2, severity = ?3, message = ?4 WHERE id = ?1")
        .run(alertId, finding.ruleId, finding.severity, finding.message);
      this.#note(alertId, "regraded", { ...actor, note: finding.message });
    });
  }

  acknowledge(alertId: number, actor: AlertActor): void {
    inTransaction(this.#database, () => {
      this.#database.prepare(`
        UPDATE alerts SET state = 'acknowledged', acknowledged_by = ?2, suppressed_until_ms = NULL WHERE id = ?1
      `).run(alertId, actor.by);
      this.#note(alertId, "acknowledged", actor);
    });
  }

  suppress(alertId: number, untilMs: number | null, actor: AlertActor): void {
    inTransaction(this.#database, () => {
      this.#database.prepare("UPDATE alerts SET state = 'suppressed', suppressed_until_ms = ?2 WHERE id = ?1")
        .run(alertId, untilMs === null ? null : Math.floor(untilMs));
      this.#note(alertId, "suppressed", actor);
    });
  }

  endSuppression(alertId: number, actor: AlertActor): void {
    inTransaction(this.#database, () => {
      this.#database.prepare("UPDATE alerts SET state = 'active', suppressed_until_ms = NULL WHERE id = ?")
        .run(alertId);
      this.#note(alertId, "suppression_ended", actor);
    });
  }

  /** `message`: what the alert said last. */
  resolve(alertId: number, message: string, actor: AlertActor): void {
    inTransaction(this.#database, () => {
      this.#database.prepare(`
        UPDATE alerts SET state = 'resolved', message = ?2, resolved_at_ms = ?3, resolved_by = ?4,
          suppressed_until_ms = NULL WHERE id = ?1
      `).run(alertId, message, Math.floor(actor.nowMs), actor.by);
      this.#note(alertId, "resolved", actor);
    });
  }

  /** Those that are not resolved. */
  open(): Alert[] {
    return this.#database.prepare("SELECT * FROM alerts WHERE state <> 'resolved' ORDER BY id").all().map(alertOf);
  }

  /** Those that resolved by themselves after `afterMs`, newest first. */
  resolvedByThemselves(afterMs: number): Alert[] {
    return this.#database.prepare(`
      SELECT * FROM alerts WHERE state = 'resolved' AND resolved_at_ms > ? AND resolved_by = ? ORDER BY resolved_at_ms DESC
    `).all(Math.floor(afterMs), BY_ITSELF).map(alertOf);
  }

  byId(alertId: number): Alert | undefined {
    const row = this.#database.prepare("SELECT * FROM alerts WHERE id = ?").get(alertId);
    return row && alertOf(row);
  }

  /** The newest {@linkcode ALERTS_SHOWN_MAX} that pass `filter`, resolved ones too. */
  list(filter: AlertFilter): Alert[] {
    const { state = null, severity = null, category = null, source = null } = filter;
    return this.#database.prepare(`
      SELECT * FROM alerts WHERE (?1 IS NULL OR state = ?1) AND (?2 IS NULL OR severity = ?2)
        AND (?3 IS NULL OR category = ?3) AND (?4 IS NULL OR source = ?4) ORDER BY id DESC LIMIT ?5
    `).all(state, severity, category, source, ALERTS_SHOWN_MAX).map(alertOf);
  }

  /** What happened to an alert, oldest first. */
  history(alertId: number): AlertHistoryRow[] {
    return this.#database.prepare("SELECT * FROM alert_history WHERE alert_id = ? ORDER BY id").all(alertId)
      .map((row) => ({
        atMs: Number(row["at_ms"]),
        event: row["event"] as AlertEvent, // only `#note` writes the column
        actor: String(row["actor"]),
        severity: row["severity"] as Severity, // copied from the alert's, which a CHECK guards
        note: String(row["note"]),
      }));
  }

  /** Removes what was resolved before `beforeMs`, with its history; gives how many alerts. */
  removeResolved(beforeMs: number): number {
    return Number(
      this.#database.prepare("DELETE FROM alerts WHERE state = 'resolved' AND resolved_at_ms < ?")
        .run(Math.floor(beforeMs)).changes,
    );
  }

  #note(alertId: number, event: AlertEvent, { nowMs, by, note = "" }: AlertActor): void {
    this.#database.prepare(`
      INSERT INTO alert_history (alert_id, at_ms, event, actor, severity, note)
      SELECT id, ?2, ?3, ?4, severity, ?5 FROM alerts WHERE id = ?1
    `).run(alertId, Math.floor(nowMs), event, by, note);
  }
}

function alertOf(row: Record<string, unknown>): Alert {
  const text = (column: string) => row[column] === null ? null : String(row[column]);
  const number = (column: string) => row[column] === null ? null : Number(row[column]);
  return {
    alertId: Number(row["id"]),
    key: String(row["alert_key"]),
    ruleId: number("rule_id"),
    category: row["category"] as Alert["category"], // written from findings only
    severity: row["severity"] as Alert["severity"], // the table's CHECK names exactly these
    state: row["state"] as Alert["state"], // so here
    source: String(row["source"]),
    message: String(row["message"]),
    raisedAtMs: Number(row["raised_at_ms"]),
    acknowledgedBy: text("acknowledged_by"),
    suppressedUntilMs: number("suppressed_until_ms"),
    resolvedAtMs: number("resolved_at_ms"),
    resolvedBy: text("resolved_by"),
  };
}
