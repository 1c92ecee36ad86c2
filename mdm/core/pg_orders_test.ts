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
    ...{ lossGeneration: 0, fresh: false, syncWrites: false, members, departed: [] },
    ...rest,
  };
}

/** Nobody stops, nobody failed, everybody is sound. */
function facts(rest: Partial<OrderFacts> = {}): OrderFacts {
  return { isStopping: () => false, hasFailed: () => false, isSound: () => true, ...rest };
}

const stopping = (...members: PgMember[]) => facts({ isStopping: (member) => members.includes(member) });

Deno.test("orderOf() lets whoever stops leave, as long as somebody sound stays", () => {
  assertEquals(orderOf(group([a, b]), facts()), undefined);
  assertEquals(orderOf(group([a, b]), stopping(a)), { kind: "hand_over", deviceId: b.deviceId });
  assertEquals(orderOf(group([a, b]), stopping(b)), { kind: "remove_secondary", deviceId: b.deviceId });
  assertEquals(orderOf(group([a, b, c]), stopping(a, b)), { kind: "hand_over", deviceId: c.deviceId });
  assertEquals(orderOf(group([a, b]), stopping(a, b)), undefined, "all stop together");
  assertEquals(orderOf(group([a]), stopping(a)), undefined);
  const silent = facts({ isStopping: (member) => member === a, isSound: (member) => member !== b });
  assertEquals(orderOf(group([a, b]), silent), undefined, "nobody is there to go on");
  assertEquals(orderOf(group([a, b], { fresh: true }), stopping(a)), undefined);
});

Deno.test("orderOf() removes a secondary whose device failed, and leaves a failed primary to itself", () => {
  const failed = (member: PgMember) => facts({ hasFailed: (deviceId) => deviceId === member.deviceId });
  assertEquals(orderOf(group([a, b]), failed(b)), { kind: "remove_secondary", deviceId: b.deviceId });
  assertEquals(orderOf(group([a, b]), failed(a)), undefined);
});
