/**
 * Group commit of one file: callers that wait for the same content share one `fdatasync`, and an unchanged file needs none.
 *
 * @module
 */
import type { DeviceHealth } from "@/sds/device/health.ts";
import type { DiskFile } from "@/shared/disk.ts";

/** A file whose owner says when it changed. */
export class SyncedFile {
  readonly file: DiskFile;
  readonly #name: string;
  readonly #health: DeviceHealth;
  #version = 0;
  #syncedVersion = 0;
  #runningVersion = 0;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(file: DiskFile, options: { readonly name: string; readonly health: DeviceHealth }) {
    this.file = file;
    this.#name = options.name;
    this.#health = options.health;
  }

  /** True if something was written that no finished sync covers. */
  get isUnsynced(): boolean {
    return this.#syncedVersion !== this.#version;
  }

  /** Notes that the file's content changed. */
  touch(): void {
    this.#version++;
  }

  /** As `sync`, whether the file changed or not: a write-back error of an earlier process shows now or never. */
  syncAnyway(): Promise<void> {
    this.touch();
    return this.sync();
  }

  /** Resolves when all that was written before the call is on stable storage. @throws {StorageError} device_failed */
  sync(): Promise<void> {
    if (this.#health.failure !== undefined) return Promise.reject(this.#health.failure);
    if (!this.isUnsynced) return Promise.resolve();
    if (this.#next !== undefined) return this.#next;
    if (this.#running === undefined) return this.#start();
    if (this.#runningVersion === this.#version) return this.#running;
    this.#next = this.#running.then(() => {
      this.#next = undefined;
      return this.#start();
    });
    return this.#next;
  }

  #start(): Promise<void> {
    const version = this.#version;
    this.#runningVersion = version;
    this.#running = this.file.syncData().then(
      () => {
        this.#running = undefined;
        this.#syncedVersion = version;
        this.#health.requireIntact();
      },
      (cause) => {
        this.#running = undefined;
        throw this.#health.fail(`Cannot sync ${this.#name}`, cause);
      },
    );
    return this.#running;
  }
}
