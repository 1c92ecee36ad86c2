/**
 * What an SDC keeps on disk, in two databases on `node:sqlite`. Nothing here is called per IO: mappings when they change,
 * flush generations at attach and after a loss, errors in batches.
 *
 * | database | table | for |
 * | --- | --- | --- |
 * | sdc_chunks.db | volume_mappings_cache | a restarted SDC names its exports while the MDM is away |
 * | sdc_chunks.db | io_error_log | what failed, for the operator |
 * | sdc_local.db | flush_generations | a client of a restarted SDC hears of lost writes (replication design, 4.3) |
 *
 * @module
 */
import type { DatabaseSync } from "node:sqlite";
import type { IoFailure } from "@/sdc/remote/volume_events.ts";
import { CHUNKS_MIGRATIONS, LOCAL_MIGRATIONS } from "@/sdc/store/migrations.ts";
import { accessModeSchema, type SdcMapping } from "@/shared/api/sdc.ts";
import { asId } from "@/shared/ids.ts";
import { migrate } from "@/shared/migrate.ts";
import { openPrivateDatabase } from "@/shared/private_files.ts";

/** Rows that the error log keeps. */
export const IO_ERROR_ROWS_MAX = 10_000;

/** A mapping with the time at which this SDC first saw it, in ms since 1970. */
export interface StoredMapping extends SdcMapping {
  readonly mappedAtMs: number;
}

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
    return this.#chunks.prepare("SELECT * FROM volume_mappings_cache ORDER BY volume_id").all().map((row) => ({
      volumeId: asId(Number(row["volume_id"])),
      volumeName: String(row["volume_name"]),
      sizeBytes: Number(row["size_bytes"]),
      accessMode: accessModeSchema.parse(row["access_mode"]),
      mappingGeneration: Number(row["mapping_generation"]),
      mappedAtMs: Number(row["mapped_at_ms"]),
    }));
  }

  saveMappings(mappings: readonly StoredMapping[]): void {
    inTransaction(this.#chunks, () => {
      this.#chunks.exec("DELETE FROM volume_mappings_cache");
      const insert = this.#chunks.prepare("INSERT INTO volume_mappings_cache VALUES (?, ?, ?, ?, ?, ?)");
      for (const { volumeId, volumeName, sizeBytes, accessMode, mappingGeneration, mappedAtMs } of mappings) {
        insert.run(volumeId, volumeName, sizeBytes, accessMode, mappingGeneration, mappedAtMs);
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
