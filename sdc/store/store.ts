/**
 * What an SDC keeps on disk, in two databases on `node:sqlite`. Nothing here is called per IO: mappings when they change,
 * flush generations at attach and after a loss, errors in batches.
 *
 * | database | table | for |
 * | --- | --- | --- |
 * | sdc_chunks.db | volume_mappings_cache | a restarted SDC names its exports while the MDM is away |
 * | sdc_chunks.db | device_registry | the name of a volume as a disk, also while the MDM is away |
 * | sdc_chunks.db | io_error_log | what failed, for the operator |
 * | sdc_local.db | performance_metrics | a sample each minute of the last {@linkcode SAMPLES_KEPT_MS} |
 * | sdc_local.db | flush_generations | a client of a restarted SDC hears of lost writes (replication design, 4.3) |
 *
 * @module
 */
import type { DatabaseSync } from "node:sqlite";
import type { IoFailure } from "@/sdc/remote/volume_events.ts";
import { CHUNKS_MIGRATIONS, LOCAL_MIGRATIONS } from "@/sdc/store/migrations.ts";
import { accessModeSchema, type SdcMapping } from "@/shared/api/sdc.ts";
import { copyDatabase } from "@/shared/backup.ts";
import { asId } from "@/shared/ids.ts";
import { migrate } from "@/shared/migrate.ts";
import { openPrivateDatabase } from "@/shared/private_files.ts";

/** How long samples are kept, in ms: 7 days. */
export const SAMPLES_KEPT_MS = 7 * 86_400_000;
/** Rows that one clean-up deletes at most. */
export const PURGE_ROWS_MAX = 1_000;

/** Rows that the error log keeps. */
export const IO_ERROR_ROWS_MAX = 10_000;

/** A mapping with the time at which this SDC first saw it, in ms since 1970. */
export interface StoredMapping extends SdcMapping {
  readonly mappedAtMs: number;
  /** Name of the volume as a disk. */
  readonly devicePath: string;
}

/** Totals of the process at one time. */
export interface PerformanceSample {
  readonly atMs: number;
  readonly reads: number;
  readonly writes: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly errors: number;
  readonly pendingCount: number;
  readonly connectionCount: number;
}

/** Tables that {@linkcode SdcStore.rowsOf} reads, with the database of each and the column that orders them. */
const STORED_TABLES = {
  volume_mappings_cache: { database: "sdc_chunks", key: "volume_id" },
  device_registry: { database: "sdc_chunks", key: "volume_id" },
  io_error_log: { database: "sdc_chunks", key: "id" },
  flush_generations: { database: "sdc_local", key: "volume_id" },
  performance_metrics: { database: "sdc_local", key: "at_ms" },
} as const;
export type StoredTable = keyof typeof STORED_TABLES;
export const STORED_TABLE_NAMES = Object.keys(STORED_TABLES) as readonly StoredTable[];

/** One row of the error log. */
export interface LoggedFailure extends IoFailure {
  readonly atMs: number;
  readonly volumeId: number;
}

/** The two files; `:memory:` for tests. */
export interface StorePaths {
  readonly chunks: string;
  readonly local: string;
}

/** See the module comment. */
export class SdcStore implements Disposable {
  readonly #chunks: DatabaseSync;
  readonly #local: DatabaseSync;

  /** Opens or creates both databases. @throws {Error} when one is of a newer version or cannot be opened. */
  constructor(paths: StorePaths) {
    this.#chunks = openDatabase(paths.chunks);
    this.#local = openDatabase(paths.local);
    migrate(this.#chunks, CHUNKS_MIGRATIONS);
    migrate(this.#local, LOCAL_MIGRATIONS);
  }

  /** The mappings of the last `saveMappings`. */
  loadMappings(): StoredMapping[] {
    const sql = "SELECT * FROM volume_mappings_cache JOIN device_registry USING (volume_id) ORDER BY volume_id";
    return this.#chunks.prepare(sql).all().map((row) => ({
      volumeId: asId(Number(row["volume_id"])),
      volumeName: String(row["volume_name"]),
      sizeBytes: Number(row["size_bytes"]),
      accessMode: accessModeSchema.parse(row["access_mode"]),
      mappingGeneration: Number(row["mapping_generation"]),
      mappedAtMs: Number(row["mapped_at_ms"]),
      devicePath: String(row["device_path"]),
    }));
  }

  saveMappings(mappings: readonly StoredMapping[]): void {
    inTransaction(this.#chunks, () => {
      this.#chunks.exec("DELETE FROM volume_mappings_cache; DELETE FROM device_registry");
      const insert = this.#chunks.prepare("INSERT INTO volume_mappings_cache VALUES (?, ?, ?, ?, ?, ?)");
      const register = this.#chunks.prepare("INSERT INTO device_registry VALUES (?, ?, ?)");
      for (const mapping of mappings) {
        const { volumeId, volumeName, sizeBytes, accessMode, mappingGeneration, mappedAtMs, devicePath } = mapping;
        insert.run(volumeId, volumeName, sizeBytes, accessMode, mappingGeneration, mappedAtMs);
        register.run(volumeId, devicePath, mappedAtMs);
      }
    });
  }

  /** The lossGeneration by pgId that was kept for a volume. */
  flushGenerations(volumeId: number): Map<number, number> {
    const rows = this.#local.prepare("SELECT pg_id, loss_generation FROM flush_generations WHERE volume_id = ?")
      .all(volumeId);
    return new Map(rows.map((row) => [Number(row["pg_id"]), Number(row["loss_generation"])]));
  }

  saveFlushGenerations(volumeId: number, generations: Iterable<readonly [pgId: number, lossGeneration: number]>): void {
    inTransaction(this.#local, () => {
      const upsert = this.#local.prepare(
        "INSERT INTO flush_generations VALUES (?, ?, ?) " +
          "ON CONFLICT DO UPDATE SET loss_generation = excluded.loss_generation",
      );
      for (const [pgId, lossGeneration] of generations) upsert.run(volumeId, pgId, lossGeneration);
    });
  }

  /** Adds to the error log and drops what is older than its limit. */
  logFailures(failures: readonly LoggedFailure[]): void {
    inTransaction(this.#chunks, () => {
      const insert = this.#chunks.prepare(
        "INSERT INTO io_error_log (at_ms, volume_id, operation, offset_bytes, length_bytes, code, message) " +
          "VALUES (?, ?, ?, ?, ?, ?, ?)",
      );
      for (const { atMs, volumeId, operation, offsetBytes, lengthBytes, code, message } of failures) {
        insert.run(atMs, volumeId, operation, offsetBytes, lengthBytes, code, message);
      }
      this.#chunks.prepare("DELETE FROM io_error_log WHERE id <= (SELECT max(id) FROM io_error_log) - ?")
        .run(IO_ERROR_ROWS_MAX);
    });
  }

  /** The newest failures, newest first. */
  recentFailures(countMax: number): LoggedFailure[] {
    return this.#chunks.prepare("SELECT * FROM io_error_log ORDER BY id DESC LIMIT ?").all(countMax).map((row) => ({
      atMs: Number(row["at_ms"]),
      volumeId: Number(row["volume_id"]),
      operation: String(row["operation"]),
      offsetBytes: Number(row["offset_bytes"]),
      lengthBytes: Number(row["length_bytes"]),
      code: String(row["code"]) as LoggedFailure["code"], // written from the catalogue
      message: String(row["message"]),
    }));
  }

  /** Adds a sample and drops up to {@linkcode PURGE_ROWS_MAX} that are older than {@linkcode SAMPLES_KEPT_MS}. */
  addSample(sample: PerformanceSample): void {
    const { atMs, reads, writes, readBytes, writtenBytes, errors, pendingCount, connectionCount } = sample;
    inTransaction(this.#local, () => {
      this.#local.prepare("INSERT OR REPLACE INTO performance_metrics VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
        .run(Math.round(atMs), reads, writes, readBytes, writtenBytes, errors, pendingCount, connectionCount);
      this.#local.prepare(
        "DELETE FROM performance_metrics WHERE at_ms IN " +
          "(SELECT at_ms FROM performance_metrics WHERE at_ms < ? ORDER BY at_ms LIMIT ?)",
      ).run(Math.round(atMs) - SAMPLES_KEPT_MS, PURGE_ROWS_MAX);
    });
  }

  /** The database that holds a table. */
  databaseOf(table: StoredTable): string {
    return STORED_TABLES[table].database;
  }

  /** Rows of a table as they are stored, newest or highest first. */
  rowsOf(table: StoredTable, page: { readonly limit: number; readonly offset: number }) {
    const { database, key } = STORED_TABLES[table];
    const sqlite = database === "sdc_chunks" ? this.#chunks : this.#local;
    return sqlite.prepare(`SELECT * FROM ${table} ORDER BY ${key} DESC LIMIT ? OFFSET ?`).all(page.limit, page.offset);
  }

  /** Writes complete copies of both databases into `folder`, which is there, while they are used; gives their names. */
  async backup(folder: string): Promise<string[]> {
    const names = ["sdc_chunks.db", "sdc_local.db"];
    await copyDatabase(this.#chunks, `${folder}/${names[0]}`);
    await copyDatabase(this.#local, `${folder}/${names[1]}`);
    return names;
  }

  [Symbol.dispose](): void {
    this.#chunks.close();
    this.#local.close();
  }
}

function openDatabase(path: string): DatabaseSync {
  const database = openPrivateDatabase(path);
  database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 2000;");
  return database;
}

/** Runs `work`, which does not await, as one transaction. */
function inTransaction(database: DatabaseSync, work: () => void): void {
  database.exec("BEGIN IMMEDIATE");
  try {
    work();
    database.exec("COMMIT");
  } catch (error) {
    database.exec("ROLLBACK");
    throw error;
  }
}
