import { assertEquals } from "@std/assert";
import { countsOf, verdictOf } from "@/scripts/test_summary.ts";

Deno.test("countsOf() reads the closing line of deno test", async (t) => {
  const cases: [string, string, ReturnType<typeof countsOf>][] = [
    ["plain", "ok | 3 passed | 0 failed (8ms)\n", { passed: 3, failed: 0, ignored: 0 }],
    ["with steps", "ok | 4 passed (20 steps) | 0 failed (20ms)\n\n", { passed: 4, failed: 0, ignored: 0 }],
    ["failed steps", "FAILED | 1 passed (2 steps) | 2 failed (1 step) (1s)\n", { passed: 1, failed: 2, ignored: 0 }],
    ["ignored", "ok | 1 passed | 0 failed | 5 ignored (3ms)\n", { passed: 1, failed: 0, ignored: 5 }],
    ["in colour", "\u001b[0m\u001b[32mok\u001b[0m | 7 passed | 0 failed \u001b[0m(3ms)\n", {
      passed: 7,
      failed: 0,
      ignored: 0,
    }],
    ["a test that prints one too", "ok | 1 passed | 0 failed\nok | 9 passed | 0 failed (1s)\nerror\n", {
      passed: 9,
      failed: 0,
      ignored: 0,
    }],
    ["type error", "error: Type checking failed.\n", undefined],
  ];
  for (const [name, output, expected] of cases) {
    await t.step(name, () => assertEquals(countsOf(output), expected));
  }
});

Deno.test("verdictOf() fails a run that failed, broke off, or ran no test", () => {
  const none = { passed: 0, failed: 0, ignored: 0 };
  assertEquals(verdictOf([{ counts: { ...none, passed: 3 }, exitCode: 0 }]), {
    line: "3 passed, 0 failed",
    exitCode: 0,
  });
  assertEquals(verdictOf([{ counts: { ...none, passed: 3, failed: 2 }, exitCode: 1 }]), {
    line: "3 passed, 2 failed",
    exitCode: 1,
  });
  assertEquals(verdictOf([{ counts: { ...none, passed: 3 }, exitCode: 1 }]), {
    line: "3 passed, 1 failed",
    exitCode: 1,
  });
  assertEquals(verdictOf([{ counts: undefined, exitCode: 1 }]), { line: "0 passed, 1 failed", exitCode: 1 });
  assertEquals(verdictOf([{ counts: none, exitCode: 0 }]), { line: "0 passed, 1 failed", exitCode: 1 });
  assertEquals(verdictOf([{ counts: { passed: 2, failed: 0, ignored: 1 }, exitCode: 0 }]), {
    line: "2 passed, 0 failed, 1 skipped",
    exitCode: 0,
  });
  assertEquals(
    verdictOf([{ counts: { ...none, passed: 2, failed: 1 }, exitCode: 1 }, { counts: undefined, exitCode: 1 }]),
    { line: "2 passed, 2 failed", exitCode: 1 },
  );
  assertEquals(
    verdictOf([{ counts: { ...none, passed: 2 }, exitCode: 0 }, { counts: { ...none, passed: 3 }, exitCode: 0 }]),
    { line: "5 passed, 0 failed", exitCode: 0 },
  );
});
