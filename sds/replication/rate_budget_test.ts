import { assert, assertEquals } from "@std/assert";
import { RateBudget } from "@/sds/replication/rate_budget.ts";
import { FakeClock } from "@/tests/support/fake_clock.ts";

const MIB = 2 ** 20;

/** Three copiers that take 1 MiB at a time until `copiers.end`; `taken` counts. */
function copiers(budget: RateBudget) {
  const stop = new AbortController();
  const state = { taken: 0, end: () => stop.abort() };
  const run = async () => {
    while (!stop.signal.aborted) {
      await budget.take(MIB, stop.signal);
      if (!stop.signal.aborted) state.taken++;
    }
  };
  const ended = Promise.all([run(), run(), run()]);
  return { state, ended };
}

/** Lets `durationMs` pass in small steps, with everything that follows from each. */
async function pass(clock: FakeClock, durationMs: number): Promise<void> {
  for (let passedMs = 0; passedMs < durationMs; passedMs += 10) {
    await clock.advance(10);
  }
}

Deno.test("RateBudget keeps to the rate within a tenth, changes it within a second, and stands still at 0", async () => {
  const clock = new FakeClock();
  const budget = new RateBudget(clock, 20 * MIB);
  const { state, ended } = copiers(budget);
  await pass(clock, 10_000);
  assert(state.taken >= 180 && state.taken <= 220, `${state.taken} MiB in 10 s at 20 MiB/s`);
  budget.set(5 * MIB);
  await pass(clock, 1_000);
  let before = state.taken;
  await pass(clock, 10_000);
  assert(state.taken - before >= 45 && state.taken - before <= 55, `${state.taken - before} MiB in 10 s at 5 MiB/s`);
  budget.set(0);
  await pass(clock, 500);
  before = state.taken;
  await pass(clock, 5_000);
  assertEquals(state.taken, before);
  budget.set(100 * MIB);
  await pass(clock, 1_000);
  assert(state.taken - before > 50, "it goes on at once");
  state.end();
  await pass(clock, 200);
  await ended;
});
