import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { MdmTime, PERSISTED_AHEAD_MS } from "@/mdm/mdm_time.ts";
import { ensureSecrets, newNodeKeyHex, rotateTokenKeys, signingKey, TOKEN_KEY_SETTLE_MS } from "@/mdm/secrets.ts";
import { preparedDatabase } from "@/mdm/store/database.ts";
import { tokenKeys } from "@/mdm/store/token_keys.ts";
import { systemRandom as random } from "@/shared/random.ts";
import { FakeClock } from "@/tests/support/fake_clock.ts";

const options = { random, nowMs: 1_000_000, clusterName: "c", joinToken: undefined };

Deno.test("ensureSecrets() makes secrets once and keeps them", () => {
  const db = preparedDatabase(new DatabaseSync(":memory:"));
  const first = ensureSecrets(db, options);
  assertEquals(ensureSecrets(db, { ...options, clusterName: "other" }), first);
  assertEquals([first.clusterKeyHex.length, first.joinToken.length, first.operatorToken.length], [64, 64, 64]);
  assertEquals(ensureSecrets(db, { ...options, joinToken: "given" }).joinToken, "given");
  const keys = [1, 2].map(() => newNodeKeyHex(first, { componentId: "sds-1", random }));
  assertNotEquals(keys[0], keys[1]);
  db.close();
});

Deno.test("rotateTokenKeys() keeps two keys valid; a new one signs once it has settled", () => {
  const db = preparedDatabase(new DatabaseSync(":memory:"));
  ensureSecrets(db, options);
  const rotate = (nowMs: number) => rotateTokenKeys(db, { random, nowMs, lifeMs: 100_000 });
  assertEquals(rotate(1_099_999), false);
  assertEquals(signingKey(db, 1_000_000).keyId, 1, "the first key signs at once");
  assert(rotate(1_100_000));
  assertEquals(tokenKeys(db).map((key) => key.keyId), [1, 2]);
  assertEquals(signingKey(db, 1_100_000 + TOKEN_KEY_SETTLE_MS - 1).keyId, 1);
  assertEquals(signingKey(db, 1_100_000 + TOKEN_KEY_SETTLE_MS).keyId, 2);
  assert(rotate(1_200_000));
  assertEquals(tokenKeys(db).map((key) => key.keyId), [2, 3]);
  db.close();
});

Deno.test("MdmTime never goes back, over restarts and jumps of the wall clock", async () => {
  const db = preparedDatabase(new DatabaseSync(":memory:"));
  const clock = new FakeClock({ wallMs: 1_000_000 });
  const time = new MdmTime(db, clock);
  assertEquals(time.nowMs(), 1_000_000);
  await clock.advance(25_000);
  const last = time.nowMs();
  assertEquals(last, 1_025_000);
  const past = new MdmTime(db, new FakeClock({ wallMs: 5 }));
  assert(past.nowMs() >= last, "a wall clock that went back does not matter");
  assert(past.nowMs() <= last + PERSISTED_AHEAD_MS);
  assertEquals(new MdmTime(db, new FakeClock({ wallMs: 9_000_000 })).nowMs(), 9_000_000);
  db.close();
});
