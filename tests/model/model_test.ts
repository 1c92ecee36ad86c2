import { assert, assertEquals } from "@std/assert";
import { search, walk } from "@/tests/model/explore.ts";
import { type Guard, GUARDS } from "@/tests/model/guards.ts";
import { MANY_FAULTS, MUTATIONS } from "@/tests/model/mutations.ts";

const KEPT: ReadonlySet<Guard> = new Set();

Deno.test("search() visits every state of one crash, one restart, one join and two changes, and finds no violation", () => {
  const budgets = { crashes: 1, restarts: 1, reopenings: 0, joins: 1, handOvers: 0, resends: [0, 0] };
  const exploration = { budgets, epochMax: 2, without: KEPT, twoSdcs: false, powerLoss: false };
  const { trace, isComplete, stateCount } = search(exploration, { statesMax: 1_000_000 });
  assertEquals(trace, undefined);
  assert(isComplete, `the search stopped at ${stateCount} states`);
});

for (const powerLoss of [false, true]) {
  for (const twoSdcs of [false, true]) {
    const loss = powerLoss ? "power losses" : "crashes";
    Deno.test(`walk() meets ${loss}, joins and handovers with ${twoSdcs ? 2 : 1} SDC, and finds no violation`, () => {
      const exploration = { budgets: MANY_FAULTS, epochMax: 6, without: KEPT, twoSdcs, powerLoss };
      const { trace } = walk(exploration, { walkCount: 5000, depthMax: 120, seed: 1 });
      assertEquals(trace, undefined);
    });
  }
}

for (const [name, rule] of Object.entries(GUARDS)) {
  const guard = name as Guard; // the keys of GUARDS are what Guard is made of
  Deno.test(`search() or walk() finds a violation without ${guard}: ${rule}`, () => {
    const { exploration, walkCount } = MUTATIONS[guard];
    const mutated = { ...exploration, without: new Set([guard]) };
    const finding = walkCount === undefined
      ? search(mutated, { statesMax: 400_000 })
      : walk(mutated, { walkCount, depthMax: 120, seed: 1 });
    assert(finding.trace !== undefined, `nothing found in ${finding.stateCount} states, depth ${finding.depth}`);
  });
}
