import { assert, assertEquals } from "@std/assert";
import { activationOf, afterActivation, type MemberFacts, type RestartFacts } from "@/mdm/core/activation.ts";
import type { PgRecord } from "@/mdm/core/placement_groups.ts";
import type { PgMember } from "@/shared/api/pg.ts";
import { asId, type DeviceId, type Epoch } from "@/shared/ids.ts";

const TIMES = { memberHeardMs: 5_000, graceMs: 5_000, coldWaitMs: 60_000 };

function member(id: number, counter: number, bootId = "boot"): PgMember {
  return { deviceId: asId(id), sdsId: asId(id), incarnation: { counter, random: "00".repeat(8) }, bootId };
}

function group(members: PgMember[]): PgRecord {
  return {
    ...{ pgId: asId(1), poolId: asId(1), pgIndex: 0, pgCount: 4, copies: 2, epoch: asId<Epoch>(7), mdmTerm: 1 },
    ...{ lossGeneration: 3, fresh: false, syncWrites: false, members, departed: [], target: [] },
  };
}

/** Restarted on the same boot, synced, usable, with a complete copy, registered just now. */
function restarted(id: number, rest: Partial<RestartFacts> & { bootId?: string } = {}): MemberFacts {
  const { bootId = "boot", ...restart } = rest;
  return {
    healthy: true,
    silentMs: 1_000,
    restart: {
      ...{ member: member(id, 2, bootId), registeredForMs: 0, provesDeath: true, stoppedCleanly: false },
      ...{ synced: true, usable: true, complete: true },
      ...restart,
    },
  };
}

const silent: MemberFacts = { healthy: true, silentMs: 6_000, restart: undefined };
const heard: MemberFacts = { healthy: true, silentMs: 1_000, restart: undefined };
const failed: MemberFacts = { healthy: false, silentMs: 1_000, restart: undefined };
const both = group([member(1, 1), member(2, 1)]);
const alone = group([member(1, 1)]);
const decide = (pg: PgRecord, ...facts: MemberFacts[]) => {
  const decision = activationOf(pg, {
    facts: new Map(pg.members.map((each, index) => [each.deviceId, facts[index]!])),
    times: TIMES,
  });
  return decision.kind === "wait" ? decision.reason : [decision.member.deviceId as number, decision.unflushedLost];
};

Deno.test("activationOf() waits while a healthy member was heard under its listed start", () => {
  assertEquals(decide(both, restarted(1), heard), "a_member_lives");
  assertEquals(decide(both, restarted(1, { registeredForMs: 99_000 }), heard), "a_member_lives");
  assertEquals(decide(both, silent, silent), "no_candidate");
});

Deno.test("activationOf() takes a continuous candidate at once when all have restarted, else after grace", () => {
  assertEquals(decide(both, restarted(1), restarted(2)), [1, false]);
  assertEquals(decide(both, restarted(1), silent), "grace");
  assertEquals(decide(both, restarted(1, { registeredForMs: 5_000 }), silent), [1, false]);
  assertEquals(decide(both, restarted(1, { provesDeath: false }), restarted(2)), "grace");
  assertEquals(decide(both, restarted(1), failed), [1, false]);
});

Deno.test("activationOf() takes the only member at once, without proof only with an operator's word", () => {
  assertEquals(decide(alone, restarted(1)), [1, false]);
  assertEquals(decide(alone, restarted(1, { bootId: "other" })), [1, true]);
  assertEquals(decide(alone, restarted(1, { provesDeath: false, registeredForMs: 99_000 })), "confirmation");
});

Deno.test("activationOf() prefers whoever has every acknowledged write", async (t) => {
  const cold = { bootId: "other" };
  await t.step("the continuous one of two", () => {
    assertEquals(decide(both, restarted(1, cold), restarted(2)), [2, false]);
  });
  await t.step("a clean stop counts as continuous, an unsynced start does not", () => {
    assertEquals(decide(both, restarted(1, cold), restarted(2, { ...cold, stoppedCleanly: true })), [2, false]);
    assertEquals(decide(both, restarted(1, { synced: false }), restarted(2)), [2, false]);
  });
  await t.step("a discontinuous one waits for a member that may come back, at most coldWaitMs", () => {
    assertEquals(decide(both, restarted(1, { ...cold, registeredForMs: 59_000 }), silent), "cold_wait");
    assertEquals(decide(both, restarted(1, { ...cold, registeredForMs: 60_000 }), silent), [1, true]);
  });
  await t.step("and for one that restarted continuously but has not registered with this MDM", () => {
    const unknown = restarted(2, { usable: false, complete: false });
    assertEquals(decide(both, restarted(1, { ...cold, registeredForMs: 9_000 }), unknown), "cold_wait");
  });
  await t.step("two discontinuous ones have nobody to wait for", () => {
    assertEquals(decide(both, restarted(1, cold), restarted(2, cold)), [1, true]);
  });
});

Deno.test("activationOf() never takes an incomplete copy, a failed device or one that is away", () => {
  assertEquals(decide(both, restarted(1, { complete: false }), restarted(2)), [2, false]);
  assertEquals(decide(alone, restarted(1, { complete: false })), "no_candidate");
  assertEquals(decide(alone, restarted(1, { usable: false })), "no_candidate");
  assertEquals(decide(alone, { ...restarted(1), healthy: false }), "no_candidate");
});

Deno.test("afterActivation() leaves the candidate alone, one epoch later, the others departed", () => {
  const facts = { mdmTerm: 2, nowMs: 9, hasFailed: () => false };
  const next = afterActivation(both, { member: member(2, 2), unflushedLost: true, facts });
  assertEquals([next.epoch, next.members, next.lossGeneration, next.mdmTerm], [asId<Epoch>(8), [member(2, 2)], 4, 2]);
  assertEquals(next.departed, [{ deviceId: asId<DeviceId>(1), lastEpoch: asId<Epoch>(7), sinceMs: 9 }]);
  assert(!afterActivation(both, { member: member(2, 2), unflushedLost: false, facts }).members.includes(member(1, 1)));
});
