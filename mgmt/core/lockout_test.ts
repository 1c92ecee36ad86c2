import { assertEquals } from "@std/assert";
import {
  afterFailure,
  type Failures,
  FORGET_AFTER_MS,
  FREE_FAILURES,
  LOCK_MS_MAX,
  LOCK_MS_MIN,
  lockedForMs,
} from "@/mgmt/core/lockout.ts";

const NEVER: Failures = { count: 0, lastAtMs: 0 };

function failed(count: number, atMs = 1_000_000): Failures {
  let failures: Failures = NEVER;
  for (let index = 0; index < count; index++) failures = afterFailure(failures, atMs);
  return failures;
}

Deno.test("lockedForMs() lets five failures pass, then doubles up to the limit", () => {
  const locks = [FREE_FAILURES - 1, FREE_FAILURES, FREE_FAILURES + 1, FREE_FAILURES + 2, 60]
    .map((count) => lockedForMs(failed(count), 1_000_000));
  assertEquals(locks, [0, LOCK_MS_MIN, 2 * LOCK_MS_MIN, 4 * LOCK_MS_MIN, LOCK_MS_MAX]);
});

Deno.test("lockedForMs() ends with time, and is not stretched by a clock that goes back", () => {
  const failures = failed(FREE_FAILURES);
  assertEquals(lockedForMs(failures, 1_000_000 + LOCK_MS_MIN - 1), 1);
  assertEquals(lockedForMs(failures, 1_000_000 + LOCK_MS_MIN), 0);
  assertEquals(lockedForMs(failures, 0), LOCK_MS_MIN);
});

Deno.test("afterFailure() forgets failures after a quiet hour", () => {
  const failures = failed(FREE_FAILURES + 3);
  assertEquals(afterFailure(failures, 1_000_000 + FORGET_AFTER_MS).count, 1);
  assertEquals(afterFailure(failures, 1_000_000 + FORGET_AFTER_MS - 1).count, FREE_FAILURES + 4);
});
