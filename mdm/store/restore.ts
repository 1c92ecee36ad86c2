/**
 * Puts a backup in the place of `powerflex.db`. What was given out since the backup was made must not be given again: terms,
 * versions and generations never go back (I1), and the id of a volume that the backup does not know may still have chunks at
 * the SDSs. So every counter and every sequence of ids goes on {@linkcode RESTORE_SKIP} further, but those whose newest rows are
 * counted by their ids.
 *
 * @module
 */
import { openDatabase } from "@/mdm/store/database.ts";
import { type CounterKey, counterValue, setCounter } from "@/mdm/store/cluster_config.ts";
import { restoreDatabase } from "@/shared/backup.ts";

/** More than is given out between two backups: ids and counters jump by so many. */
export const RESTORE_SKIP = 100_000;

const COUNTERS: readonly CounterKey[] = ["mdm_term", "config_version", "mapping_version", "sdc_session"];

/**
 * Restores while no MDM runs. The database that was there stays beside it as `PATH.before-restore`.
 *
 * @throws {StorageError} `io_error` for a backup that does not pass its check; then nothing changed.
 */
export function restoreMdmDatabase(backupPath: string, databasePath: string): void {
  restoreDatabase(backupPath, databasePath);
  const db = openDatabase(databasePath);
  try {
    db.transaction(() => {
      for (const key of COUNTERS) setCounter(db, key, counterValue(db, key) + RESTORE_SKIP);
      db.run("UPDATE sqlite_sequence SET seq = seq + ? WHERE name NOT IN ('event_logs', 'io_tokens')", RESTORE_SKIP);
    });
  } finally {
    db.close();
  }
}
