/**
 * Table `audit_logs`: who did what, from where, and whether it was let.
 *
 * @module
 */
import type { DatabaseSync } from "node:sqlite";

/** What can be done. */
export type AuditAction =
  | "user_login"
  | "user_logout"
  | "user_created"
  | "password_changed"
  | "sessions_ended"
  | "domain_created"
  | "domain_deleted"
  | "pool_created"
  | "pool_deleted"
  | "sds_added"
  | "sds_failed"
  | "sds_recovered"
  | "sdc_added"
  | "nodes_bootstrapped"
  | "volume_created"
  | "volume_mapped"
  | "volume_unmapped"
  | "volume_extended"
  | "volume_deleted"
  | "volume_written"
  | "volume_read"
  | "rebuild_started"
  | "rebuild_cancelled"
  | "alert_raised"
  | "alert_acknowledged"
  | "alert_suppressed"
  | "alert_resolved"
  | "config_changed"
  | "clean_up"
  | "backup_made";

/** A row of `audit_logs`. */
export interface AuditEntry {
  readonly atMs: number;
  readonly userName: string;
  readonly action: AuditAction;
  readonly address: string;
  readonly result: "ok" | "refused";
  /** Why it was refused, or what changed. */
  readonly detail: string;
}

/** Rows that are kept; the oldest give way. */
export const AUDIT_ROWS_MAX = 100_000;

/** The table. */
export class AuditLog {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  add(entry: AuditEntry): void {
    const { lastInsertRowid } = this.#database.prepare(
      "INSERT INTO audit_logs (at_ms, user_name, action, address, result, detail) VALUES (?, ?, ?, ?, ?, ?)",
    ).run(Math.floor(entry.atMs), entry.userName, entry.action, entry.address, entry.result, entry.detail);
    this.#database.prepare("DELETE FROM audit_logs WHERE id <= ?").run(Number(lastInsertRowid) - AUDIT_ROWS_MAX);
  }

  /** The newest `limit` rows, newest first. */
  newest(limit: number): AuditEntry[] {
    return this.#database.prepare("SELECT * FROM audit_logs ORDER BY id DESC LIMIT ?").all(limit).map((row) => ({
      atMs: Number(row["at_ms"]),
      userName: String(row["user_name"]),
      action: row["action"] as AuditAction, // only `add` writes the column
      address: String(row["address"]),
      result: row["result"] as AuditEntry["result"], // the table's CHECK names exactly these
      detail: String(row["detail"]),
    }));
  }
}
