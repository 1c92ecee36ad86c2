import { assertEquals } from "@std/assert";
import { type KnownStart, lockProvesDeath, registrationOf } from "@/mdm/core/device_registration.ts";

const start = (counter: number, rest: Partial<KnownStart> = {}): KnownStart => ({
  incarnation: { counter, random: "aa".repeat(8) },
  ...{ bootId: "boot", hostId: "host", inode: 7, lockSinceCounter: 1, confirmedHostId: null },
  ...rest,
});
const decide = (offered: KnownStart, known: KnownStart | undefined, silentMs = 0) => {
  const decision = registrationOf(offered, { known, silentMs, memberHeardMs: 5_000 });
  return decision.kind === "refused" ? decision.reason : [decision.restarted, decision.lockSinceCounter];
};

Deno.test("registrationOf() accepts the first start, the same again, and a higher one under the same lock", () => {
  assertEquals(decide(start(4), undefined), [true, 4]);
  assertEquals(decide(start(4), start(4)), [false, 1]);
  assertEquals(decide(start(5), start(4)), [true, 1]);
});

Deno.test("registrationOf() refuses a counter that is not above, unless both parts match", () => {
  assertEquals(decide(start(3), start(4), 99_000), "old_incarnation");
  const twin = { incarnation: { counter: 4, random: "bb".repeat(8) } };
  assertEquals(decide(start(4, twin), start(4), 99_000), "old_incarnation");
});

Deno.test("registrationOf() refuses a second live process; a silent one may have moved its directory", () => {
  assertEquals(decide(start(5, { inode: 8 }), start(4)), "second_live_registration");
  assertEquals(decide(start(5, { inode: 8 }), start(4), 5_000), [true, 5]);
});

Deno.test("registrationOf() wants an operator's word for another host", () => {
  assertEquals(decide(start(5, { hostId: "other" }), start(4), 99_000), "foreign_host");
  assertEquals(decide(start(5, { hostId: "other" }), start(4, { confirmedHostId: "other" }), 99_000), [true, 1]);
  const wrong = start(4, { confirmedHostId: "third" });
  assertEquals(decide(start(5, { hostId: "other" }), wrong, 99_000), "foreign_host");
});

Deno.test("lockProvesDeath() covers the starts since host and inode are the same", () => {
  assertEquals([3, 4, 5].map((counter) => lockProvesDeath(4, start(counter).incarnation)), [false, true, true]);
});
