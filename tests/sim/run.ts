/**
 * `deno task sim`: runs seeds of the simulator and prints for each its verdict, the hash of its log and, if it found something,
 * the faults it went through. Equal seeds give equal hashes. Exit code 1 if any seed found a problem.
 *
 * | option | meaning |
 * | --- | --- |
 * | `--seed=N` | one seed |
 * | `--seeds=A..B` | many, in threads |
 * | `--state=FILE` | goes on where FILE says that an earlier run stopped, and keeps it up to date |
 * | `--without=GUARD,…` | switches guards of the protocol off: see `shared/guards.ts` |
 * | `--scenario=NAME` | the faults of a story instead of drawn ones: see `scenarios.ts` |
 * | `--verbose`, `--log` | prints the log of one seed; also what its processes log |
 *
 * @module
 */
import { parseArgs } from "node:util";
import { ALL_GUARDS, type GuardName } from "@/shared/guards.ts";
import { runSeed } from "@/tests/sim/run_seed.ts";
import { hasFailed, runRange } from "@/tests/sim/seed_range.ts";
import type { WorkerAnswer } from "@/tests/sim/seed_worker.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    seeds: { type: "string" },
    state: { type: "string" },
    without: { type: "string" },
    scenario: { type: "string" },
    verbose: { type: "boolean", default: false },
    log: { type: "boolean", default: false },
  },
});
const without = (values.without?.split(",") ?? []).map(guardNamed);
const { scenario } = values;
if (values.seeds === undefined) await runOne(Number(values.seed ?? "1"));
else await runMany(values.seeds);

async function runOne(seed: number): Promise<void> {
  const print = (line: string) => console.log(line);
  const startedMs = performance.now();
  const verdict = await runSeed({
    seed,
    without,
    scenario,
    print: values.verbose ? print : undefined,
    printLogs: values.log ? print : undefined,
  });
  const answer = { seed, verdict, error: "", tookMs: performance.now() - startedMs };
  tell(answer);
  if (hasFailed(answer)) Deno.exit(1);
}

async function runMany(range: string): Promise<void> {
  const [first = NaN, last = first] = range.split("..").map(Number);
  if (!(first <= last)) throw new Error(`Cannot run seeds ${range}: they are given as A..B`);
  const state = await runRange({ seeds: [first, last], without, scenario, stateFile: values.state, tell });
  const rate = state.simulatedMs / Math.max(1, state.realMs);
  console.log(
    `seeds ${first}..${last}: ${state.failedSeeds.length} found problems${
      state.failedSeeds.length > 0 ? ` (${state.failedSeeds})` : ""
    }; ${Math.round(state.simulatedMs / 1000)} s simulated, ${rate.toFixed(0)} per real second`,
  );
  if (state.failedSeeds.length > 0) Deno.exit(1);
}

function tell(answer: WorkerAnswer): void {
  const { seed, verdict, error, tookMs } = answer;
  if (verdict === undefined) return console.log(`seed ${seed} FAILED: ${error}`);
  const { hash, problems, answeredCount, eventCount, virtualMs } = verdict;
  const verdictText = problems.length === 0 ? "ok" : "FAILED";
  console.log(
    `seed ${seed} ${hash} ${verdictText}: ${answeredCount} requests, ${eventCount} events, ` +
      `${(virtualMs / 1000).toFixed(0)} s simulated in ${(tookMs / 1000).toFixed(1)} s`,
  );
  if (problems.length === 0 && !values.verbose) return;
  for (const fault of verdict.plan) console.log(`  fault ${JSON.stringify(fault)}`);
  for (const problem of problems) console.log(`  ${problem}`);
}

function guardNamed(name: string): GuardName {
  if (!Object.hasOwn(ALL_GUARDS, name)) {
    throw new Error(`Cannot switch off ${name}: the guards are ${Object.keys(ALL_GUARDS).join(", ")}`);
  }
  return name as GuardName; // just checked
}
