/**
 * Backups of `powerflex.db` while the MDM runs.
 *
 * @module
 */
import type { MdmContext } from "@/mdm/context.ts";
import { type BackupFile, listBackups } from "@/shared/backup.ts";
import { StorageError } from "@/shared/errors.ts";

const NAME = "powerflex";

/** Makes one; the newest seven are kept. @throws {StorageError} `io_error`, `unsupported` for an MDM without a directory. */
export async function backUp(context: MdmContext): Promise<BackupFile> {
  const directory = requireDirectory(context);
  const made = await context.db.backUp({ directory, name: NAME, atMs: context.time.nowMs() });
  context.log.info("The database was backed up to {path}", { path: made.path });
  return made;
}

/** Newest first. @throws {StorageError} `unsupported` for an MDM without a directory. */
export function backups(context: MdmContext): Omit<BackupFile, "sha256">[] {
  return listBackups(requireDirectory(context), NAME);
}

function requireDirectory(context: MdmContext): string {
  const { backupDirectory } = context.options;
  if (backupDirectory !== undefined) return backupDirectory;
  throw new StorageError("unsupported", "Cannot back up: this MDM keeps its database in memory");
}
