import { assertEquals } from "@std/assert";
import { runSeed } from "@/tests/sim/run_seed.ts";

const FIRST_SEEDS = Array.from({ length: 50 }, (_, index) => index + 1);
/** Seeds beyond them that found something once. */
const FOUND_SEEDS = [80, 119, 193, 241, 256, 1053];

/** `deno task sim --seed=N --verbose --log` tells the whole story of one. */
for (const seed of [...FIRST_SEEDS, ...FOUND_SEEDS]) {
  Deno.test(`scenario: simulated cluster under seed ${seed}`, async () => {
    const { problems, plan } = await runSeed({ seed });
    assertEquals(problems, [], `deno task sim --seed=${seed}; faults: ${JSON.stringify(plan)}`);
  });
}

Deno.test("runSeed() gives equal runs for equal seeds, to the byte on the wire", async () => {
  const { hash, eventCount } = await runSeed({ seed: 4 });
  const again = await runSeed({ seed: 4 });
  assertEquals({ hash: again.hash, eventCount: again.eventCount }, { hash, eventCount });
});
