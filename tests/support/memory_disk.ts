/**
 * A {@linkcode Disk} in memory that keeps page cache and stable storage apart, for crash tests and the simulator.
 *
 * - {@linkcode MemoryDisk.crash}: the process is gone, the host is not. Handles die, operations under way never end, the page
 *   cache stays.
 * - {@linkcode MemoryDisk.powerLoss}: as a crash, and of every unsynced 512-byte sector some version since its last sync stays,
 *   the older or newer length of a file, and an unsynced directory entry or none.
 *
 * A database is an SQLite database in memory; its `-wal` file has no content, but syncing it makes the commits durable. A power
 * loss leaves the durable ones and some of the first that came after them, as the frames of a real log would. Removing a file is
 * durable at once.
 *
 * @module
 */
import type { DatabaseSync } from "node:sqlite";
import type { Clock } from "@/shared/clock.ts";
import type { Disk, DiskFile } from "@/shared/disk.ts";
import { assert } from "@/shared/errors.ts";
import type { Random } from "@/shared/random.ts";
import { MemoryDatabase } from "@/tests/support/memory_database.ts";
import { MemoryContent } from "@/tests/support/memory_content.ts";

const PAGE_BYTES = 4096;

/** What a fault can strike. `read` and `write` stand for synchronous and asynchronous ones. */
export type DiskOperation = "open" | "read" | "write" | "sync" | "truncate";

/** A fault to come. */
export interface DiskFault {
  readonly operations: readonly DiskOperation[];
  /** Only on this file; on any without it. */
  readonly file?: string;
  /** Matching operations that still succeed; 0 without it. */
  readonly skip?: number;
  /** Matching operations that fail; all from then on without it. */
  readonly times?: number;
  /**
   * `crash`: the process ends within the operation, of which a part may be done. `lost`, `misplaced`: a write that says it
   * succeeded, and wrote nothing or wrote {@linkcode MISPLACED_BYTES} further on.
   */
  readonly effect: "EIO" | "ENOSPC" | "crash" | "lost" | "misplaced";
}

/** How far a misplaced write is from where it belongs. */
const MISPLACED_BYTES = 8192;

export interface MemoryDiskOptions {
  readonly path?: string;
  /** Gives asynchronous operations their time; without it they end in a microtask. */
  readonly clock?: Clock;
  /** How long an asynchronous operation takes; 0 without it. */
  readonly delayMs?: () => number;
  /** Sum of the lengths of all files at which writes get ENOSPC. */
  readonly capacityBytes?: number;
  /** An injected crash struck: the caller ends the process that uses the disk, within this call. */
  readonly onCrash?: () => void;
}

interface Inode {
  readonly number: number;
  readonly content: MemoryContent;
  lockedBy: object | undefined;
}

export class MemoryDisk implements Disk {
  readonly path: string;
  /** Operations on files so far, failed ones included. */
  operationCount = 0;
  readonly #options: MemoryDiskOptions;
  readonly #files = new Map<string, Inode>();
  readonly #databases = new Map<string, MemoryDatabase>();
  readonly #durableNames = new Set<string>();
  #fullBytes: number | undefined;
  #stalledUntilMs = 0;
  #faults: { readonly fault: DiskFault; seen: number }[] = [];
  #inodeCount = 0;
  /** Changed by a crash: handles of an older life are dead. */
  #life = {};
  #crashed = false;

  constructor(options: MemoryDiskOptions = {}) {
    this.#options = options;
    this.path = options.path ?? "memory";
  }

  exists(name: string): boolean {
    return this.#files.has(name) || this.#databases.has(name);
  }

  open(name: string): DiskFile {
    this.begin("open", name);
    let inode = this.#files.get(name);
    if (inode === undefined) {
      inode = { number: ++this.#inodeCount, content: new MemoryContent(), lockedBy: undefined };
      this.#files.set(name, inode);
    }
    return new MemoryFile(this, { name, inode, life: this.#life });
  }

  openDatabase(name: string): DatabaseSync {
    this.begin("open", name);
    let database = this.#databases.get(name);
    if (database === undefined) this.#databases.set(name, database = new MemoryDatabase());
    return database.open();
  }

  checkpointDatabase(name: string): Promise<void> {
    return this.#syncDatabase(name);
  }

  remove(name: string): void {
    assert(this.#databases.get(name)?.isOpen !== true, `database ${name} is closed before it is removed`);
    this.#files.delete(name);
    this.#databases.delete(name);
    this.#durableNames.delete(name);
  }

  async syncDirectory(): Promise<void> {
    const names = [...this.#files.keys(), ...this.#databases.keys()];
    await this.later();
    for (const name of names) this.#durableNames.add(name);
  }

  /** True from an injected crash until `crash` or `powerLoss` lets the next process in. */
  get hasCrashed(): boolean {
    return this.#crashed;
  }

  /** Adds a fault to come. */
  inject(fault: DiskFault): void {
    this.#faults.push({ fault, seen: 0 });
  }

  /** From now on files do not grow beyond what they take now; `false`: they do again. */
  fill(full: boolean): void {
    this.#fullBytes = full ? this.#usedBytes() : undefined;
  }

  /** Asynchronous operations that begin within the next `forMs` end that much later. Needs a clock. */
  stall(forMs: number): void {
    const { clock } = this.#options;
    assert(clock !== undefined, "only a disk with a clock stalls");
    this.#stalledUntilMs = clock.monotonicMs() + forMs;
  }

  /** Takes back all faults. */
  clearFaults(): void {
    this.#faults = [];
  }

  /** Flips a bit of a file behind everybody's back. */
  flipBit(name: string, position: { readonly positionBytes: number; readonly bit?: number }): void {
    this.#inode(name).content.flipBit(position.positionBytes, position.bit ?? 0);
  }

  /** What the page cache holds of a file, for checks. */
  peek(name: string, range: { readonly positionBytes: number; readonly lengthBytes: number }): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(range.lengthBytes);
    return bytes.subarray(0, this.#inode(name).content.read(bytes, range.positionBytes));
  }

  sizeOf(name: string): number {
    return this.#inode(name).content.sizeBytes;
  }

  /** The process ends: its handles are dead, the page cache stays. Faults to come are taken back. */
  crash(): void {
    this.#die();
    this.#crashed = false;
    this.clearFaults();
  }

  /** The host loses power, whether the process crashed before or not. */
  powerLoss(random: Random): void {
    this.crash();
    for (const [name, inode] of this.#files) {
      if (!this.#durableNames.has(name) && random.fraction() < 0.5) this.#files.delete(name);
      else inode.content.losePower(random);
    }
    for (const [name, database] of this.#databases) {
      if (!this.#durableNames.has(name) && random.fraction() < 0.5) this.#databases.delete(name);
      else database.losePower(random);
    }
  }

  /** Counts an operation of a file and lets a fault strike. @throws {Error} with `code`, as the real disk does */
  begin(operation: DiskOperation, name: string): "lost" | "misplaced" | undefined {
    if (this.#crashed) throw diskError("EIO", `${operation} of ${name} after the crash`);
    this.operationCount++;
    const struck = this.#strike(operation, name);
    if (struck === undefined) return undefined;
    if (struck.effect === "lost" || struck.effect === "misplaced") return struck.effect;
    if (struck.effect === "crash") {
      this.#die();
      this.#options.onCrash?.();
    }
    throw diskError(struck.effect === "crash" ? "EIO" : struck.effect, `${operation} of ${name}: injected`);
  }

  /** @throws {Error} ENOSPC if a file cannot grow by so much */
  requireSpace(name: string, growthBytes: number): void {
    const capacityBytes = this.#fullBytes ?? this.#options.capacityBytes;
    if (growthBytes <= 0 || capacityBytes === undefined) return;
    if (this.#usedBytes() + growthBytes > capacityBytes) {
      throw diskError("ENOSPC", `write of ${name}: the disk is full`);
    }
  }

  isAlive(life: object): boolean {
    return life === this.#life;
  }

  /** Resolves when an asynchronous operation of the current life ends; never if the process crashes before. */
  later(): Promise<void> {
    const { clock, delayMs } = this.#options;
    const life = this.#life;
    return new Promise((resolve) => {
      const end = () => {
        if (this.isAlive(life)) resolve();
      };
      if (clock === undefined) queueMicrotask(end);
      else clock.setTimer((delayMs?.() ?? 0) + Math.max(0, this.#stalledUntilMs - clock.monotonicMs()), end);
    });
  }

  /** Makes the content of a file durable, and the commits of a database if it is its log. */
  async syncFile(name: string, content: MemoryContent): Promise<void> {
    const end = content.beginSync();
    await Promise.all([
      this.later(),
      name.endsWith("-wal") ? this.#syncDatabase(name.slice(0, -"-wal".length)) : undefined,
    ]);
    end();
  }

  async #syncDatabase(name: string): Promise<void> {
    const database = this.#databases.get(name);
    await (database === undefined ? this.later() : database.sync(() => this.later()));
  }

  #strike(operation: DiskOperation, name: string): DiskFault | undefined {
    for (const entry of this.#faults) {
      const { fault } = entry;
      if (!fault.operations.includes(operation) || (fault.file !== undefined && fault.file !== name)) continue;
      const index = entry.seen++ - (fault.skip ?? 0);
      if (index >= 0 && index < (fault.times ?? Infinity)) return fault;
    }
    return undefined;
  }

  #die(): void {
    if (this.#crashed) return;
    this.#crashed = true;
    this.#life = {};
    for (const inode of this.#files.values()) inode.lockedBy = undefined;
    for (const database of this.#databases.values()) database.crash();
  }

  #usedBytes(): number {
    let bytes = 0;
    for (const { content } of this.#files.values()) bytes += content.sizeBytes;
    return bytes;
  }

  #inode(name: string): Inode {
    const inode = this.#files.get(name);
    assert(inode !== undefined, `file ${name} exists`);
    return inode;
  }
}

class MemoryFile implements DiskFile {
  readonly #disk: MemoryDisk;
  readonly #name: string;
  readonly #inode: Inode;
  readonly #life: object;
  #closed = false;

  constructor(disk: MemoryDisk, options: { readonly name: string; readonly inode: Inode; readonly life: object }) {
    this.#disk = disk;
    this.#name = options.name;
    this.#inode = options.inode;
    this.#life = options.life;
  }

  readSync(into: Uint8Array, positionBytes: number): number {
    this.#begin("read");
    return this.#inode.content.read(into, positionBytes);
  }

  writeSync(bytes: Uint8Array, positionBytes: number): void {
    const { content } = this.#inode;
    const wasOpen = !this.#closed && this.#disk.isAlive(this.#life);
    let spoilt: "lost" | "misplaced" | undefined;
    try {
      spoilt = this.#begin("write");
    } catch (error) {
      const diedNow = wasOpen && !this.#disk.isAlive(this.#life);
      if (diedNow) content.write(bytes.subarray(0, writtenBeforeKill(bytes.length, positionBytes)), positionBytes);
      throw error;
    }
    this.#disk.requireSpace(this.#name, positionBytes + bytes.length - content.sizeBytes);
    if (spoilt !== "lost") content.write(bytes, positionBytes + (spoilt === "misplaced" ? MISPLACED_BYTES : 0));
  }

  async read(into: Uint8Array, positionBytes: number): Promise<number> {
    this.#begin("read");
    await this.#disk.later();
    return this.#inode.content.read(into, positionBytes);
  }

  async syncData(): Promise<void> {
    this.#begin("sync");
    await this.#disk.syncFile(this.#name, this.#inode.content);
  }

  sizeBytes(): number {
    this.#requireOpen();
    return this.#inode.content.sizeBytes;
  }

  truncate(sizeBytes: number): void {
    this.#begin("truncate");
    this.#inode.content.truncate(sizeBytes);
  }

  inode(): number {
    return this.#inode.number;
  }

  tryLock(): boolean {
    this.#requireOpen();
    if (this.#inode.lockedBy !== undefined && this.#inode.lockedBy !== this) return false;
    this.#inode.lockedBy = this;
    return true;
  }

  close(): void {
    this.#closed = true;
    if (this.#inode.lockedBy === this) this.#inode.lockedBy = undefined;
  }

  #begin(operation: DiskOperation): "lost" | "misplaced" | undefined {
    this.#requireOpen();
    return this.#disk.begin(operation, this.#name);
  }

  #requireOpen(): void {
    if (this.#closed || !this.#disk.isAlive(this.#life)) throw diskError("EBADF", `${this.#name} is closed`);
  }
}

/**
 * A process that is killed within a write has written some of it, in whole pages: the kernel copies page by page into its cache
 * and looks for the signal in between. Only a loss of power tears pages.
 */
function writtenBeforeKill(lengthBytes: number, positionBytes: number): number {
  const middleBytes = positionBytes + lengthBytes / 2;
  return Math.max(0, Math.floor(middleBytes / PAGE_BYTES) * PAGE_BYTES - positionBytes);
}

function diskError(code: string, what: string): Error {
  return Object.assign(new Error(`${code}: ${what}`), { code });
}
