/**
 * The tables of the SDC's two databases, as ordered steps; a step that ran anywhere is never edited.
 *
 * @module
 */
import type { Migration } from "@/shared/migrate.ts";

/** `sdc_chunks.db`: what the SDC remembers of the cluster, and what went wrong. */
export const CHUNKS_MIGRATIONS: readonly Migration[] = [{
  version: 1,
  name: "mappings and errors",
  sql: `
    CREATE TABLE volume_mappings_cache (
      volume_id INTEGER PRIMARY KEY,
      volume_name TEXT NOT NULL,
      size_bytes INTEGER NOT NULL,
      access_mode TEXT NOT NULL,
      mapping_generation INTEGER NOT NULL,
      mapped_at_ms INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE io_error_log (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      at_ms INTEGER NOT NULL,
      volume_id INTEGER NOT NULL,
      operation TEXT NOT NULL,
      offset_bytes INTEGER NOT NULL,
      length_bytes INTEGER NOT NULL,
      code TEXT NOT NULL,
      message TEXT NOT NULL
    ) STRICT;
  `,
}];

/** `sdc_local.db`: what the SDC alone knows. */
export const LOCAL_MIGRATIONS: readonly Migration[] = [{
  version: 1,
  name: "flush generations",
  sql: `
    CREATE TABLE flush_generations (
      volume_id INTEGER NOT NULL,
      pg_id INTEGER NOT NULL,
      loss_generation INTEGER NOT NULL,
      PRIMARY KEY (volume_id, pg_id)
    ) STRICT, WITHOUT ROWID;
  `,
}];
