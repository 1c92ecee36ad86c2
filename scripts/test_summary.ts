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

/** The run's verdict: the one plain line that ends it, and the exit code. A run without a test is a failure. */
export function verdictOf(run: { readonly counts: TestCounts | undefined; readonly exitCode: number }): {
  readonly line: string;
  readonly exitCode: number;
} {
  const { passed = 0, failed = 0, ignored = 0 } = run.counts ?? {};
  const executed = passed + failed;
  const broken = run.exitCode !== 0 || executed === 0;
  const shownFailed = broken ? Math.max(failed, 1) : failed;
  const skipped = ignored > 0 ? `, ${ignored} skipped` : "";
  return { line: `${passed} passed, ${shownFailed} failed${skipped}`, exitCode: broken ? 1 : 0 };
}
