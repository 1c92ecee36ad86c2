/**
 * Keeps `mgmt.db` small and safe: removes what is older than `mgmt_config` says, gives free pages back, and makes backups while
 * MGMT runs. SQLite's `VACUUM` attaches a database of its own, which this process's permissions refuse; pages are given back
 * step by step instead.
 *
 * @module
 */
import { type Clock, every, type Timer } from "@/shared/clock.ts";
import type { Logger } from "@/shared/log.ts";
import { EVERY_PASS_KEPT_MS } from "@/mgmt/core/monitoring.ts";
import type { MgmtStore } from "@/mgmt/store/store.ts";

/** Time between two clean-ups. */
export const CLEAN_UP_EVERY_MS = 600_000;
/** Pages that one clean-up gives back at most: 16 MiB. */
export const PAGES_GIVEN_BACK_MAX = 4_096;
/** Backups that are kept; older ones are removed. */
export const BACKUPS_KEPT = 7;

const DAY_MS = 86_400_000;

/** What a clean-up removed. */
export interface CleanUpReport {
  readonly snapshots: number;
  readonly resolvedAlerts: number;
  /** Pages that wait for later clean-ups. */
  readonly freePages: number;
}

/** Where backups lie. */
export interface BackupFolder {
  readonly path: string;
  /** Names of the files in it. */
  list(): string[];
  remove(name: string): void;
}

interface HousekeepingParts {
  readonly store: Pick<MgmtStore, "snapshots" | "alerts" | "config" | "compact" | "backup">;
  readonly clock: Clock;
  readonly log: Logger;
  readonly backups: BackupFolder;
}

/** The loop, and its work for those who cannot wait. */
export class Housekeeping {
  readonly #parts: HousekeepingParts;
  #timer: Timer | undefined;

  constructor(parts: HousekeepingParts) {
    this.#parts = parts;
  }

  /** Begins to clean up every {@linkcode CLEAN_UP_EVERY_MS}. */
  start(): void {
    const { clock, log } = this.#parts;
    this.#timer = every(clock, CLEAN_UP_EVERY_MS, () => {
      try {
        this.cleanUp();
      } catch (error) {
        log.error("Cannot clean mgmt.db up: {error}", { error: String(error) });
      }
    });
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** Removes what is too old. */
  cleanUp(): CleanUpReport {
    const { store, clock } = this.#parts;
    const nowMs = clock.wallMs();
    const snapshots = store.snapshots.removeOld({
      everyPassMs: nowMs - EVERY_PASS_KEPT_MS,
      keptLongMs: nowMs - store.config.get("monitoring_retention_days") * DAY_MS,
    });
    const resolvedAlerts = store.alerts.removeResolved(
      nowMs - store.config.get("resolved_alerts_retention_days") * DAY_MS,
    );
    return { snapshots, resolvedAlerts, freePages: store.compact(PAGES_GIVEN_BACK_MAX) };
  }

  /** Writes a backup and gives its path. */
  async backup(): Promise<string> {
    const { store, clock, backups } = this.#parts;
    const stamp = new Date(clock.wallMs()).toISOString().replace(/[:.]/g, "-");
    const path = `${backups.path}/mgmt-${stamp}.db`;
    await store.backup(path);
    const names = backups.list().filter((name) => /^mgmt-.*\.db$/.test(name)).sort();
    for (const name of names.slice(0, -BACKUPS_KEPT)) backups.remove(name);
    return path;
  }
}

/** The folder `backups` of MGMT's data directory. */
export function backupFolder(dataDir: string): BackupFolder {
  const path = `${dataDir}/backups`;
  Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
  return {
    path,
    list: () => [...Deno.readDirSync(path)].map(({ name }) => name),
    remove: (name) => Deno.removeSync(`${path}/${name}`),
  };
}
