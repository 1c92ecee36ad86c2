/**
 * Secrets of the cluster, made at the first start. The cluster key never leaves the MDM; the config key is derived from it, node
 * keys are made at enrolment (`shared/auth.ts` has the table).
 *
 * @module
 */
import { configValue, setConfigValue } from "@/mdm/store/cluster_config.ts";
import type { Database } from "@/mdm/store/database.ts";
import { insertTokenKey, tokenKeys } from "@/mdm/store/token_keys.ts";
import { hmacHex } from "@/shared/api/pg.ts";
import type { TokenKey } from "@/shared/api/sds.ts";
import { assert } from "@/shared/errors.ts";
import { type Random, randomHex, randomUuid } from "@/shared/random.ts";

const KEY_BYTES = 32;
/** A new token key signs only after this age: by then every SDS that beats knows it. */
export const TOKEN_KEY_SETTLE_MS = 30_000;

/** What the MDM keeps to itself, but for the answers that hand out a part. */
export interface Secrets {
  readonly clusterId: string;
  readonly clusterName: string;
  readonly clusterKeyHex: string;
  readonly configKeyHex: string;
  readonly joinToken: string;
  readonly operatorToken: string;
}

/** Reads the secrets, making at the first start those that are missing. */
export function ensureSecrets(
  db: Database,
  options: { random: Random; nowMs: number; clusterName: string; joinToken: string | undefined },
): Secrets {
  const { random } = options;
  const kept = (key: Parameters<typeof configValue>[1], make: () => string) => {
    const known = configValue(db, key);
    if (known !== undefined) return known;
    const made = make();
    setConfigValue(db, key, made);
    return made;
  };
  return db.transaction(() => {
    const clusterKeyHex = kept("cluster_key", () => randomHex(random, KEY_BYTES));
    if (tokenKeys(db).length === 0) {
      insertTokenKey(db, { keyHex: randomHex(random, KEY_BYTES), createdAtMs: options.nowMs });
    }
    return {
      clusterId: kept("cluster_id", () => randomUuid(random)),
      clusterName: kept("cluster_name", () => options.clusterName),
      clusterKeyHex,
      configKeyHex: hmacHex(clusterKeyHex, "config-key"),
      joinToken: options.joinToken ?? kept("join_token", () => randomHex(random, KEY_BYTES)),
      operatorToken: kept("operator_token", () => randomHex(random, KEY_BYTES)),
    };
  });
}

/** A key for a process that enrols; two enrolments of one name get different keys. */
export function newNodeKeyHex(secrets: Secrets, options: { componentId: string; random: Random }): string {
  return hmacHex(secrets.clusterKeyHex, `node-key|${options.componentId}|${randomHex(options.random, KEY_BYTES)}`);
}

/** The key that signs tokens now: the newest that has settled, or the only one. */
export function signingKey(db: Database, nowMs: number): TokenKey {
  const keys = tokenKeys(db);
  const settled = keys.filter((key) => nowMs - key.createdAtMs >= TOKEN_KEY_SETTLE_MS).at(-1);
  const key = settled ?? keys[0];
  assert(key !== undefined, "there is a token key from the first start on");
  return { keyId: key.keyId, keyHex: key.keyHex };
}

/** Adds a token key when the newest is older than `lifeMs`; the one before stays valid until the next. */
export function rotateTokenKeys(db: Database, options: { random: Random; nowMs: number; lifeMs: number }): boolean {
  const newest = tokenKeys(db).at(-1);
  if (newest !== undefined && options.nowMs - newest.createdAtMs < options.lifeMs) return false;
  insertTokenKey(db, { keyHex: randomHex(options.random, KEY_BYTES), createdAtMs: options.nowMs });
  return true;
}
