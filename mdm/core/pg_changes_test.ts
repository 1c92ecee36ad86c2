import { assert, assertEquals } from "@std/assert";
import { afterChange, type Asker, type ChangeFacts } from "@/mdm/core/pg_changes.ts";
import type { PgRecord } from "@/mdm/core/placement_groups.ts";
import type { PgChange, PgMember } from "@/shared/api/pg.ts";
import { SeededRandom } from "@/tests/sim/seeded_random.ts";
import { asId, type DeviceId, type Epoch, type PgId, sameIncarnation } from "@/shared/ids.ts";

const PG = asId<PgId>(1);

/** A member on device and SDS `id`, under start `counter`. */
function member(id: number, counter = 1): PgMember {
  return { deviceId: asId(id), sdsId: asId(id), incarnation: { counter, random: "00".repeat(8) }, bootId: "boot" };
}

function group(epoch: number, members: PgMember[], rest: Partial<PgRecord> = {}): PgRecord {
  return {
    ...{ pgId: PG, poolId: asId(1), pgIndex: 0, pgCount: 4, copies: 2, epoch: asId<Epoch>(epoch), mdmTerm: 1 },
    ...{ lossGeneration: 3, fresh: false, syncWrites: false, members, departed: [], target: [] },
    ...rest,
  };
}

/** Devices 1 to 4 registered under start 1, each a failure unit of its own, all generations acknowledged. */
function facts(rest: Partial<ChangeFacts> = {}): ChangeFacts {
  return {
    mdmTerm: 5,
    nowMs: 1_000,
    registeredIncarnation: (deviceId) => member(deviceId).incarnation,
    hasFailed: () => false,
    failureUnit: (deviceId) => `sds:${deviceId}`,
    memberOf: (deviceId) => deviceId <= 4 ? member(deviceId) : undefined,
    hasAcknowledgedMappings: () => true,
    ...rest,
  };
}

const [a, b, c] = [member(1), member(2), member(3)];
const asked = (change: PgChange, asker: Asker, of: ChangeFacts = facts()) => ({ change, asker, facts: of });
const base = (epoch: number) => ({ pgId: PG, epoch: asId<Epoch>(epoch) });
const removal = (epoch: number, gone: PgMember): PgChange => ({
  kind: "remove_secondary",
  ...base(epoch),
  deviceId: gone.deviceId,
});
const addition = (epoch: number, joiner: PgMember): PgChange => ({
  kind: "add_member",
  ...base(epoch),
  joiner: { deviceId: joiner.deviceId, incarnation: joiner.incarnation },
});
const takeOver = (epoch: number): PgChange => ({ kind: "take_over", ...base(epoch) });
const bump = (epoch: number): PgChange => ({ kind: "bump", ...base(epoch) });
const outcome = (pg: PgRecord, request: ReturnType<typeof asked>) => {
  const decision = afterChange(pg, request);
  return decision.kind === "changed" ? "changed" : decision.reason;
};

Deno.test("afterChange() lets the primary remove a secondary, which departs with the old epoch", () => {
  const decision = afterChange(group(7, [a, b]), asked(removal(7, b), a));
  assertEquals(decision, {
    kind: "changed",
    next: group(8, [a], {
      mdmTerm: 5,
      departed: [{ deviceId: b.deviceId, lastEpoch: asId<Epoch>(7), sinceMs: 1_000 }],
    }),
  });
});

Deno.test("afterChange() lets a secondary take over: alone, one epoch later, the others depart", () => {
  const decision = afterChange(group(7, [a, b]), asked(takeOver(7), b));
  assert(decision.kind === "changed");
  assertEquals([decision.next.epoch, decision.next.members, decision.next.lossGeneration], [asId<Epoch>(8), [b], 3]);
  assertEquals(decision.next.departed.map((copy) => copy.deviceId), [a.deviceId]);
});

Deno.test("afterChange() adds a joiner behind the members; the change that reaches full copies deletes all departed rows", async (t) => {
  const departed = [b, c].map(({ deviceId }) => ({ deviceId, lastEpoch: asId<Epoch>(6), sinceMs: 1 }));
  await t.step("two copies: full", () => {
    const decision = afterChange(group(7, [a], { departed }), asked(addition(7, b), a));
    assertEquals(decision, { kind: "changed", next: group(8, [a, b], { mdmTerm: 5 }) });
  });
  await t.step("three copies: not full yet, only the joiner's row goes", () => {
    const decision = afterChange(group(7, [a], { departed, copies: 3 }), asked(addition(7, b), a));
    assert(decision.kind === "changed");
    assertEquals(decision.next.departed.map((copy) => copy.deviceId), [c.deviceId]);
  });
  await t.step("a departure that leaves full copies makes no row", () => {
    const decision = afterChange(group(7, [a, b, c]), asked(removal(7, c), a));
    assert(decision.kind === "changed");
    assertEquals(decision.next.departed, []);
  });
});

Deno.test("afterChange() lets the primary hand over", async (t) => {
  const handOver = (heir: PgMember, drained: boolean): PgChange => ({
    ...{ kind: "hand_over", ...base(7), deviceId: heir.deviceId, drained },
  });
  await t.step("drained: the same members, the heir first, nobody departs", () => {
    const decision = afterChange(group(7, [a, b, c], { copies: 3 }), asked(handOver(c, true), a));
    assert(decision.kind === "changed");
    assertEquals(decision.next.members, [c, a, b]);
    assertEquals([decision.next.epoch, decision.next.departed], [8, []]);
  });
  await t.step("undrained: the heir alone, since another secondary may hold more or less", () => {
    const decision = afterChange(group(7, [a, b, c], { copies: 3 }), asked(handOver(b, false), a));
    assert(decision.kind === "changed");
    assertEquals(decision.next.members, [b]);
    assertEquals(decision.next.departed.map((row) => row.deviceId), [a.deviceId, c.deviceId]);
  });
  await t.step("a failed device may leave and keeps no row; it may not stay", () => {
    const failed = facts({ hasFailed: (deviceId) => deviceId === a.deviceId });
    const decision = afterChange(group(7, [a, b]), asked(handOver(b, false), a, failed));
    assert(decision.kind === "changed");
    assertEquals(decision.next.departed, []);
    assertEquals(outcome(group(7, [a, b]), asked(handOver(b, true), a, failed)), "device_failed");
  });
  await t.step("refused: not the primary, not a member, another epoch", () => {
    assertEquals(outcome(group(7, [a, b]), asked(handOver(b, true), b)), "not_primary");
    assertEquals(outcome(group(7, [a, b]), asked(handOver(c, true), a)), "not_a_member");
    assertEquals(outcome(group(8, [a, b]), asked(handOver(b, true), a)), "stale_epoch");
  });
});

Deno.test("afterChange() bumps the epoch and keeps everything else", () => {
  const decision = afterChange(group(7, [a, b]), asked(bump(7), a));
  assertEquals(decision, { kind: "changed", next: group(8, [a, b], { mdmTerm: 5 }) });
});

Deno.test("afterChange() keeps no departed row of a failed device", () => {
  const of = facts({ hasFailed: (deviceId) => deviceId === b.deviceId });
  const decision = afterChange(group(7, [a, b]), asked(removal(7, b), a, of));
  assert(decision.kind === "changed");
  assertEquals(decision.next.departed, []);
});

Deno.test("afterChange() refuses whoever fails a guard", async (t) => {
  const pg = group(7, [a, b]);
  const restarted = (id: number) =>
    facts({ registeredIncarnation: (deviceId) => member(deviceId, deviceId === id ? 2 : 1).incarnation });
  const cases: [string, PgRecord, ReturnType<typeof asked>, string][] = [
    ["an older epoch", pg, asked(removal(6, b), a), "stale_epoch"],
    ["a newer epoch", pg, asked(takeOver(8), b), "stale_epoch"],
    ["a secondary removes", pg, asked(removal(7, a), b), "not_primary"],
    ["a secondary bumps", pg, asked(bump(7), b), "not_primary"],
    ["a stranger removes", pg, asked(removal(7, b), c), "not_primary"],
    ["the primary takes over", pg, asked(takeOver(7), a), "not_secondary"],
    ["a stranger takes over", pg, asked(takeOver(7), c), "not_secondary"],
    ["a member under another start", pg, asked(takeOver(7), member(2, 2)), "not_secondary"],
    ["a process that was replaced", pg, asked(removal(7, b), a, restarted(1)), "stale_incarnation"],
    ["a failed device", pg, asked(takeOver(7), b, facts({ hasFailed: (id) => id === 2 })), "device_failed"],
    ["who is no member", pg, asked(removal(7, c), a), "not_a_member"],
    ["the primary itself", pg, asked(removal(7, a), a), "not_a_member"],
    ["a joiner who is a member", group(7, [a, b], { copies: 3 }), asked(addition(7, b), a), "already_a_member"],
    ["a joiner of a full group", pg, asked(addition(7, c), a), "group_is_full"],
    ["an unknown joiner", group(7, [a]), asked(addition(7, member(9)), a), "joiner_not_registered"],
    ["a joiner's older start", group(7, [a]), asked(addition(7, member(2, 9)), a), "joiner_incarnation"],
    [
      "a joiner of the same failure unit (I17)",
      group(7, [a]),
      asked(addition(7, b), a, facts({ failureUnit: () => "fault-set:1" })),
      "same_failure_unit",
    ],
    [
      "a failed joiner",
      group(7, [a]),
      asked(addition(7, b), a, facts({ hasFailed: (id: DeviceId) => id === b.deviceId })),
      "device_failed",
    ],
  ];
  for (const [name, current, request, reason] of cases) {
    await t.step(name, () => assertEquals(outcome(current, request), reason));
  }
  await t.step("a joiner that has not acknowledged all generations: not yet", () => {
    const of = facts({ hasAcknowledgedMappings: () => false });
    const decision = afterChange(group(7, [a]), asked(addition(7, b), a, of));
    assertEquals(decision, { kind: "not_yet", reason: "mapping_generations" });
  });
});

Deno.test("afterChange() keeps epochs growing and members distinct under any sequence of requests", () => {
  const seeded = new SeededRandom("pg-changes");
  const random = (below: number) => Math.floor(seeded.fraction() * below);
  let pg = group(1, [a, b]);
  for (let step = 0; step < 5_000; step++) {
    const asker = member(1 + random(4));
    const other = member(1 + random(4));
    const epoch = pg.epoch - (random(4) === 0 ? 1 : 0);
    const change = [removal(epoch, other), takeOver(epoch), addition(epoch, other), bump(epoch)][random(4)]!;
    const decision = afterChange(pg, asked(change, asker));
    if (decision.kind !== "changed") continue;
    const { next } = decision;
    assertEquals(next.epoch, asId<Epoch>(pg.epoch + 1));
    const ids = next.members.map((each) => each.deviceId);
    assert(ids.length >= 1 && ids.length <= 2 && new Set(ids).size === ids.length);
    assert(next.members.length < 2 || next.departed.length === 0, "rows exist only while copies are missing");
    assert(next.departed.every((copy) => !ids.includes(copy.deviceId)));
    assert(next.members.some((each) => pg.members.some((m) => sameIncarnation(m.incarnation, each.incarnation))));
    pg = next;
  }
  assert(pg.epoch > 100, "some requests passed");
});

Deno.test("afterChange() adds one member beyond full, if it has its place in the target", () => {
  const target = [a.deviceId, c.deviceId];
  assertEquals(outcome(group(7, [a, b]), asked(addition(7, c), a)), "group_is_full");
  assertEquals(
    outcome(group(7, [a, b], { target: [a.deviceId, b.deviceId] }), asked(addition(7, c), a)),
    "group_is_full",
  );
  assertEquals(outcome(group(7, [a, b], { target }), asked(addition(7, c), a)), "changed");
  const units = facts({ failureUnit: (deviceId) => deviceId === a.deviceId ? "sds:1" : "sds:2" });
  assertEquals(outcome(group(7, [a, b], { target }), asked(addition(7, c), a, units)), "changed", "b goes");
  const stays = { target: [b.deviceId, c.deviceId] };
  assertEquals(outcome(group(7, [a, b], stays), asked(addition(7, c), a, units)), "same_failure_unit");
});
