/**
 * `deno task sim --seed=N`, `--seeds=A..B`, `--verbose`: runs seeds of the simulator and prints for each its verdict, the hash of
 * its log and the faults it went through. Equal seeds give equal hashes. Exit code 1 if any seed found a problem.
 *
 * `--verbose` prints the log of the run; with `--log` also what the processes log.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { runSeed, type Verdict } from "@/tests/sim/run_seed.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    seeds: { type: "string" },
    verbose: { type: "boolean", default: false },
    log: { type: "boolean", default: false },
  },
});
const print = (line: string) => console.log(line);

let failedCount = 0;
for (const seed of seedsWanted()) {
  const startedMs = performance.now();
  const verdict = await runSeed({
    seed,
    print: values.verbose ? print : undefined,
    printLogs: values.log ? print : undefined,
  });
  tell(verdict, performance.now() - startedMs);
  if (verdict.problems.length > 0) failedCount++;
}
if (failedCount > 0) {
  console.log(`${failedCount} seeds found problems`);
  Deno.exit(1);
}

function* seedsWanted(): Generator<number> {
  const [from = values.seed ?? "1", to = from] = values.seeds?.split("..") ?? [];
  for (let seed = Number(from); seed <= Number(to); seed++) yield seed;
}

function tell(verdict: Verdict, tookMs: number): void {
  const { seed, hash, problems, answeredCount, eventCount, virtualMs } = verdict;
  const verdictText = problems.length === 0 ? "ok" : "FAILED";
  console.log(
    `seed ${seed} ${hash} ${verdictText}: ${answeredCount} requests, ${eventCount} events, ` +
      `${(virtualMs / 1000).toFixed(0)} s simulated in ${(tookMs / 1000).toFixed(1)} s`,
  );
  if (problems.length === 0 && !values.verbose) return;
  for (const fault of verdict.plan) console.log(`  fault ${JSON.stringify(fault)}`);
  for (const problem of problems) console.log(`  ${problem}`);
}
