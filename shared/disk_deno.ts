/**
 * The real {@linkcode Disk}: a directory of the host's file system.
 *
 * Each file has several descriptors, because an asynchronous operation occupies its descriptor inside the runtime until it ends:
 * one of `node:fs` for synchronous positional IO (4 KiB from the page cache: read 1.3 us, write 2.8 us; seek and write of
 * `Deno.FsFile` take 1.7 and 3.4 us), one for `fdatasync` and the lock, and up to {@linkcode ASYNC_READERS_MAX} for reads off
 * the event loop (one descriptor 27 k/s, sixteen 170 k/s).
 *
 * @module
 */
import fs from "node:fs";
import type { DatabaseSync } from "node:sqlite";
import type { Disk, DiskFile } from "@/shared/disk.ts";
import { assert } from "@/shared/errors.ts";
import { openPrivateDatabase } from "@/shared/private_files.ts";

/** Descriptors per file for reads off the event loop; further reads wait for one. Opened when first needed. */
export const ASYNC_READERS_MAX = 16;

/** Opens the directory `path`, which exists, as a disk. */
export function openDirectory(path: string): Disk {
  return new DenoDisk(path);
}

class DenoDisk implements Disk {
  constructor(readonly path: string) {}

  exists(name: string): boolean {
    return fs.existsSync(this.#pathOf(name));
  }

  open(name: string): DiskFile {
    return new DenoDiskFile(this.#pathOf(name));
  }

  openDatabase(name: string): DatabaseSync {
    const database = openPrivateDatabase(this.#pathOf(name));
    // Order matters: auto_vacuum can only be chosen while the file is empty, and changing the journal mode writes to it.
    database.exec("PRAGMA auto_vacuum = incremental; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
    database.exec("PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = 16777216");
    return database;
  }

  checkpointDatabase(name: string): Promise<void> {
    return checkpointInWorker(this.#pathOf(name));
  }

  remove(name: string): void {
    fs.rmSync(this.#pathOf(name));
  }

  async syncDirectory(): Promise<void> {
    using directory = await Deno.open(this.path, { read: true });
    await directory.sync();
  }

  #pathOf(name: string): string {
    assert(/^[A-Za-z0-9._-]+$/.test(name) && !name.startsWith("."), `"${name}" is a plain file name`);
    return `${this.path}/${name}`;
  }
}

class DenoDiskFile implements DiskFile {
  readonly #path: string;
  readonly #descriptor: number;
  readonly #syncFile: Deno.FsFile;
  readonly #inode: number;
  readonly #idleReaders: Deno.FsFile[] = [];
  readonly #waitingReads: ((reader: Deno.FsFile | undefined) => void)[] = [];
  #readerCount = 0;
  #closed = false;

  constructor(path: string) {
    this.#path = path;
    this.#descriptor = fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o600);
    this.#syncFile = Deno.openSync(path, { read: true, write: true });
    this.#inode = this.#syncFile.statSync().ino ?? 0;
  }

  readSync(into: Uint8Array, positionBytes: number): number {
    const count = fs.readSync(this.#descriptor, into, 0, into.length, positionBytes);
    return count === into.length || count === 0 ? count : this.#readRest(into, { count, positionBytes });
  }

  writeSync(bytes: Uint8Array, positionBytes: number): void {
    let written = fs.writeSync(this.#descriptor, bytes, 0, bytes.length, positionBytes);
    while (written < bytes.length) {
      written += fs.writeSync(this.#descriptor, bytes, written, bytes.length - written, positionBytes + written);
    }
  }

  async read(into: Uint8Array, positionBytes: number): Promise<number> {
    const reader = await this.#takeReader();
    try {
      reader.seekSync(positionBytes, Deno.SeekMode.Start);
      let count = 0;
      while (count < into.length) {
        const more = await reader.read(into.subarray(count));
        if (more === null) break;
        count += more;
      }
      return count;
    } finally {
      this.#giveReader(reader);
    }
  }

  syncData(): Promise<void> {
    return this.#syncFile.syncData();
  }

  sizeBytes(): number {
    return fs.fstatSync(this.#descriptor).size;
  }

  truncate(sizeBytes: number): void {
    fs.ftruncateSync(this.#descriptor, sizeBytes);
  }

  inode(): number {
    return this.#inode;
  }

  tryLock(): boolean {
    return this.#syncFile.tryLockSync(true);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    fs.closeSync(this.#descriptor);
    this.#syncFile.close();
    for (const reader of this.#idleReaders.splice(0)) reader.close();
    for (const wake of this.#waitingReads.splice(0)) wake(undefined);
  }

  #readRest(into: Uint8Array, { count, positionBytes }: { count: number; positionBytes: number }): number {
    while (count < into.length) {
      const more = fs.readSync(this.#descriptor, into, count, into.length - count, positionBytes + count);
      if (more === 0) break;
      count += more;
    }
    return count;
  }

  async #takeReader(): Promise<Deno.FsFile> {
    if (this.#closed) throw new Error(`Cannot read ${this.#path}: it is closed`);
    const idle = this.#idleReaders.pop();
    if (idle !== undefined) return idle;
    if (this.#readerCount < ASYNC_READERS_MAX) {
      const reader = Deno.openSync(this.#path, { read: true });
      this.#readerCount++;
      return reader;
    }
    const reader = await new Promise<Deno.FsFile | undefined>((resolve) => this.#waitingReads.push(resolve));
    if (reader === undefined) throw new Error(`Cannot read ${this.#path}: it was closed meanwhile`);
    return reader;
  }

  #giveReader(reader: Deno.FsFile): void {
    const next = this.#waitingReads.shift();
    if (next !== undefined) next(reader);
    else if (this.#closed) reader.close();
    else this.#idleReaders.push(reader);
  }
}

/**
 * A checkpoint syncs two files, which would stop the event loop for a disk flush. The worker lives for one checkpoint (start 30
 * to 100 ms on another core, 1 MiB), needs no permission beyond the directory's, and is text so that a bundle carries it. The
 * second pass takes what was committed during the first: only a log copied to its end is used anew from its beginning.
 */
const CHECKPOINT_WORKER = `
import { DatabaseSync } from "node:sqlite";
self.onmessage = (event) => {
  try {
    const database = new DatabaseSync(event.data);
    try {
      database.exec("PRAGMA wal_checkpoint(PASSIVE); PRAGMA wal_checkpoint(PASSIVE)");
    } finally {
      database.close();
    }
    self.postMessage(null);
  } catch (error) {
    self.postMessage(String(error));
  }
};`;

async function checkpointInWorker(path: string): Promise<void> {
  const worker = new Worker(`data:application/javascript,${encodeURIComponent(CHECKPOINT_WORKER)}`, { type: "module" });
  try {
    const problem = await new Promise<string | null>((resolve) => {
      worker.onmessage = (event: MessageEvent<string | null>) => resolve(event.data);
      worker.onerror = (event) => {
        event.preventDefault();
        resolve(event.message);
      };
      worker.postMessage(path);
    });
    if (problem !== null) throw new Error(`Cannot checkpoint ${path}: ${problem}`);
  } finally {
    worker.terminate();
  }
}
