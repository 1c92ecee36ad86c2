/**
 * The tables of `mgmt.db`, as ordered steps. A step that was released is never edited: its checksum is kept, and a database
 * that another text made is refused.
 *
 * @module
 */
import type { Migration } from "@/shared/migrate.ts";

/** All steps. */
export const MIGRATIONS: readonly Migration[] = [
  {
    version: 1,
    name: "users, sessions, audit log, last known topology",
    sql: `
      CREATE TABLE users (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE COLLATE NOCASE,
        role TEXT NOT NULL CHECK (role IN ('admin', 'operator', 'viewer')),
        is_active INTEGER NOT NULL DEFAULT 1,
        password_hash TEXT NOT NULL,
        must_change_password INTEGER NOT NULL,
        failed_attempts INTEGER NOT NULL DEFAULT 0,
        last_failed_at_ms INTEGER NOT NULL DEFAULT 0,
        last_login_at_ms INTEGER,
        created_at_ms INTEGER NOT NULL
      ) STRICT;
      CREATE TABLE sessions (
        id_hash TEXT PRIMARY KEY,
        user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        address TEXT NOT NULL,
        agent TEXT NOT NULL,
        created_at_ms INTEGER NOT NULL,
        last_used_at_ms INTEGER NOT NULL
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX sessions_of_user ON sessions (user_id);
      CREATE TABLE audit_logs (
        id INTEGER PRIMARY KEY,
        at_ms INTEGER NOT NULL,
        user_name TEXT NOT NULL,
        action TEXT NOT NULL,
        address TEXT NOT NULL,
        result TEXT NOT NULL CHECK (result IN ('ok', 'refused')),
        detail TEXT NOT NULL
      ) STRICT;
      CREATE TABLE topology_cache (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        taken_at_ms INTEGER NOT NULL,
        overview_json TEXT NOT NULL
      ) STRICT;
    `,
  },
  {
    version: 2,
    name: "alerts with rules and history, monitoring, settings",
    sql: `
      CREATE TABLE alert_rules (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        condition TEXT NOT NULL,
        component_type TEXT NOT NULL CHECK (component_type IN ('SDS', 'SDC', 'POOL', 'VOLUME')),
        metric TEXT NOT NULL,
        threshold REAL NOT NULL,
        severity TEXT NOT NULL CHECK (severity IN ('info', 'warning', 'error', 'critical')),
        every_ms INTEGER NOT NULL CHECK (every_ms > 0),
        consecutive INTEGER NOT NULL CHECK (consecutive > 0),
        cool_down_ms INTEGER NOT NULL CHECK (cool_down_ms >= 0),
        is_active INTEGER NOT NULL DEFAULT 1
      ) STRICT;
      CREATE TABLE alerts (
        id INTEGER PRIMARY KEY,
        alert_key TEXT NOT NULL,
        rule_id INTEGER REFERENCES alert_rules (id) ON DELETE SET NULL,
        category TEXT NOT NULL,
        severity TEXT NOT NULL CHECK (severity IN ('info', 'warning', 'error', 'critical')),
        state TEXT NOT NULL CHECK (state IN ('active', 'acknowledged', 'suppressed', 'resolved')),
        source TEXT NOT NULL,
        message TEXT NOT NULL,
        raised_at_ms INTEGER NOT NULL,
        acknowledged_by TEXT,
        suppressed_until_ms INTEGER,
        resolved_at_ms INTEGER,
        resolved_by TEXT,
        CHECK ((state = 'resolved') = (resolved_at_ms IS NOT NULL))
      ) STRICT;
      CREATE UNIQUE INDEX open_alert_of_key ON alerts (alert_key) WHERE state <> 'resolved';
      CREATE INDEX resolved_alerts ON alerts (resolved_at_ms) WHERE state = 'resolved';
      CREATE TABLE alert_history (
        id INTEGER PRIMARY KEY,
        alert_id INTEGER NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
        at_ms INTEGER NOT NULL,
        event TEXT NOT NULL,
        actor TEXT NOT NULL,
        severity TEXT NOT NULL,
        note TEXT NOT NULL
      ) STRICT;
      CREATE INDEX history_of_alert ON alert_history (alert_id);
      CREATE TABLE monitoring_snapshots (
        id INTEGER PRIMARY KEY,
        at_ms INTEGER NOT NULL,
        source_type TEXT NOT NULL,
        source_id INTEGER NOT NULL,
        is_kept_long INTEGER NOT NULL,
        status TEXT NOT NULL,
        metrics_json TEXT NOT NULL
      ) STRICT;
      CREATE INDEX snapshots_of_source ON monitoring_snapshots (source_type, source_id, at_ms);
      CREATE INDEX snapshots_by_age ON monitoring_snapshots (is_kept_long, at_ms);
      CREATE TABLE mgmt_config (
        key TEXT PRIMARY KEY,
        value TEXT NOT NULL,
        changed_at_ms INTEGER NOT NULL,
        changed_by TEXT NOT NULL
      ) STRICT, WITHOUT ROWID;
    `,
  },
];
