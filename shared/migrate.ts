/**
 * Ordered, checksummed migrations. Each runs once, in a transaction with the row that records it; a migration that ran is never
 * edited, and its checksum proves that.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { DatabaseSync } from "node:sqlite";

/** One step of the schema. */
export interface Migration {
  /** From 1, without gaps. */
  readonly version: number;
  readonly name: string;
  readonly sql: string;
}

/** SHA-256 of a migration's text, in hexadecimal. */
export function migrationChecksum(migration: Migration): string {
  return createHash("sha256").update(migration.sql).digest("hex");
}

/**
 * Brings `sqlite` to the last of `migrations`.
 *
 * @throws {Error} if the database has a migration that these do not, or one whose text differs.
 */
export function migrate(sqlite: DatabaseSync, migrations: readonly Migration[]): void {
  sqlite.exec(`CREATE TABLE IF NOT EXISTS schema_migrations (
    version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL) STRICT`);
  const ran = sqlite.prepare("SELECT version, name, checksum FROM schema_migrations ORDER BY version").all();
  for (const row of ran) {
    const migration = migrations.find((candidate) => candidate.version === row["version"]);
    if (migration === undefined) {
      throw new Error(
        `Cannot open the database: it has migration ${row["version"]} (${row["name"]}) of a newer version`,
      );
    }
    if (migrationChecksum(migration) !== row["checksum"]) {
      throw new Error(
        `Cannot open the database: migration ${migration.version} (${migration.name}) was changed after it ran`,
      );
    }
  }
  for (const migration of migrations.slice(ran.length)) {
    sqlite.exec("BEGIN IMMEDIATE");
    try {
      sqlite.exec(migration.sql);
      sqlite.prepare("INSERT INTO schema_migrations (version, name, checksum) VALUES (?, ?, ?)")
        .run(migration.version, migration.name, migrationChecksum(migration));
      sqlite.exec("COMMIT");
    } catch (error) {
      sqlite.exec("ROLLBACK");
      throw new Error(`Cannot apply migration ${migration.version} (${migration.name})`, { cause: error });
    }
  }
}
