import { assertEquals } from "@std/assert";
import { runSeed } from "@/tests/sim/run_seed.ts";
import { SCENARIOS } from "@/tests/sim/scenarios.ts";
import { hasFailed, runRange } from "@/tests/sim/seed_range.ts";
import type { WorkerAnswer } from "@/tests/sim/seed_worker.ts";

/** Seeds that run every time. */
const SEEDS = [1, 200] as const;
/** Seeds beyond them that found something once. */
const FOUND_SEEDS = [241, 256, 292, 587, 1053, 2149, 10_584, 10_807, 20_097, 40_273, 51_177];
/** Of each story. */
const STORY_SEEDS = [1, 2] as const;

/** Runs seeds in threads; `deno task sim --seed=N --verbose --log` tells the whole story of one. */
async function verdictOf(seeds: readonly [number, number], scenario?: string): Promise<void> {
  const failed: string[] = [];
  const tell = (answer: WorkerAnswer) => {
    if (hasFailed(answer)) failed.push(`seed ${answer.seed}: ${answer.error}${answer.verdict?.problems.join("\n")}`);
  };
  const state = await runRange({ seeds, without: [], scenario, stateFile: undefined, tell });
  const rate = Math.round(state.simulatedMs / state.realMs);
  const seconds = Math.round(state.simulatedMs / 1_000);
  console.log(`${seeds[1] - seeds[0] + 1} seeds, ${seconds} s simulated, ${rate} per real second`);
  assertEquals(failed, []);
}

Deno.test(`scenario: simulated clusters under seeds ${SEEDS.join("..")}`, () => verdictOf(SEEDS));

for (const seed of FOUND_SEEDS) {
  Deno.test(`scenario: simulated cluster under seed ${seed}`, () => verdictOf([seed, seed]));
}

for (const scenario of Object.keys(SCENARIOS)) {
  Deno.test(`scenario: ${scenario}, seeds ${STORY_SEEDS.join("..")}`, () => verdictOf(STORY_SEEDS, scenario));
}

Deno.test("runSeed() gives equal runs for equal seeds, to the byte on the wire", async () => {
  const { hash, eventCount } = await runSeed({ seed: 4 });
  const again = await runSeed({ seed: 4 });
  assertEquals({ hash: again.hash, eventCount: again.eventCount }, { hash, eventCount });
});
