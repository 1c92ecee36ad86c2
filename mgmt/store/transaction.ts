/**
 * Transactions of `mgmt.db`.
 *
 * @module
 */
import type { DatabaseSync } from "node:sqlite";

/** Runs `work` so that all of it is kept, or nothing. */
export function inTransaction<Result>(database: DatabaseSync, work: () => Result): Result {
  database.exec("BEGIN IMMEDIATE");
  try {
    const result = work();
    database.exec("COMMIT");
    return result;
  } catch (error) {
    database.exec("ROLLBACK");
    throw error;
  }
}
