/** Each guard of the protocol is switched off in turn: the checks of the simulator must see it. The table is in `docs/failure_model.md`. */
import { assert, assertEquals } from "@std/assert";
import { ALL_GUARDS, type GuardName } from "@/shared/guards.ts";
import { runSeed } from "@/tests/sim/run_seed.ts";

/** Seeds that are tried, beside the one that is known, when a change of the code has made other runs of them. */
const SEEDS_MAX = 40;

interface GuardCase {
  readonly without: readonly GuardName[];
  /** Story; drawn faults without it. */
  readonly scenario?: string;
  /** Where it showed last. */
  readonly seed: number;
}

const CASES: readonly GuardCase[] = [
  { without: ["lease"], scenario: "lone_primary", seed: 120 },
  { without: ["leaseLapse"], seed: 5 },
  { without: ["grace"], seed: 1 },
  { without: ["commitRule"], seed: 3 },
  { without: ["readLock"], scenario: "waiting_writes", seed: 4 },
  { without: ["intentFirst"], scenario: "unforwarded", seed: 2 },
  { without: ["clearAtFullCopies"], scenario: "come_and_go", seed: 8 },
  { without: ["joinerCounts"], scenario: "unanswered_join", seed: 1 },
  { without: ["syncBeforeMember"], scenario: "power_after_join", seed: 5 },
  { without: ["replicationEpoch"], scenario: "lone_primary", seed: 1 },
  { without: ["replicationEpoch", "linkDrain"], scenario: "late_replication", seed: 3 },
  { without: ["clientEpoch", "lanes"], scenario: "late_client", seed: 1 },
  { without: ["lanes"], scenario: "late_lane", seed: 2 },
  { without: ["newStartLeaves"], scenario: "unforwarded", seed: 1 },
  { without: ["unverifiedChunks"], scenario: "come_and_go", seed: 4 },
  { without: ["syncBeforeClean"], scenario: "dark_after_stop", seed: 1 },
  { without: ["flushVerifier"], scenario: "dark", seed: 1 },
  { without: ["flushMembers"], scenario: "dark_without_one", seed: 3 },
  { without: ["continuity"], scenario: "dark", seed: 1 },
  { without: ["epochAhead"], scenario: "rollback", seed: 11 },
];

/**
 * Guards that others stand behind: without one of them alone nothing wrong was seen in 40 seeds of any story that fits. Unit tests
 * beside the code and the model hold them.
 */
const COVERED_BY_OTHERS: readonly GuardName[] = [
  "clearWithoutJoin",
  "clearNumber",
  "joinerSyncs",
  "joinSessions",
  "completeCopies",
  "epochCompare",
  "activateSilent",
];

/** What a run found, or that it threw: an assertion of the product that breaks is a finding too. */
async function findingOf(seed: number, options: Omit<GuardCase, "seed">): Promise<string | undefined> {
  try {
    const { problems } = await runSeed({ seed, ...options });
    return problems[0];
  } catch (error) {
    return String(error);
  }
}

for (const { without, scenario, seed: known } of CASES) {
  const story = scenario ?? "drawn faults";
  Deno.test(`scenario: ${story} without ${without.join(" and ")} is found out`, async () => {
    const seeds = [known, ...Array.from({ length: SEEDS_MAX }, (_, index) => index + 1)];
    for (const seed of seeds) {
      const options = { without, ...(scenario !== undefined && { scenario }) };
      if (await findingOf(seed, options) === undefined) continue;
      assertEquals(
        await findingOf(seed, { ...options, without: [] }),
        undefined,
        "with all guards on, nothing is found",
      );
      return;
    }
    assert(false, `one of ${seeds.length} seeds of ${story} finds that ${without} is missing`);
  });
}

Deno.test("ALL_GUARDS are each found missing, or known to be covered by others, and docs/failure_model.md names them", () => {
  const covered = new Set([...CASES.flatMap(({ without }) => without), ...COVERED_BY_OTHERS]);
  assertEquals([...covered].sort(), Object.keys(ALL_GUARDS).sort());
  const text = Deno.readTextFileSync(new URL("../../docs/failure_model.md", import.meta.url));
  for (const guard of covered) assert(text.includes(`\`${guard}\``), `the table has ${guard}`);
});
