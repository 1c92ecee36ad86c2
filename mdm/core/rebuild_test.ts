import { assertEquals } from "@std/assert";
import type { PgRecord } from "@/mdm/core/placement_groups.ts";
import { copyRates, jobKindOf, RateMeter, rebuildStateOf } from "@/mdm/core/rebuild.ts";
import { asId, type DeviceId } from "@/shared/ids.ts";

const device = (id: number) => asId<DeviceId>(id);

function group(members: number[], departed: number[] = []): PgRecord {
  return {
    ...{ pgId: asId(1), poolId: asId(1), pgIndex: 0, pgCount: 4, copies: 2, epoch: asId(7), mdmTerm: 1 },
    ...{ lossGeneration: 0, fresh: false, syncWrites: false, target: [] },
    members: members.map((id) => ({
      ...{ deviceId: device(id), sdsId: asId(id), bootId: "b", incarnation: { counter: 1, random: "0".repeat(16) } },
    })) as PgRecord["members"],
    departed: departed.map((id) => ({ deviceId: device(id), lastEpoch: asId(6), sinceMs: 0 })),
  };
}

Deno.test("jobKindOf() tells a return from a loss, and a move that must be from one that evens out", () => {
  const partakes = (deviceId: DeviceId) => deviceId <= 2;
  assertEquals(jobKindOf(group([1], [2]), partakes), "return");
  assertEquals(jobKindOf(group([1], [3]), partakes), "rebuild");
  assertEquals(jobKindOf(group([1]), partakes), "rebuild");
  assertEquals(jobKindOf(group([1, 3]), partakes), "drain");
  assertEquals(jobKindOf(group([1, 2]), partakes), "rebalance");
});

Deno.test("copyRates() shares a pool's limit out by running copies; balance alone gets a fifth", () => {
  const copy = (primary: number, kind: "rebuild" | "rebalance") => ({ primaryDeviceId: device(primary), kind });
  const rates = copyRates([copy(1, "rebuild"), copy(1, "rebalance"), copy(2, "rebuild"), copy(3, "rebuild")], 1_000);
  assertEquals([...rates], [[device(1), 500], [device(2), 250], [device(3), 250]]);
  assertEquals([...copyRates([copy(1, "rebalance"), copy(2, "rebalance")], 1_000)], [[device(1), 100], [
    device(2),
    100,
  ]]);
  assertEquals([...copyRates([], 1_000)], []);
  assertEquals([...copyRates([copy(1, "rebuild")], 0)], [[device(1), 0]], "paused");
});

Deno.test("rebuildStateOf() has a word for every state", () => {
  const facts = { openCount: 3, quietMs: 100, held: false, poolFailed: false, ended: true };
  assertEquals(rebuildStateOf(facts), "in_progress");
  assertEquals(rebuildStateOf({ ...facts, quietMs: 60_000 }), "stalled");
  assertEquals(rebuildStateOf({ ...facts, held: true }), "stalled");
  assertEquals(rebuildStateOf({ ...facts, poolFailed: true }), "failed");
  assertEquals(rebuildStateOf({ ...facts, openCount: 0 }), "completed");
  assertEquals(rebuildStateOf({ ...facts, openCount: 0, ended: false }), "idle");
});

Deno.test("RateMeter averages over ten seconds and forgets", () => {
  const meter = new RateMeter();
  assertEquals(meter.bytesPerSecond(0), 0);
  for (let atMs = 0; atMs < 20_000; atMs += 1_000) meter.add(5_000, atMs);
  assertEquals(Math.round(meter.bytesPerSecond(19_500) / 1_000), 5);
  assertEquals(meter.bytesPerSecond(60_000), 0);
});
