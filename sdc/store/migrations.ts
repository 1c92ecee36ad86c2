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
}, {
  version: 2,
  name: "device registry",
  sql: `
    CREATE TABLE device_registry (
      volume_id INTEGER PRIMARY KEY,
      device_path TEXT NOT NULL UNIQUE,
      registered_at_ms INTEGER NOT NULL
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
}, {
  version: 2,
  name: "performance metrics",
  sql: `
    CREATE TABLE performance_metrics (
      at_ms INTEGER PRIMARY KEY,
      total_reads INTEGER NOT NULL,
      total_writes INTEGER NOT NULL,
      total_bytes_read INTEGER NOT NULL,
      total_bytes_written INTEGER NOT NULL,
      total_errors INTEGER NOT NULL,
      pending_ios INTEGER NOT NULL,
      active_connections INTEGER NOT NULL
    ) STRICT;
  `,
}];
