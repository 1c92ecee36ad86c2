/**
 * `sds_local.db`: what belongs to the process and not to a disk. The node key, and a ring of the tokens that were accepted and
 * refused (replication design, section 6.2), written in batches and never before an IO answer.
 *
 * | table | content |
 * | --- | --- |
 * | sds_metadata | node key |
 * | verified_tokens | the last {@linkcode TOKEN_RING_ROWS} verdicts: when, whose, accepted or why not |
 *
 * @module
 */
import type { DatabaseSync } from "node:sqlite";
import { migrate } from "@/shared/migrate.ts";
import type { KeyStore } from "@/shared/node_client.ts";
import type { TokenVerdict } from "@/sds/data/handles.ts";

/** Verdicts that are kept. */
export const TOKEN_RING_ROWS = 10_000;

const MIGRATIONS = [{
  version: 1,
  name: "metadata and token ring",
  sql: `
    CREATE TABLE sds_metadata (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE verified_tokens (
      id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, token_id TEXT, volume_id INTEGER, sdc_id INTEGER NOT NULL,
      accepted INTEGER NOT NULL CHECK (accepted IN (0, 1)), reason TEXT NOT NULL
    ) STRICT;
  `,
}];

/** One verdict as it is listed. */
export interface TokenRecord extends TokenVerdict {
  readonly atMs: number;
}

/** The SDS's own database. */
export class LocalStore implements KeyStore {
  readonly #database: DatabaseSync;
  #pending: TokenRecord[] = [];

  /** Takes an open database. */
  constructor(database: DatabaseSync) {
    this.#database = database;
    database.exec("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL");
    migrate(database, MIGRATIONS);
  }

  load(): string | undefined {
    const row = this.#database.prepare("SELECT value FROM sds_metadata WHERE name = 'node_key'").get();
    return row === undefined ? undefined : String(row["value"]);
  }

  /** Durable when it returns: the MDM gives a key once. */
  save(nodeKeyHex: string): void {
    this.#database.exec("PRAGMA synchronous=FULL");
    this.#database.prepare("INSERT OR REPLACE INTO sds_metadata (name, value) VALUES ('node_key', ?)").run(nodeKeyHex);
    this.#database.exec("PRAGMA synchronous=NORMAL");
  }

  /** Notes a verdict; it is written with the next {@linkcode LocalStore.flush}. */
  note(record: TokenRecord): void {
    if (this.#pending.length < TOKEN_RING_ROWS) this.#pending.push(record);
  }

  /** Writes what was noted, in one transaction, and drops what is beyond the ring. */
  flush(): void {
    const records = this.#pending;
    if (records.length === 0) return;
    this.#pending = [];
    this.#database.exec("BEGIN");
    const insert = this.#database.prepare(
      "INSERT INTO verified_tokens (at_ms, token_id, volume_id, sdc_id, accepted, reason) VALUES (?, ?, ?, ?, ?, ?)",
    );
    for (const { atMs, tokenId, volumeId, sdcId, accepted, reason } of records) {
      insert.run(Math.round(atMs), tokenId ?? null, volumeId ?? null, sdcId, accepted ? 1 : 0, reason);
    }
    this.#database.prepare("DELETE FROM verified_tokens WHERE id <= (SELECT max(id) FROM verified_tokens) - ?")
      .run(TOKEN_RING_ROWS);
    this.#database.exec("COMMIT");
  }

  /** The newest verdicts, newest first. */
  recentTokens(limit: number): TokenRecord[] {
    return this.#database.prepare("SELECT * FROM verified_tokens ORDER BY id DESC LIMIT ?").all(limit).map((row) => ({
      atMs: Number(row["at_ms"]),
      tokenId: row["token_id"] === null ? undefined : String(row["token_id"]),
      volumeId: row["volume_id"] === null ? undefined : Number(row["volume_id"]),
      sdcId: Number(row["sdc_id"]),
      accepted: row["accepted"] === 1,
      reason: String(row["reason"]),
    }));
  }

  close(): void {
    this.flush();
    this.#database.close();
  }
}
