/**
 * Files that only the user of a process may read: its databases hold keys, its devices hold other people's data.
 *
 * @module
 */
import { DatabaseSync } from "node:sqlite";

/** Mode of such a file. */
export const PRIVATE_FILE_MODE = 0o600;

/** What SQLite keeps beside a database; it gives a new one the mode that the database has. */
const COMPANIONS = ["", "-wal", "-shm", "-journal"];

/**
 * Opens or creates the database at `path` (`:memory:` for a test), private from its first byte on; one that an older version left
 * readable for others is made private too.
 */
export function openPrivateDatabase(
  path: string,
  options: { enableForeignKeyConstraints?: boolean } = {},
): DatabaseSync {
  if (path !== ":memory:") makePrivate(path);
  return new DatabaseSync(path, options);
}

function makePrivate(path: string): void {
  Deno.openSync(path, { write: true, create: true, mode: PRIVATE_FILE_MODE }).close();
  for (const companion of COMPANIONS) {
    try {
      Deno.chmodSync(path + companion, PRIVATE_FILE_MODE);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}
