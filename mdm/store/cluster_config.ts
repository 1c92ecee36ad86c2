/**
 * `cluster_config`: secrets, names and the counters that never go back (I1).
 *
 * @module
 */
import type { Database } from "@/mdm/store/database.ts";
import { assert } from "@/shared/errors.ts";

/** Texts of the cluster. */
export type ConfigKey = "cluster_id" | "cluster_name" | "cluster_key" | "join_token" | "operator_token";

/**
 * Counters: term of this MDM start, version of the newest configuration change, version of the newest mapping change, newest
 * session given to an SDC, time up to which MDM time may have been told (ms).
 */
export type CounterKey = "mdm_term" | "config_version" | "mapping_version" | "sdc_session" | "mdm_time_ms";

export function configValue(db: Database, key: ConfigKey): string | undefined {
  return db.get<{ value: string }>("SELECT value FROM cluster_config WHERE key = ?", key)?.value;
}

export function setConfigValue(db: Database, key: ConfigKey, value: string): void {
  upsert(db, key, value);
}

/** The counter's value, 0 before it was raised for the first time. */
export function counterValue(db: Database, key: CounterKey): number {
  return Number(db.get<{ value: string }>("SELECT value FROM cluster_config WHERE key = ?", key)?.value ?? 0);
}

/** Raises the counter by one and gives the new value. */
export function raiseCounter(db: Database, key: CounterKey): number {
  const next = counterValue(db, key) + 1;
  upsert(db, key, String(next));
  return next;
}

/** Sets the counter to `value`, which is not below the one it has. */
export function setCounter(db: Database, key: CounterKey, value: number): void {
  assert(value >= counterValue(db, key), `counter ${key} never goes back`);
  upsert(db, key, String(value));
}

function upsert(db: Database, key: string, value: string): void {
  db.run(
    "INSERT INTO cluster_config (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    key,
    value,
  );
}
