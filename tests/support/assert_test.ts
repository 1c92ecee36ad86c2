import {
  assert,
  assertAlmostEquals,
  assertArrayIncludes,
  assertEquals,
  assertExists,
  assertFalse,
  assertGreater,
  assertGreaterOrEqual,
  assertInstanceOf,
  AssertionError,
  assertLess,
  assertLessOrEqual,
  assertMatch,
  assertNotEquals,
  assertNotMatch,
  assertNotStrictEquals,
  assertObjectMatch,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
  fail,
  unreachable,
} from "@std/assert";

/** Every assertion once satisfied and once not. */
const PAIRS: Record<string, { holds: () => void; fails: () => void }> = {
  assert: { holds: () => assert(1), fails: () => assert(0) },
  assertFalse: { holds: () => assertFalse(0), fails: () => assertFalse(1) },
  assertEquals: {
    holds: () => assertEquals({ a: [1, new Uint8Array([2])] }, { a: [1, new Uint8Array([2])] }),
    fails: () => assertEquals({ a: [1] }, { a: [2] }),
  },
  assertNotEquals: { holds: () => assertNotEquals([1], [2]), fails: () => assertNotEquals([1], [1]) },
  assertStrictEquals: { holds: () => assertStrictEquals(1, 1), fails: () => assertStrictEquals<unknown>([], []) },
  assertNotStrictEquals: { holds: () => assertNotStrictEquals([], []), fails: () => assertNotStrictEquals(1, 1) },
  assertExists: { holds: () => assertExists(0), fails: () => assertExists(null) },
  assertInstanceOf: {
    holds: () => assertInstanceOf(new TypeError(), Error),
    fails: () => assertInstanceOf(new Error(), TypeError),
  },
  assertMatch: { holds: () => assertMatch("abc", /b/), fails: () => assertMatch("abc", /d/) },
  assertNotMatch: { holds: () => assertNotMatch("abc", /d/), fails: () => assertNotMatch("abc", /b/) },
  assertStringIncludes: {
    holds: () => assertStringIncludes("abc", "bc"),
    fails: () => assertStringIncludes("abc", "cb"),
  },
  assertArrayIncludes: {
    holds: () => assertArrayIncludes([{ a: 1 }, { a: 2 }], [{ a: 2 }]),
    fails: () => assertArrayIncludes([1, 2], [3]),
  },
  assertObjectMatch: {
    holds: () => assertObjectMatch({ a: 1, b: { c: 2, d: 3 } }, { b: { c: 2 } }),
    fails: () => assertObjectMatch({ a: 1 }, { a: 1, b: 2 }),
  },
  assertAlmostEquals: { holds: () => assertAlmostEquals(1, 1.01, 0.02), fails: () => assertAlmostEquals(1, 1.01) },
  assertGreater: { holds: () => assertGreater(2, 1), fails: () => assertGreater(1, 1) },
  assertGreaterOrEqual: { holds: () => assertGreaterOrEqual(1, 1), fails: () => assertGreaterOrEqual(0, 1) },
  assertLess: { holds: () => assertLess(1, 2), fails: () => assertLess(1, 1) },
  assertLessOrEqual: { holds: () => assertLessOrEqual(1, 1), fails: () => assertLessOrEqual(2, 1) },
  fail: { holds: () => {}, fails: () => fail() },
  unreachable: { holds: () => {}, fails: () => unreachable() },
};

Deno.test("assert module: each assertion passes what holds and throws AssertionError for what does not", async (t) => {
  for (const [name, pair] of Object.entries(PAIRS)) {
    await t.step(name, () => {
      pair.holds();
      try {
        pair.fails();
      } catch (error) {
        if (error instanceof AssertionError) return;
        throw error;
      }
      throw new Error(`${name} let a false statement pass`);
    });
  }
});

Deno.test("assertEquals() puts the caller's message before the difference", () => {
  const error = assertThrows(() => assertEquals(1, 2, "the answer"), AssertionError);
  assertMatch(error.message, /^the answer\n[\s\S]*1[\s\S]*2/);
});

Deno.test("assertThrows() gives the error, and fails for silence, another class and another message", () => {
  const thrower = () => {
    throw new TypeError("no such volume");
  };
  assertEquals(assertThrows(thrower, TypeError, "volume").message, "no such volume");
  assertInstanceOf(assertThrows(thrower), TypeError);
  for (
    const wrong of [
      () => assertThrows(() => {}),
      () => assertThrows(thrower, RangeError),
      () => assertThrows(thrower, TypeError, "pool"),
    ]
  ) {
    assertEquals(failed(wrong), true);
  }
});

Deno.test("assertRejects() gives the reason, and fails for success, another class and a synchronous throw", async () => {
  const rejects = () => Promise.reject(new TypeError("no such pool"));
  assertEquals((await assertRejects(rejects, TypeError, "pool")).message, "no such pool");
  for (
    const wrong of [
      () => assertRejects(() => Promise.resolve()),
      () => assertRejects(rejects, RangeError),
      () =>
        assertRejects(() => {
          throw new TypeError("no such pool");
        }, TypeError),
    ]
  ) {
    const outcome = await wrong().then(() => "passed", (error) => error);
    assertInstanceOf(outcome, AssertionError);
  }
});

function failed(check: () => unknown): boolean {
  try {
    check();
    return false;
  } catch (error) {
    return error instanceof AssertionError;
  }
}
