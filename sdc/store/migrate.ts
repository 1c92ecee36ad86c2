/**
 * Ordered, checksummed migrations of the SDC's two databases. Each runs once, in a transaction with the row that records it.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { DatabaseSync } from "node:sqlite";

/** One step of a schema; its number is its place in the list, from 1. A step that ran anywhere is never edited. */
export interface Migration {
  readonly name: string;
  readonly sql: string;
}

/** `sdc_chunks.db`: what the SDC remembers of the cluster, and what went wrong. */
export const CHUNKS_MIGRATIONS: readonly Migration[] = [{
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

/** Brings a database to the newest schema. @throws {Error} if a newer version made it, or a step was changed after it ran. */
export function migrate(database: DatabaseSync, migrations: readonly Migration[]): void {
  database.exec(`CREATE TABLE IF NOT EXISTS schema_migrations (
    version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL) STRICT`);
  const ran = database.prepare("SELECT name, checksum FROM schema_migrations ORDER BY version").all();
  if (ran.length > migrations.length) {
    throw new Error(
      `Cannot open the database: it has ${ran.length} migrations, this version knows ${migrations.length}`,
    );
  }
  ran.forEach((row, index) => {
    const { name, sql } = migrations[index]!;
    if (row["checksum"] !== checksumOf(sql)) {
      throw new Error(`Cannot open the database: migration ${index + 1} (${name}) was changed after it ran`);
    }
  });
  for (const [index, { name, sql }] of migrations.entries()) {
    if (index < ran.length) continue;
    inTransaction(database, () => {
      database.exec(sql);
      database.prepare("INSERT INTO schema_migrations (version, name, checksum) VALUES (?, ?, ?)")
        .run(index + 1, name, checksumOf(sql));
    });
  }
}

/** Runs `work`, which does not await, as one transaction. */
export function inTransaction(database: DatabaseSync, work: () => void): void {
  database.exec("BEGIN IMMEDIATE");
  try {
    work();
    database.exec("COMMIT");
  } catch (error) {
    database.exec("ROLLBACK");
    throw error;
  }
}

function checksumOf(sql: string): string {
  return createHash("sha256").update(sql).digest("hex");
}
