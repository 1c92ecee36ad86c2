/**
 * Reads the closing line of `deno test`, for the runner in `scripts/run_tests.ts`.
 *
 * @module
 */

/** What one run of `deno test` counted. */
export interface TestCounts {
  readonly passed: number;
  readonly failed: number;
  /** Tests that were declared but not run. */
  readonly ignored: number;
}

// deno-lint-ignore no-control-regex -- terminal colours begin with the escape character
const TERMINAL_COLOUR = /\u001b\[[0-9;]*m/g;
const CLOSING_LINE =
  /^(?:ok|FAILED) \| (\d+) passed(?: \([^)]*\))? \| (\d+) failed(?: \([^)]*\))?(?: \| (\d+) ignored)?/;

/** The counts of the last closing line in `output`; undefined when the run did not come to one, as after a type error. */
export function countsOf(output: string): TestCounts | undefined {
  const lines = output.replace(TERMINAL_COLOUR, "").split("\n");
  const closing = lines.findLast((line) => CLOSING_LINE.test(line));
  const [, passed, failed, ignored] = closing?.match(CLOSING_LINE) ?? [];
  if (passed === undefined || failed === undefined) return undefined;
  return { passed: Number(passed), failed: Number(failed), ignored: Number(ignored ?? 0) };
}

/** How one `deno test` ended. */
export interface TestRun {
  /** Undefined when it did not come to its closing line. */
  readonly counts: TestCounts | undefined;
  readonly exitCode: number;
}

/** The verdict of all runs: the one plain line that ends them, and the exit code. A run without a test is a failure. */
export function verdictOf(runs: readonly TestRun[]): { readonly line: string; readonly exitCode: number } {
  const sum = { passed: 0, failed: 0, ignored: 0 };
  for (const run of runs) {
    const { passed = 0, failed = 0, ignored = 0 } = run.counts ?? {};
    const broken = run.exitCode !== 0 || passed + failed === 0;
    sum.passed += passed;
    sum.failed += broken ? Math.max(failed, 1) : failed;
    sum.ignored += ignored;
  }
  const skipped = sum.ignored > 0 ? `, ${sum.ignored} skipped` : "";
  return { line: `${sum.passed} passed, ${sum.failed} failed${skipped}`, exitCode: sum.failed > 0 ? 1 : 0 };
}
