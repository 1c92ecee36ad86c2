/**
 * The device's sync (replication design, section 4.2): dirty pages of checksums are written, the catalogue is committed, and
 * then `data`, `checksums`, `intents` and the catalogue's log are synced at the same time, each only if it changed. One runs at a
 * time; whoever asks meanwhile shares the next. An error, or {@linkcode DeviceSyncOptions.timeoutMs} without an end, fails the device.
 *
 * In the background it runs when {@linkcode DeviceSyncOptions.backgroundBytes} were written, so that no sync grows long, and
 * {@linkcode DeviceSyncOptions.backgroundMs} after the device became dirty. An idle device arms no timer.
 *
 * @module
 */
import type { Catalogue } from "@/sds/device/catalogue.ts";
import type { Chunk } from "@/sds/device/chunk.ts";
import type { DevicePg } from "@/sds/device/device_pg.ts";
import type { DeviceHealth } from "@/sds/device/health.ts";
import type { IntentLog } from "@/sds/device/intent_log.ts";
import type { SlotFiles } from "@/sds/device/slot_files.ts";
import type { SyncedFile } from "@/sds/device/synced_file.ts";
import type { Turns } from "@/sds/device/turns.ts";
import type { Clock, Timer } from "@/shared/clock.ts";

/** Pages of checksums that are written per turn: about 700 us. */
const PAGES_PER_TURN = 256;

export interface DeviceSyncOptions {
  readonly files: SlotFiles;
  readonly intentsFile: SyncedFile;
  readonly catalogue: Catalogue;
  readonly intents: IntentLog;
  readonly pgs: ReadonlyMap<number, DevicePg>;
  readonly health: DeviceHealth;
  readonly turns: Turns;
  readonly clock: Clock;
  readonly backgroundBytes: number;
  readonly backgroundMs: number;
  readonly timeoutMs: number;
}

/** The one scheduler of syncs of a device. */
export class DeviceSync {
  readonly #options: DeviceSyncOptions;
  #dirtyPages: Chunk[] = [];
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #timer: Timer | undefined;
  #closed = false;

  constructor(options: DeviceSyncOptions) {
    this.#options = options;
    options.health.onFailed(() => this.stopTimer());
  }

  /** Notes that a chunk's checksums changed in memory. */
  notePage(chunk: Chunk): void {
    if (chunk.pageDirty) return;
    chunk.pageDirty = true;
    this.#dirtyPages.push(chunk);
  }

  /** Writes a chunk's page ahead of the next sync: before it leaves the cache. @throws {StorageError} device_failed */
  writePage(chunk: Chunk): void {
    if (!chunk.pageDirty) return;
    chunk.pageDirty = false;
    this.#options.files.writePage(chunk.slot, chunk.page);
  }

  /** Called after each change: starts a sync, or sees to it that one runs soon. */
  noteDirty(): void {
    if (this.#options.files.dirtyBytes >= this.#options.backgroundBytes) this.#syncInBackground();
    else if (this.#timer === undefined) this.#armTimer();
  }

  /** Resolves when all that was done before the call is on stable storage. @throws {StorageError} device_failed */
  sync(): Promise<void> {
    if (this.#next !== undefined) return this.#next;
    if (this.#running === undefined) return this.#start();
    this.#next = this.#running.catch(() => {}).then(() => {
      this.#next = undefined;
      return this.#start();
    });
    return this.#next;
  }

  /** Ends the background syncs; resolves when none runs. */
  async close(): Promise<void> {
    this.#closed = true;
    this.stopTimer();
    while ((this.#next ?? this.#running) !== undefined) await (this.#next ?? this.#running)?.catch(() => {});
  }

  stopTimer(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #start(): Promise<void> {
    const run = this.#guarded().finally(() => {
      this.#running = undefined;
    });
    this.#running = run;
    return run;
  }

  async #guarded(): Promise<void> {
    const { clock, health, timeoutMs } = this.#options;
    health.requireIntact();
    this.stopTimer();
    let expire = () => {};
    const expired = new Promise<never>((_, reject) => {
      expire = () => reject(health.fail("Cannot sync the device", new Error(`no end after ${timeoutMs} ms`)));
    });
    const timer = clock.setTimer(timeoutMs, () => expire());
    try {
      await Promise.race([this.#run(), expired]);
    } finally {
      timer.cancel();
    }
  }

  async #run(): Promise<void> {
    const { catalogue, clock, files, intents, intentsFile, pgs } = this.#options;
    const clears = intents.beginRound(clock.monotonicMs());
    files.dirtyBytes = 0;
    await this.#writePages();
    catalogue.commit();
    await Promise.all([files.data.sync(), files.checksums.sync(), intentsFile.sync(), catalogue.log.sync()]);
    if (clears) intents.finishRound(pgs.values());
    catalogue.checkpointIfDue();
    if (this.#needsAnother()) this.noteDirty();
  }

  async #writePages(): Promise<void> {
    const pages = this.#dirtyPages;
    this.#dirtyPages = [];
    for (const [index, chunk] of pages.entries()) {
      if (index > 0 && index % PAGES_PER_TURN === 0) await this.#options.turns.pause();
      // A deleted chunk's slot may belong to another one by now.
      if (chunk.cached) this.writePage(chunk);
    }
  }

  /** True if something is left to be synced, or regions are left whose `dirty` bit a later round clears. */
  #needsAnother(): boolean {
    const { catalogue, files, pgs } = this.#options;
    if (files.data.isUnsynced || files.checksums.isUnsynced || catalogue.log.isUnsynced) return true;
    if (this.#dirtyPages.length > 0) return true;
    return Array.from(pgs.values()).some(hasClearableRegion);
  }

  #armTimer(): void {
    if (this.#closed || this.#options.health.failed !== undefined) return;
    this.#timer = this.#options.clock.setTimer(this.#options.backgroundMs, () => {
      this.#timer = undefined;
      this.#syncInBackground();
    });
  }

  #syncInBackground(): void {
    if (this.#closed || this.#running !== undefined) return;
    // The error has failed the device, which tells its listeners.
    this.sync().catch(() => {});
  }
}

/** True if a group has a dirty region that is not kept so by unverified chunks. */
function hasClearableRegion(pg: DevicePg): boolean {
  const { dirty } = pg.intents;
  for (let index = 0; index < dirty.length; index++) {
    for (let bits = dirty[index]!; bits !== 0; bits &= bits - 1) {
      const region = index * 8 + 31 - Math.clz32(bits & -bits);
      if (!pg.unverifiedCounts.has(region)) return true;
    }
  }
  return false;
}
