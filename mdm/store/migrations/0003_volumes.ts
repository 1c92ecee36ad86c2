/**
 * Volumes, the layers of their data, and who may use them.
 *
 * @module
 */
import type { Migration } from "@/shared/migrate.ts";

export const VOLUMES: Migration = {
  version: 3,
  name: "volumes",
  sql: `
-- A volume with its snapshots.
CREATE TABLE vtree (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  pool_id INTEGER NOT NULL REFERENCES storage_pools (id)
) STRICT;

-- One layer of a vTree (replication design, section 7.1).
CREATE TABLE node (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  vtree_id INTEGER NOT NULL REFERENCES vtree (id)
) STRICT;

-- DELETING: gone for everybody, its data is being removed from the SDSs.
CREATE TABLE volumes (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,
  pool_id INTEGER NOT NULL REFERENCES storage_pools (id),
  vtree_id INTEGER NOT NULL REFERENCES vtree (id),
  node_id INTEGER NOT NULL REFERENCES node (id),
  size_bytes INTEGER NOT NULL,
  provisioning TEXT NOT NULL CHECK (provisioning IN ('thin')),
  state TEXT NOT NULL CHECK (state IN ('READY', 'DELETING')),
  created_at_ms INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX volumes_by_name ON volumes (name) WHERE state <> 'DELETING';
CREATE INDEX volumes_by_pool ON volumes (pool_id);

-- access_mode is null once unmapped: the generation stays, so that every SDS learns that older tokens are void.
CREATE TABLE volume_mappings (
  volume_id INTEGER NOT NULL,
  sdc_id INTEGER NOT NULL,
  access_mode TEXT CHECK (access_mode IN ('readWrite', 'readOnly')),
  mapping_generation INTEGER NOT NULL,
  changed_at_ms INTEGER NOT NULL,
  PRIMARY KEY (volume_id, sdc_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX volume_mappings_by_sdc ON volume_mappings (sdc_id) WHERE access_mode IS NOT NULL;

-- Groups whose primary has not yet reported that it removed a deleted node's chunks.
CREATE TABLE node_deletion (
  node_id INTEGER NOT NULL REFERENCES node (id),
  pg_id INTEGER NOT NULL,
  PRIMARY KEY (node_id, pg_id)
) STRICT, WITHOUT ROWID;
`,
};
