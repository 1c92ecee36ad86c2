/**
 * Backups of a process's databases: a folder per backup beneath `backups/` of its directory, the newest
 * {@linkcode BACKUPS_KEPT} of them. The copies themselves are made by `copyDatabase` of `backup.ts`.
 *
 * @module
 */
import { BACKUPS_KEPT } from "@/shared/backup.ts";
import type { Clock } from "@/shared/clock.ts";
import { StorageError } from "@/shared/errors.ts";

/** Folders are for the process's user only. */
const DIRECTORY_MODE = 0o700;

/** A complete backup. */
export interface BackupReport {
  /** Absolute, or relative to where the process runs, as its directory is. */
  readonly path: string;
  readonly files: { readonly name: string; readonly sizeBytes: number }[];
}

/** Makes backups, one at a time. */
export class BackupFolder {
  readonly #path: string;
  readonly #clock: Clock;
  #running = false;

  /** @param path such as `DIR/backups`; made with the first backup. */
  constructor(path: string, clock: Clock) {
    this.#path = path;
    this.#clock = clock;
  }

  /**
   * Has `write` put copies into a new folder, which is removed again when that fails.
   *
   * @throws {StorageError} `conflict` while another backup is made.
   */
  async make(write: (folder: string) => Promise<readonly string[]>): Promise<BackupReport> {
    if (this.#running) throw new StorageError("conflict", "Cannot back up: another backup is being made");
    this.#running = true;
    const path = `${this.#path}/${new Date(this.#clock.wallMs()).toISOString().replaceAll(/[:.]/g, "-")}`;
    try {
      Deno.mkdirSync(this.#path, { recursive: true, mode: DIRECTORY_MODE });
      Deno.mkdirSync(path, { mode: DIRECTORY_MODE });
      const names = await write(path);
      this.#removeOld();
      return { path, files: names.map((name) => ({ name, sizeBytes: Deno.statSync(`${path}/${name}`).size })) };
    } catch (error) {
      if (error instanceof Deno.errors.AlreadyExists) {
        throw new StorageError("conflict", `Cannot back up: ${path} is there already`, { cause: error });
      }
      Deno.removeSync(path, { recursive: true });
      throw error;
    } finally {
      this.#running = false;
    }
  }

  #removeOld(): void {
    const names = [...Deno.readDirSync(this.#path)].map(({ name }) => name).sort();
    for (const name of names.slice(0, -BACKUPS_KEPT)) Deno.removeSync(`${this.#path}/${name}`, { recursive: true });
  }
}
