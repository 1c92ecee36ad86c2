/**
 * The cluster itself: configuration and counters, token keys, the registry of processes, events.
 *
 * @module
 */
import type { Migration } from "@/shared/migrate.ts";

export const CLUSTER: Migration = {
  version: 1,
  name: "cluster",
  sql: `
CREATE TABLE cluster_config (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE token_keys (
  key_id INTEGER PRIMARY KEY,
  key_hex TEXT NOT NULL,
  created_at_ms INTEGER NOT NULL
) STRICT;

-- Processes that enrolled. node_key_hex never leaves the MDM but in the answer to its own process.
CREATE TABLE component_registry (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  component_id TEXT NOT NULL UNIQUE,
  component_type TEXT NOT NULL CHECK (component_type IN ('MDM', 'SDS', 'SDC', 'MGMT')),
  address TEXT NOT NULL,
  control_port INTEGER,
  data_port INTEGER,
  mgmt_port INTEGER,
  node_key_hex TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('ACTIVE', 'STALE', 'DOWN', 'UNREGISTERED')),
  registered_at_ms INTEGER NOT NULL,
  last_heartbeat_at_ms INTEGER,
  metadata TEXT NOT NULL
) STRICT;

-- Hosts and ports that an operator or a process named; cluster_node_id of the predecessor's API.
CREATE TABLE cluster_nodes (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  node_id TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  address TEXT NOT NULL,
  control_port INTEGER,
  data_port INTEGER,
  capabilities TEXT NOT NULL,
  component_id TEXT UNIQUE REFERENCES component_registry (component_id) ON DELETE SET NULL,
  reported_status TEXT,
  registered_at_ms INTEGER NOT NULL,
  last_heartbeat_at_ms INTEGER,
  metadata TEXT NOT NULL
) STRICT;

CREATE TABLE event_logs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at_ms INTEGER NOT NULL,
  type TEXT NOT NULL,
  severity TEXT NOT NULL CHECK (severity IN ('info', 'warning', 'error', 'critical')),
  subject TEXT NOT NULL,
  message TEXT NOT NULL
) STRICT;
CREATE INDEX event_logs_by_type ON event_logs (type, id);
`,
};
