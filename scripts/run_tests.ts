/**
 * `deno task test [PATH…]`: runs the tests and ends with one plain line, `N passed, N failed`. Paths and options are handed on to
 * `deno test`. The tests get all permissions, for they start the roles, each under its own flags.
 *
 * Without paths everything runs, in two processes side by side: the simulator and the model compute on one core and touch neither
 * network nor disk, the others mostly wait for clusters. What the first ones print comes when the others are done.
 *
 * Not named `test.ts`, which `deno test` would take for a test file and run in turn.
 *
 * @module
 */
import { countsOf, type TestRun, verdictOf } from "@/scripts/test_summary.ts";

/** Tests that only compute. */
const COMPUTING = ["tests/sim", "tests/model"];
/** Enough of the output's end to hold the closing line behind a long list of failures. */
const TAIL_CHARACTERS_MAX = 16_384;

const verdict = verdictOf(Deno.args.length > 0 ? [await run(Deno.args)] : await runEverything());
console.log(verdict.line);
Deno.exit(verdict.exitCode);

async function runEverything(): Promise<TestRun[]> {
  const held: Uint8Array[] = [];
  const computing = run(COMPUTING, (bytes) => Promise.resolve(void held.push(bytes)));
  const others = await run([`--ignore=${COMPUTING.join(",")}`]);
  const computed = await computing;
  for (const bytes of held) await writeAll(bytes);
  return [others, computed];
}

/** One `deno test`, whose output goes to `write`. */
async function run(args: readonly string[], write = writeAll): Promise<TestRun> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", "--allow-all", "--quiet", ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let tail = "";
  const decoder = new TextDecoder();
  for await (const bytes of child.stdout) {
    await write(bytes);
    tail = (tail + decoder.decode(bytes, { stream: true })).slice(-TAIL_CHARACTERS_MAX);
  }
  const { code } = await child.status;
  return { counts: countsOf(tail), exitCode: code };
}

async function writeAll(bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    written += await Deno.stdout.write(bytes.subarray(written));
  }
}
