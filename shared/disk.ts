/**
 * A directory of files as a capability: what an SDS device is made of. `shared/disk_deno.ts` is the real one; `MemoryDisk`
 * in `tests/support/` keeps page cache and stable state apart, so that crash and power loss can be simulated.
 *
 * @module
 */
import type { DatabaseSync } from "node:sqlite";

/** An open file with positional IO. A file has one owner; its methods are safe to overlap. */
export interface DiskFile {
  /** Reads up to `into.length` bytes at `positionBytes`, gives the count (short only at the end of the file). Blocks. */
  readSync(into: Uint8Array, positionBytes: number): number;
  /** Writes all of `bytes` at `positionBytes`, growing the file when needed. Blocks, normally for the page cache only. */
  writeSync(bytes: Uint8Array, positionBytes: number): void;
  /** As `readSync`, off the event loop: for data that may be cold. Borrows `into` until it settles. */
  read(into: Uint8Array, positionBytes: number): Promise<number>;
  /** `fdatasync`: what was written before the call is on stable storage when it resolves. Off the event loop. */
  syncData(): Promise<void>;
  sizeBytes(): number;
  truncate(sizeBytes: number): void;
  /** Identity of the file on its file system; a copied directory has others. */
  inode(): number;
  /** Takes an exclusive lock for as long as the file is open; false if another process holds it. */
  tryLock(): boolean;
  close(): void;
}

/** A directory that one device owns. Names are plain file names. */
export interface Disk {
  /** The directory's place, for messages. */
  readonly path: string;
  exists(name: string): boolean;
  /** Opens `name` for reading and writing, creating it empty when absent. @throws {Error} from the file system. */
  open(name: string): DiskFile;
  /** Opens or creates the SQLite database `name` in WAL mode; its `-wal` file can be opened with `open` to sync it. */
  openDatabase(name: string): DatabaseSync;
  /** Copies the log of the open database `name` into its main file, off the event loop. One at a time per database. */
  checkpointDatabase(name: string): Promise<void>;
  remove(name: string): void;
  /** Syncs the directory itself, after files were created or removed. */
  syncDirectory(): Promise<void>;
}
