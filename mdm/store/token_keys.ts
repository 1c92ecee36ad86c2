/**
 * `token_keys`: keys of IO tokens. At most two are valid at a time (replication design, section 6.2).
 *
 * @module
 */
import type { TokenKey } from "@/shared/api/sds.ts";
import type { Database } from "@/mdm/store/database.ts";

/** Keys that are valid now; tokens are signed with the last. */
export const TOKEN_KEYS_VALID_MAX = 2;

/** The valid keys, oldest first. */
export function tokenKeys(db: Database): (TokenKey & { readonly createdAtMs: number })[] {
  return db.all(
    "SELECT key_id AS keyId, key_hex AS keyHex, created_at_ms AS createdAtMs FROM token_keys ORDER BY key_id",
  );
}

/** Adds a key and forgets the oldest above {@linkcode TOKEN_KEYS_VALID_MAX}. */
export function insertTokenKey(db: Database, key: { keyHex: string; createdAtMs: number }): void {
  const last = db.get<{ keyId: number | null }>("SELECT MAX(key_id) AS keyId FROM token_keys")?.keyId ?? 0;
  db.run(
    "INSERT INTO token_keys (key_id, key_hex, created_at_ms) VALUES (?, ?, ?)",
    last + 1,
    key.keyHex,
    Math.floor(key.createdAtMs),
  );
  db.run("DELETE FROM token_keys WHERE key_id <= ?", last + 1 - TOKEN_KEYS_VALID_MAX);
}
