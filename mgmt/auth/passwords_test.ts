import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import {
  HASHINGS_MAX,
  HASHINGS_WAITING_MAX,
  oneTimePassword,
  PasswordHasher,
  passwordProblem,
} from "@/mgmt/auth/passwords.ts";
import { systemRandom } from "@/shared/random.ts";

const CHEAP = { logN: 4, r: 8, p: 1 };

Deno.test("PasswordHasher.matches() knows a password from its hash, however it is composed", async () => {
  const hasher = new PasswordHasher(systemRandom);
  const hash = await hasher.hash("café on the corner");
  assertMatch(hash, /^\$scrypt\$ln=15,r=8,p=3\$/);
  assertEquals(await hasher.matches("cafe\u0301 on the corner", hash), true, "Unicode forms are the same password");
  assertEquals(await hasher.matches("café on the Corner", hash), false);
});

Deno.test("PasswordHasher.matches() takes older costs and refuses broken and absent hashes", async () => {
  const hash = await new PasswordHasher(systemRandom, CHEAP).hash("secret words here");
  const hasher = new PasswordHasher(systemRandom, { logN: 5, r: 8, p: 1 });
  assertEquals(await hasher.matches("secret words here", hash), true);
  assertEquals(await hasher.matches("no such user", undefined), false, "not even the decoy's own password");
  assertEquals(await hasher.matches("x", "$scrypt$nonsense"), false);
});

Deno.test("PasswordHasher refuses more work than it lets wait", async () => {
  const hasher = new PasswordHasher(systemRandom, CHEAP);
  const taken = Array.from({ length: HASHINGS_MAX + HASHINGS_WAITING_MAX }, () => hasher.hash("some words here"));
  await assertRejects(() => hasher.hash("one too many"), Error, "too many sign-ins at once");
  assertEquals((await Promise.all(taken)).length, HASHINGS_MAX + HASHINGS_WAITING_MAX);
  assert(await hasher.hash("room again"));
});

Deno.test("passwordProblem() says what to change", () => {
  assertMatch(passwordProblem("short", "admin") ?? "", /^It has 5 characters; use at least 12/);
  assertEquals(passwordProblem("aaaaaaaaaaaaaaaa", "admin"), "It repeats too few different characters.");
  assertEquals(passwordProblem("Admin knows best", "admin"), "It contains the user name.");
  assertEquals(passwordProblem("x".repeat(200), "admin"), "It has more than 128 characters.");
  assertEquals(passwordProblem("four unrelated words", "admin"), undefined);
});

Deno.test("oneTimePassword() is readable and never the same", () => {
  const made = new Set(Array.from({ length: 50 }, () => oneTimePassword(systemRandom)));
  assertEquals(made.size, 50);
  for (const password of made) assertMatch(password, /^[a-hjkmnp-z2-9]{5}(-[a-hjkmnp-z2-9]{5}){3}$/);
});
