/**
 * Thick volumes: the table that allowed thin ones only is made anew. Ids go on where they were: tokens carry them, so none is
 * ever given again.
 *
 * @module
 */
import type { Migration } from "@/shared/migrate.ts";

export const THICK_VOLUMES: Migration = {
  version: 6,
  name: "thick volumes",
  sql: `
CREATE TABLE volumes_new (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,
  pool_id INTEGER NOT NULL REFERENCES storage_pools (id),
  vtree_id INTEGER NOT NULL REFERENCES vtree (id),
  node_id INTEGER NOT NULL REFERENCES node (id),
  size_bytes INTEGER NOT NULL,
  provisioning TEXT NOT NULL CHECK (provisioning IN ('thin', 'thick')),
  state TEXT NOT NULL CHECK (state IN ('READY', 'DELETING')),
  created_at_ms INTEGER NOT NULL
) STRICT;

INSERT INTO volumes_new (id, name, pool_id, vtree_id, node_id, size_bytes, provisioning, state, created_at_ms)
SELECT id, name, pool_id, vtree_id, node_id, size_bytes, provisioning, state, created_at_ms FROM volumes;
DELETE FROM sqlite_sequence WHERE name = 'volumes_new';
INSERT INTO sqlite_sequence (name, seq) SELECT 'volumes_new', seq FROM sqlite_sequence WHERE name = 'volumes';
DROP TABLE volumes;
ALTER TABLE volumes_new RENAME TO volumes;
CREATE UNIQUE INDEX volumes_by_name ON volumes (name) WHERE state <> 'DELETING';
CREATE INDEX volumes_by_pool ON volumes (pool_id);
`,
};
