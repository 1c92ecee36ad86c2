/**
 * `powerflex.db` on `node:sqlite`: WAL with `synchronous=FULL`, so that what a transaction committed is on disk when it returns
 * (I2: nothing leaves the MDM before that). Calls are synchronous: a transaction is atomic between awaits.
 *
 * The file belongs to this process alone while it is open (`locking_mode=EXCLUSIVE`): a second MDM on it fails at its start, and
 * a statement takes no file locks, which were half of the system calls of an idle MDM.
 *
 * One file per noun holds its SQL; nobody else writes SQL.
 *
 * @module
 */
import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import { MIGRATIONS } from "@/mdm/store/migrations/all.ts";
import { backUpDatabase, type BackupFile, type BackupRequest } from "@/shared/backup.ts";
import { assert } from "@/shared/errors.ts";
import { migrate } from "@/shared/migrate.ts";
import { openPrivateDatabase } from "@/shared/private_files.ts";

/** Prepared statements that are kept; there are fewer in the code. */
const STATEMENTS_MAX = 512;

/** The MDM's database, opened and migrated. */
export class Database {
  readonly #sqlite: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #inTransaction = false;

  /** Takes `sqlite`, which {@linkcode openDatabase} prepared. */
  constructor(sqlite: DatabaseSync) {
    this.#sqlite = sqlite;
  }

  /** Changes rows; gives the id of the last row inserted and how many changed. */
  run(sql: string, ...values: SQLInputValue[]): { readonly lastId: number; readonly changes: number } {
    const result = this.#statement(sql).run(...values);
    return { lastId: Number(result.lastInsertRowid), changes: Number(result.changes) };
  }

  /** The first row, with the columns as `sql` names them. */
  get<Row>(sql: string, ...values: SQLInputValue[]): Row | undefined {
    // The caller's SQL names the columns of Row; the tables are STRICT.
    return this.#statement(sql).get(...values) as Row | undefined;
  }

  /** All rows, with the columns as `sql` names them. */
  all<Row>(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#statement(sql).all(...values) as Row[];
  }

  /**
   * Runs `work`, which must not await, as one transaction: all of it is durable when this returns, or none of it happened and
   * the error of `work` is rethrown. A call inside another is part of the outer one.
   */
  transaction<Result>(work: () => Result): Result {
    if (this.#inTransaction) return work();
    this.#sqlite.exec("BEGIN IMMEDIATE");
    this.#inTransaction = true;
    try {
      const result = work();
      assert(!(result instanceof Promise), "a transaction does not await");
      this.#sqlite.exec("COMMIT");
      return result;
    } catch (error) {
      this.#sqlite.exec("ROLLBACK");
      throw error;
    } finally {
      this.#inTransaction = false;
    }
  }

  /** Copies the database as it is at one instant; it may be used meanwhile. @throws {StorageError} as `backUpDatabase`. */
  backUp(request: BackupRequest): Promise<BackupFile> {
    return backUpDatabase(this.#sqlite, request);
  }

  /** Gives pages that hold nothing back to the file system. */
  giveSpaceBack(): void {
    this.#sqlite.exec("PRAGMA incremental_vacuum");
  }

  /** Closes the file; nothing may be called after that. */
  close(): void {
    this.#statements.clear();
    this.#sqlite.close();
  }

  #statement(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    assert(this.#statements.size < STATEMENTS_MAX, "statements are fixed texts, values are bound");
    const made = this.#sqlite.prepare(sql);
    this.#statements.set(sql, made);
    return made;
  }
}

/**
 * Opens or creates the database at `path` (`:memory:` for a test) and brings it to the newest schema.
 *
 * @throws {Error} if it was written by a newer version or a migration was changed after it ran.
 */
export function openDatabase(path: string): Database {
  const sqlite = openPrivateDatabase(path);
  // Before the first access, so that WAL needs no shared memory either. A second process fails here, not in the middle of its work.
  sqlite.exec("PRAGMA busy_timeout = 2000; PRAGMA locking_mode = EXCLUSIVE;");
  return preparedDatabase(sqlite);
}

/** As {@linkcode openDatabase}, for a connection that the caller made: the simulator keeps files of its own. */
export function preparedDatabase(sqlite: DatabaseSync): Database {
  // Order matters: auto_vacuum can only be chosen while the file is empty, and changing the journal mode writes to it.
  sqlite.exec("PRAGMA auto_vacuum = incremental");
  sqlite.exec(
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 2000;",
  );
  migrate(sqlite, MIGRATIONS);
  return new Database(sqlite);
}
