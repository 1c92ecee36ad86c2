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
];
