import { assertEquals } from "@std/assert";
import { isRevokedAt } from "@/mdm/core/revocation.ts";

const TIMES = { graceMs: 5_000, tokenTtlMs: 60_000, mdmOutageGraceMs: 900_000 };
const silent = { answered: false, outsideForMs: undefined, silentMs: 100_000 };

Deno.test("isRevokedAt() needs an answer, grace outside the pool, or the full life of a token without contact", () => {
  assertEquals(isRevokedAt(silent, TIMES), false);
  assertEquals(isRevokedAt({ ...silent, answered: true }, TIMES), true);
  assertEquals(isRevokedAt({ ...silent, outsideForMs: 4_999 }, TIMES), false);
  assertEquals(isRevokedAt({ ...silent, outsideForMs: 5_000 }, TIMES), true);
  assertEquals(isRevokedAt({ ...silent, silentMs: 959_999 }, TIMES), false);
  assertEquals(isRevokedAt({ ...silent, silentMs: 960_000 }, TIMES), true);
});
