/**
 * Placement groups: configurations and departed copies (replication design, section 2.3).
 *
 * @module
 */
import type { Migration } from "@/shared/migrate.ts";

export const PLACEMENT: Migration = {
  version: 4,
  name: "placement",
  sql: `
-- config_version: value of the cluster-wide counter when this row last changed. missing_copies = copies - members.
CREATE TABLE pg (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  pool_id INTEGER NOT NULL REFERENCES storage_pools (id),
  pg_index INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  mdm_term INTEGER NOT NULL,
  loss_generation INTEGER NOT NULL,
  fresh INTEGER NOT NULL,
  missing_copies INTEGER NOT NULL,
  config_version INTEGER NOT NULL,
  UNIQUE (pool_id, pg_index)
) STRICT;
CREATE INDEX pg_by_config_version ON pg (config_version);
CREATE INDEX pg_fresh ON pg (pool_id) WHERE fresh = 1;
CREATE INDEX pg_missing ON pg (id) WHERE missing_copies > 0;

-- position 0 is the primary.
CREATE TABLE pg_member (
  pg_id INTEGER NOT NULL REFERENCES pg (id),
  position INTEGER NOT NULL,
  device_id INTEGER NOT NULL REFERENCES sds_device_inventory (id),
  incarnation_counter INTEGER NOT NULL,
  incarnation_random TEXT NOT NULL,
  boot_id TEXT NOT NULL,
  PRIMARY KEY (pg_id, position)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX pg_member_by_device ON pg_member (device_id, incarnation_counter, pg_id);

CREATE TABLE pg_departed (
  pg_id INTEGER NOT NULL REFERENCES pg (id),
  device_id INTEGER NOT NULL REFERENCES sds_device_inventory (id),
  last_epoch INTEGER NOT NULL,
  since_ms INTEGER NOT NULL,
  PRIMARY KEY (pg_id, device_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX pg_departed_by_device ON pg_departed (device_id);
`,
};
