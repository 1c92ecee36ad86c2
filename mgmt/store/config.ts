/**
 * Table `mgmt_config`: what an administrator may change while MGMT runs. What a process must know before it opens its database
 * (ports, the MDM's address, the time between polls) are settings of its environment instead.
 *
 * @module
 */
import type { DatabaseSync } from "node:sqlite";

/** Every key, what a new database says, and what it may be. */
export const CONFIG_KEYS = {
  monitoring_retention_days: {
    about: "Days that monitoring figures are kept, one a minute",
    fallback: 7,
    min: 1,
    max: 90,
  },
  resolved_alerts_retention_days: {
    about: "Days that resolved alerts are kept, with their history",
    fallback: 30,
    min: 1,
    max: 3_650,
  },
} as const;
export type ConfigKey = keyof typeof CONFIG_KEYS;

/** The table. */
export class Config {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** Writes what is not there yet. */
  seed(): void {
    const insert = this.#database.prepare(
      "INSERT INTO mgmt_config (key, value, changed_at_ms, changed_by) VALUES (?, ?, 0, 'system') ON CONFLICT DO NOTHING",
    );
    for (const [key, { fallback }] of Object.entries(CONFIG_KEYS)) insert.run(key, String(fallback));
  }

  get(key: ConfigKey): number {
    const row = this.#database.prepare("SELECT value FROM mgmt_config WHERE key = ?").get(key);
    return row ? Number(row["value"]) : CONFIG_KEYS[key].fallback;
  }

  set(key: ConfigKey, value: number, change: { readonly nowMs: number; readonly by: string }): void {
    this.#database.prepare(`
      INSERT INTO mgmt_config (key, value, changed_at_ms, changed_by) VALUES (?1, ?2, ?3, ?4)
      ON CONFLICT (key) DO UPDATE SET value = ?2, changed_at_ms = ?3, changed_by = ?4
    `).run(key, String(value), Math.floor(change.nowMs), change.by);
  }
}
