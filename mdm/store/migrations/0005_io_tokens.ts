/**
 * Single-use tokens and what was done with them (replication design, section 6.2).
 *
 * @module
 */
import type { Migration } from "@/shared/migrate.ts";

export const IO_TOKENS: Migration = {
  version: 5,
  name: "io tokens",
  sql: `
-- Times are MDM time in ms. ISSUED reads as EXPIRED once expires_at_ms has come.
CREATE TABLE io_tokens (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  token_id TEXT NOT NULL UNIQUE,
  volume_id INTEGER NOT NULL,
  sdc_id INTEGER NOT NULL,
  operation TEXT NOT NULL CHECK (operation IN ('read', 'write')),
  offset_bytes INTEGER NOT NULL,
  length_bytes INTEGER NOT NULL,
  issued_at_ms INTEGER NOT NULL,
  expires_at_ms INTEGER NOT NULL,
  consumed_at_ms INTEGER,
  signature TEXT NOT NULL,
  io_plan_json TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('ISSUED', 'CONSUMED', 'EXPIRED', 'REVOKED'))
) STRICT;
CREATE INDEX io_tokens_by_expiry ON io_tokens (status, expires_at_ms);

CREATE TABLE io_transaction_acks (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  ack_id TEXT NOT NULL UNIQUE,
  token_id TEXT NOT NULL REFERENCES io_tokens (token_id) ON DELETE CASCADE,
  sds_id INTEGER NOT NULL,
  success INTEGER NOT NULL CHECK (success IN (0, 1)),
  bytes_processed INTEGER NOT NULL,
  error_message TEXT,
  execution_duration_ms REAL,
  replica_id INTEGER,
  sds_address TEXT,
  metadata_json TEXT NOT NULL,
  at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX io_transaction_acks_by_token ON io_transaction_acks (token_id);
`,
};
