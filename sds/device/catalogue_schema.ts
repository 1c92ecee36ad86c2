/**
 * The tables of `catalogue.db`, as ordered migrations whose checksums are kept: a migration that has run is never edited.
 *
 * | table           | a row says                                                                                    |
 * | --------------- | --------------------------------------------------------------------------------------------- |
 * | `migration`     | migration `number` has run, and the SHA-256 of its text                                       |
 * | `pg`            | this device has a copy of the group; its newest epoch; whether the copy is complete           |
 * | `chunk`         | the chunk of a node stands in `slot`; `unverified`: its checksums may be behind its data      |
 * | `damaged`       | no good copy of some blocks of a chunk is left: a bit per block, block 0 is the lowest bit of the first byte |
 * | `scrub`         | how far the scrub of a group is that this device leads, and when the last one ended            |
 * | `reserved_slot` | `slot` holds no chunk and may hold something else than zeros: state 0 taken into the reserve, 1 freed by a deletion |
 *
 * A slot without a row in `chunk` and `reserved_slot` is free and holds zeros in data and checksums (I12).
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { DatabaseSync } from "node:sqlite";
import { StorageError } from "@/shared/errors.ts";

/** State of a `reserved_slot`: taken into the reserve, to be given to a new chunk. */
export const SLOT_IN_RESERVE = 0;
/** State of a `reserved_slot`: its chunk was deleted, to be zeroed. */
export const SLOT_FREED = 1;

const MIGRATIONS: readonly string[] = [
  `CREATE TABLE pg (
     pg_id INTEGER PRIMARY KEY,
     epoch INTEGER NOT NULL,
     complete INTEGER NOT NULL CHECK (complete IN (0, 1)),
     intent_slot INTEGER NOT NULL UNIQUE
   ) STRICT;
   CREATE TABLE chunk (
     pg_id INTEGER NOT NULL,
     node_id INTEGER NOT NULL,
     chunk_index INTEGER NOT NULL,
     vtree_id INTEGER NOT NULL,
     region INTEGER NOT NULL,
     slot INTEGER NOT NULL UNIQUE,
     unverified INTEGER NOT NULL DEFAULT 0 CHECK (unverified IN (0, 1)),
     PRIMARY KEY (pg_id, node_id, chunk_index)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX chunk_by_region ON chunk (pg_id, region);
   CREATE TABLE reserved_slot (
     slot INTEGER PRIMARY KEY,
     state INTEGER NOT NULL CHECK (state IN (0, 1))
   ) STRICT;`,
  `CREATE TABLE damaged (
     pg_id INTEGER NOT NULL,
     node_id INTEGER NOT NULL,
     chunk_index INTEGER NOT NULL,
     blocks BLOB NOT NULL CHECK (length(blocks) = 32),
     PRIMARY KEY (pg_id, node_id, chunk_index)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE scrub (
     pg_id INTEGER PRIMARY KEY,
     run INTEGER NOT NULL,
     after_key INTEGER NOT NULL,
     ended_ms INTEGER NOT NULL
   ) STRICT;`,
];

/** Brings the tables to this version. @throws {StorageError} device_failed if they are of another lineage or newer. */
export function migrateCatalogue(database: DatabaseSync): void {
  database.exec("CREATE TABLE IF NOT EXISTS migration (number INTEGER PRIMARY KEY, checksum TEXT NOT NULL) STRICT");
  const done = database.prepare("SELECT number, checksum FROM migration ORDER BY number").all();
  if (done.length > MIGRATIONS.length) {
    throw new StorageError(
      "device_failed",
      `Cannot use catalogue: it is at migration ${done.length}, of a newer version`,
    );
  }
  for (const [index, sql] of MIGRATIONS.entries()) {
    const checksum = createHash("sha256").update(sql).digest("hex");
    const row = done[index];
    if (row === undefined) applyMigration(database, { number: index + 1, sql, checksum });
    else if (row["number"] !== index + 1 || row["checksum"] !== checksum) {
      throw new StorageError("device_failed", `Cannot use catalogue: its migration ${index + 1} is not ours`);
    }
  }
}

function applyMigration(database: DatabaseSync, step: { number: number; sql: string; checksum: string }): void {
  database.exec("BEGIN IMMEDIATE");
  try {
    database.exec(step.sql);
    database.prepare("INSERT INTO migration VALUES (?, ?)").run(step.number, step.checksum);
    database.exec("COMMIT");
  } catch (cause) {
    database.exec("ROLLBACK");
    throw cause;
  }
}
