/**
 * `deno task test [PATH…]`: runs the tests and ends with one plain line, `N passed, N failed`. Paths and options are handed on to
 * `deno test`. The tests get all permissions, for they start the roles, each under its own flags.
 *
 * Not named `test.ts`, which `deno test` would take for a test file and run in turn.
 *
 * @module
 */
import { countsOf, verdictOf } from "@/scripts/test_summary.ts";

/** Enough of the output's end to hold the closing line behind a long list of failures. */
const TAIL_CHARACTERS_MAX = 16_384;

const child = new Deno.Command(Deno.execPath(), {
  args: ["test", "--allow-all", "--quiet", ...Deno.args],
  stdin: "null",
  stdout: "piped",
  stderr: "inherit",
}).spawn();

let tail = "";
const decoder = new TextDecoder();
for await (const bytes of child.stdout) {
  await writeAll(bytes);
  tail = (tail + decoder.decode(bytes, { stream: true })).slice(-TAIL_CHARACTERS_MAX);
}
const status = await child.status;
const verdict = verdictOf({ counts: countsOf(tail), exitCode: status.code });
console.log(verdict.line);
Deno.exit(verdict.exitCode);

async function writeAll(bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    written += await Deno.stdout.write(bytes.subarray(written));
  }
}
