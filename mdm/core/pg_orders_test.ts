import { assertEquals } from "@std/assert";
import { type OrderFacts, orderOf } from "@/mdm/core/pg_orders.ts";
import type { PgRecord } from "@/mdm/core/placement_groups.ts";
import type { PgMember } from "@/shared/api/pg.ts";
import { asId, type Epoch } from "@/shared/ids.ts";

function member(id: number): PgMember {
  return { deviceId: asId(id), sdsId: asId(id), incarnation: { counter: 1, random: "00".repeat(8) }, bootId: "boot" };
}

const [a, b, c] = [member(1), member(2), member(3)];

function group(members: PgMember[], rest: Partial<PgRecord> = {}): PgRecord {
  return {
    ...{ pgId: asId(1), poolId: asId(1), pgIndex: 0, pgCount: 4, copies: 2, epoch: asId<Epoch>(7), mdmTerm: 1 },
    ...{ lossGeneration: 0, fresh: false, syncWrites: false, members, departed: [], target: [] },
    ...rest,
  };
}

/** Nobody stops, nobody failed, everybody is sound. */
function facts(rest: Partial<OrderFacts> = {}): OrderFacts {
  return { isLeaving: () => false, hasFailed: () => false, isSound: () => true, ...rest };
}

const stopping = (...members: PgMember[]) => facts({ isLeaving: (member) => members.includes(member) });

Deno.test("orderOf() lets whoever stops leave, as long as somebody sound stays", () => {
  assertEquals(orderOf(group([a, b]), facts()), undefined);
  assertEquals(orderOf(group([a, b]), stopping(a)), { kind: "hand_over", deviceId: b.deviceId, paced: false });
  assertEquals(orderOf(group([a, b]), stopping(b)), { kind: "remove_secondary", deviceId: b.deviceId, paced: false });
  assertEquals(orderOf(group([a, b, c]), stopping(a, b)), { kind: "hand_over", deviceId: c.deviceId, paced: false });
  assertEquals(orderOf(group([a, b]), stopping(a, b)), undefined, "all stop together");
  assertEquals(orderOf(group([a]), stopping(a)), undefined);
  const silent = facts({ isLeaving: (member) => member === a, isSound: (member) => member !== b });
  assertEquals(orderOf(group([a, b]), silent), undefined, "nobody is there to go on");
  assertEquals(orderOf(group([a, b], { fresh: true }), stopping(a)), undefined);
});

Deno.test("orderOf() removes a secondary whose device failed, and leaves a failed primary to itself", () => {
  const failed = (member: PgMember) => facts({ hasFailed: (deviceId) => deviceId === member.deviceId });
  assertEquals(orderOf(group([a, b]), failed(b)), { kind: "remove_secondary", deviceId: b.deviceId, paced: false });
  assertEquals(orderOf(group([a, b]), failed(a)), undefined);
});

Deno.test("orderOf() turns members into the target once everybody is sound", async (t) => {
  const target = (...members: PgMember[]) => ({ target: members.map((member) => member.deviceId) });
  const remove = (member: PgMember) => ({ kind: "remove_secondary" as const, deviceId: member.deviceId, paced: false });
  const handOver = (member: PgMember, paced: boolean) => ({
    ...{ kind: "hand_over" as const, deviceId: member.deviceId, paced },
  });
  await t.step("a superfluous secondary goes", () => {
    assertEquals(orderOf(group([a, b, c], target(a, c)), facts()), remove(b));
  });
  await t.step("a superfluous primary hands over first", () => {
    assertEquals(orderOf(group([a, b, c], target(c, b)), facts()), handOver(b, false));
  });
  await t.step("the order of the target, paced", () => {
    assertEquals(orderOf(group([a, b], target(b, a)), facts()), handOver(b, true));
    assertEquals(orderOf(group([a, b], target(a, b)), facts()), undefined);
  });
  await t.step("nothing while a copy has to be made first", () => {
    assertEquals(orderOf(group([a, b], target(c, b)), facts()), undefined);
    assertEquals(orderOf(group([a, b], target(c)), facts()), undefined);
  });
  await t.step("nothing while a member is silent: the one that would go may be the only good one", () => {
    const silent = facts({ isSound: (member) => member !== c });
    assertEquals(orderOf(group([a, b, c], target(a, c)), silent), undefined);
  });
});
