/**
 * Protection domains, fault sets, pools, SDSs with their devices, SDCs.
 *
 * @module
 */
import type { Migration } from "@/shared/migrate.ts";

export const TOPOLOGY: Migration = {
  version: 2,
  name: "topology",
  sql: `
CREATE TABLE protection_domains (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  description TEXT NOT NULL,
  created_at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE fault_sets (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  pd_id INTEGER NOT NULL REFERENCES protection_domains (id),
  name TEXT NOT NULL,
  UNIQUE (pd_id, name)
) STRICT;

-- pg_count is null until the first volume.
CREATE TABLE storage_pools (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  pd_id INTEGER NOT NULL REFERENCES protection_domains (id),
  name TEXT NOT NULL,
  total_capacity_bytes INTEGER NOT NULL,
  protection_policy TEXT NOT NULL CHECK (protection_policy IN ('two_copies')),
  copies INTEGER NOT NULL,
  sync_writes INTEGER NOT NULL,
  pg_count INTEGER,
  created_at_ms INTEGER NOT NULL,
  UNIQUE (pd_id, name)
) STRICT;

CREATE TABLE sds_nodes (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  pd_id INTEGER NOT NULL REFERENCES protection_domains (id),
  fault_set_id INTEGER REFERENCES fault_sets (id),
  component_id TEXT NOT NULL UNIQUE REFERENCES component_registry (component_id),
  cluster_node_id INTEGER NOT NULL REFERENCES cluster_nodes (id),
  total_capacity_bytes INTEGER NOT NULL,
  created_at_ms INTEGER NOT NULL
) STRICT;

-- The columns from incarnation_counter to synced are null until the device registered for the first time.
CREATE TABLE sds_device_inventory (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  sds_id INTEGER NOT NULL REFERENCES sds_nodes (id),
  pool_id INTEGER REFERENCES storage_pools (id),
  name TEXT NOT NULL,
  claimed_bytes INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('new', 'active', 'failed')),
  offered_bytes INTEGER,
  used_bytes INTEGER NOT NULL DEFAULT 0,
  incarnation_counter INTEGER,
  incarnation_random TEXT,
  boot_id TEXT,
  host_id TEXT,
  inode INTEGER,
  lock_since_counter INTEGER,
  confirmed_host_id TEXT,
  clean_counter INTEGER,
  clean_random TEXT,
  synced INTEGER,
  UNIQUE (sds_id, name)
) STRICT;
CREATE INDEX sds_device_inventory_by_pool ON sds_device_inventory (pool_id);

CREATE TABLE sdc_clients (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  component_id TEXT NOT NULL UNIQUE REFERENCES component_registry (component_id),
  cluster_node_id INTEGER NOT NULL REFERENCES cluster_nodes (id),
  sdc_session INTEGER,
  created_at_ms INTEGER NOT NULL
) STRICT;
`,
};
