/**
 * `sds_local.db`: what belongs to the process and not to a disk. The node key, and a ring of the tokens that were accepted and
 * refused (replication design, section 6.2), written in batches and never before an IO answer.
 *
 * | table | content |
 * | --- | --- |
 * | sds_metadata | node key |
 * | local_devices | devices that were added here, for the MDM to take over |
 * | consumed_tokens | uses of single-use tokens of the last {@linkcode USES_KEPT_MS} |
 * | verified_tokens | the last {@linkcode TOKEN_RING_ROWS} verdicts: when, whose, accepted or why not |
 *
 * @module
 */
import type { DatabaseSync } from "node:sqlite";
import type { ConsumedToken } from "@/shared/api/sds.ts";
import { copyDatabase } from "@/shared/backup.ts";
import { migrate } from "@/shared/migrate.ts";
import type { KeyStore } from "@/shared/node_client.ts";
import type { TokenVerdict } from "@/sds/data/handles.ts";

/** How long uses of single-use tokens are kept, in ms: 7 days. */
export const USES_KEPT_MS = 7 * 86_400_000;
/** Rows that one clean-up deletes at most. */
export const PURGE_ROWS_MAX = 1_000;
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
}, {
  version: 2,
  name: "devices and consumed tokens",
  sql: `
    CREATE TABLE local_devices (
      id INTEGER PRIMARY KEY, device_name TEXT NOT NULL UNIQUE, device_path TEXT NOT NULL UNIQUE,
      capacity_bytes INTEGER NOT NULL, added_at_ms INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE consumed_tokens (
      id INTEGER PRIMARY KEY, consumed_at_ms INTEGER NOT NULL, token_id TEXT NOT NULL, chunk_id INTEGER NOT NULL,
      success INTEGER NOT NULL CHECK (success IN (0, 1)), bytes_processed INTEGER NOT NULL, duration_ms REAL NOT NULL,
      error_message TEXT NOT NULL
    ) STRICT;
    CREATE INDEX consumed_tokens_by_time ON consumed_tokens (consumed_at_ms);
  `,
}];

/** Tables that {@linkcode LocalStore.rowsOf} reads. */
export const LOCAL_TABLES = ["local_devices", "consumed_tokens", "verified_tokens"] as const;
export type LocalTable = (typeof LOCAL_TABLES)[number];

/** A device that was added at this SDS. */
export interface LocalDevice {
  readonly name: string;
  /** Its folder. */
  readonly path: string;
  readonly capacityBytes: number;
  readonly addedAtMs: number;
}

/** A use of a single-use token, with its time. */
export interface TokenUse extends ConsumedToken {
  readonly atMs: number;
}

/** One verdict as it is listed. */
export interface TokenRecord extends TokenVerdict {
  readonly atMs: number;
}

/** The SDS's own database. */
export class LocalStore implements KeyStore {
  readonly #database: DatabaseSync;
  #pending: TokenRecord[] = [];
  #pendingUses: TokenUse[] = [];

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

  /** Notes a use; as {@linkcode LocalStore.note}. */
  noteUse(use: TokenUse): void {
    if (this.#pendingUses.length < TOKEN_RING_ROWS) this.#pendingUses.push(use);
  }

  /** Writes what was noted, in one transaction, and drops what is beyond the ring. */
  flush(): void {
    const records = this.#pending;
    const uses = this.#pendingUses;
    if (records.length === 0 && uses.length === 0) return;
    this.#pending = [];
    this.#pendingUses = [];
    this.#database.exec("BEGIN");
    const insert = this.#database.prepare(
      "INSERT INTO verified_tokens (at_ms, token_id, volume_id, sdc_id, accepted, reason) VALUES (?, ?, ?, ?, ?, ?)",
    );
    for (const { atMs, tokenId, volumeId, sdcId, accepted, reason } of records) {
      insert.run(Math.round(atMs), tokenId ?? null, volumeId ?? null, sdcId, accepted ? 1 : 0, reason);
    }
    const insertUse = this.#database.prepare(
      "INSERT INTO consumed_tokens (consumed_at_ms, token_id, chunk_id, success, bytes_processed, duration_ms, " +
        "error_message) VALUES (?, ?, ?, ?, ?, ?, ?)",
    );
    for (const { atMs, tokenId, chunkId, success, bytesProcessed, durationMs, errorMessage } of uses) {
      insertUse.run(Math.round(atMs), tokenId, chunkId, success ? 1 : 0, bytesProcessed, durationMs, errorMessage);
    }
    this.#database.prepare("DELETE FROM verified_tokens WHERE id <= (SELECT max(id) FROM verified_tokens) - ?")
      .run(TOKEN_RING_ROWS);
    this.#database.exec("COMMIT");
  }

  /** Drops uses that are older than {@linkcode USES_KEPT_MS}, at most {@linkcode PURGE_ROWS_MAX}; gives how many. */
  purge(nowMs: number): number {
    return Number(
      this.#database.prepare(
        "DELETE FROM consumed_tokens WHERE id IN " +
          "(SELECT id FROM consumed_tokens WHERE consumed_at_ms < ? ORDER BY consumed_at_ms LIMIT ?)",
      ).run(Math.round(nowMs) - USES_KEPT_MS, PURGE_ROWS_MAX).changes,
    );
  }

  /** Keeps a device; gives its number here. The caller made sure that the name is new. */
  addDevice({ name, path, capacityBytes, addedAtMs }: LocalDevice): number {
    const sql = "INSERT INTO local_devices (device_name, device_path, capacity_bytes, added_at_ms) VALUES (?, ?, ?, ?)";
    return Number(
      this.#database.prepare(sql).run(name, path, capacityBytes, Math.round(addedAtMs)).lastInsertRowid,
    );
  }

  /** The devices that were added here, in order. */
  devices(): LocalDevice[] {
    return this.#database.prepare("SELECT * FROM local_devices ORDER BY id").all().map((row) => ({
      name: String(row["device_name"]),
      path: String(row["device_path"]),
      capacityBytes: Number(row["capacity_bytes"]),
      addedAtMs: Number(row["added_at_ms"]),
    }));
  }

  /** Rows of a table as they are stored, newest first. */
  rowsOf(table: LocalTable, page: { readonly limit: number; readonly offset: number }) {
    return this.#database.prepare(`SELECT * FROM ${table} ORDER BY id DESC LIMIT ? OFFSET ?`)
      .all(page.limit, page.offset);
  }

  /** Rows of `sds_metadata`, without secrets. */
  metadata() {
    return this.#database.prepare(
      "SELECT name, CASE name WHEN 'node_key' THEN '(secret)' ELSE value END AS value FROM sds_metadata ORDER BY name",
    ).all();
  }

  /** Writes a complete copy into `folder`, which is there, while the database is used; gives its name. */
  async backup(folder: string): Promise<string[]> {
    this.flush();
    await copyDatabase(this.#database, `${folder}/sds_local.db`);
    return ["sds_local.db"];
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
