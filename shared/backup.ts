/**
 * Copies of a database while its process runs, and the way back. SQLite's online backup reads page by page and starts again when
 * somebody writes meanwhile, so the copy is of one instant; it is checked before it gets its name, and named when it is durable.
 *
 *   NAME-20261123T214500.123Z.db      in the directory of backups, for the user of the process only
 *
 * The way back is made with the process stopped: `restoreDatabase`, or by hand as `docs/operations.md` says.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { backup, DatabaseSync } from "node:sqlite";
import { StorageError } from "@/shared/errors.ts";
import { PRIVATE_FILE_MODE } from "@/shared/private_files.ts";

/** Backups that are kept of one database, unless the caller says otherwise. */
export const BACKUPS_KEPT = 7;
const DIRECTORY_MODE = 0o700;

/** A finished backup. */
export interface BackupFile {
  readonly path: string;
  readonly sizeBytes: number;
  /** Of the file, in hexadecimal. */
  readonly sha256: string;
  /** Wall time, in ms since 1970. */
  readonly createdAtMs: number;
}

/** What to copy where. */
export interface BackupRequest {
  readonly directory: string;
  /** Name of the database, such as `powerflex`. */
  readonly name: string;
  /** Wall time, in ms since 1970. */
  readonly atMs: number;
  /** Older ones of the name are deleted; {@linkcode BACKUPS_KEPT} unless given. */
  readonly keep?: number;
}

/**
 * Copies `sqlite` and deletes the oldest backups of its name.
 *
 * @throws {StorageError} `io_error` when it cannot be written or does not pass its check; nothing remains of it then.
 */
export async function backUpDatabase(sqlite: DatabaseSync, request: BackupRequest): Promise<BackupFile> {
  const { directory, name, atMs, keep = BACKUPS_KEPT } = request;
  const path = `${directory}/${name}-${new Date(atMs).toISOString().replaceAll(/[-:]/g, "")}.db`;
  try {
    Deno.mkdirSync(directory, { recursive: true, mode: DIRECTORY_MODE });
    await copyDatabase(sqlite, path);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new StorageError("io_error", `Cannot back up ${name} to ${path}: ${reason}`, { cause: error });
  }
  for (const old of listBackups(directory, name).slice(keep)) Deno.removeSync(old.path);
  return { path, ...facts(path), createdAtMs: atMs };
}

/**
 * Copies `sqlite` to a new file at `path`, which gets its name when it is checked and durable. Private, and one file whatever the
 * journal mode is.
 *
 * @throws when it cannot be written, or {@linkcode StorageError} `io_error` when it does not pass its check; nothing remains then.
 */
export async function copyDatabase(sqlite: DatabaseSync, path: string): Promise<void> {
  const unfinished = `${path}.unfinished`;
  try {
    Deno.openSync(unfinished, { write: true, create: true, truncate: true, mode: PRIVATE_FILE_MODE }).close();
    await backup(sqlite, unfinished);
    becomeOneFile(unfinished);
    checkDatabase(unfinished);
    syncFile(unfinished);
    Deno.renameSync(unfinished, path);
  } catch (error) {
    for (const companion of ["", "-wal", "-shm", "-journal"]) removeIfThere(unfinished + companion);
    throw error;
  }
}

/** Backups of a name, newest first; without their checksums. */
export function listBackups(directory: string, name: string): Omit<BackupFile, "sha256">[] {
  const pattern = new RegExp(`^${name}-(\\d{4})(\\d\\d)(\\d\\d)T(\\d\\d)(\\d\\d)(\\d\\d\\.\\d{3}Z)\\.db$`);
  return entriesOf(directory).flatMap((entry) => {
    const match = pattern.exec(entry);
    if (match === null) return [];
    const [year, month, day, hour, minute, rest] = match.slice(1);
    const createdAtMs = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${rest}`);
    const path = `${directory}/${entry}`;
    return [{ path, sizeBytes: Deno.statSync(path).size, createdAtMs }];
  }).sort((a, b) => b.createdAtMs - a.createdAtMs);
}

/**
 * Puts a backup in the place of a database whose process does not run. What was there stays beside it as `PATH.before-restore`.
 *
 * @throws {StorageError} `io_error` if the backup does not pass its check; the database is as it was then.
 */
export function restoreDatabase(backupPath: string, databasePath: string): void {
  checkDatabase(backupPath);
  const incoming = `${databasePath}.incoming`;
  Deno.copyFileSync(backupPath, incoming);
  Deno.chmodSync(incoming, PRIVATE_FILE_MODE);
  syncFile(incoming);
  for (const companion of ["", "-wal", "-shm"]) moveAside(databasePath, companion);
  Deno.renameSync(incoming, databasePath);
}

/** The copy inherits write-ahead logging, with its two files; a backup is one. The role that opens it restored chooses anew. */
function becomeOneFile(path: string): void {
  const sqlite = new DatabaseSync(path);
  try {
    sqlite.exec("PRAGMA journal_mode = DELETE");
  } finally {
    sqlite.close();
  }
}

/** @throws {StorageError} `io_error` */
function checkDatabase(path: string): void {
  let verdict: unknown;
  try {
    const sqlite = new DatabaseSync(path, { readOnly: true });
    try {
      verdict = sqlite.prepare("PRAGMA integrity_check").get()?.["integrity_check"];
    } finally {
      sqlite.close();
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new StorageError("io_error", `Cannot check ${path}: ${reason}`, { cause: error });
  }
  if (verdict !== "ok") throw new StorageError("io_error", `Cannot use ${path}: its check says ${String(verdict)}`);
}

function facts(path: string): Pick<BackupFile, "sizeBytes" | "sha256"> {
  const hash = createHash("sha256");
  const buffer = new Uint8Array(64 * 1024);
  using file = Deno.openSync(path);
  let sizeBytes = 0;
  for (let count = file.readSync(buffer); count !== null; count = file.readSync(buffer)) {
    hash.update(buffer.subarray(0, count));
    sizeBytes += count;
  }
  return { sizeBytes, sha256: hash.digest("hex") };
}

function syncFile(path: string): void {
  using file = Deno.openSync(path, { write: true });
  file.syncSync();
}

function moveAside(path: string, companion: string): void {
  try {
    Deno.renameSync(path + companion, `${path}.before-restore${companion}`);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** What cannot be removed is not the failure to report. */
function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
  }
}

function entriesOf(directory: string): string[] {
  try {
    return [...Deno.readDirSync(directory)].map((entry) => entry.name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
