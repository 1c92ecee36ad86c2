import { assertEquals } from "@std/assert";
import {
  joinClassOf,
  type JoinDevice,
  type JoinerFacts,
  joinerOf,
  JoinLoads,
  joinNotBefore,
  moverOf,
  refilled,
} from "@/mdm/core/joins.ts";
import type { PgRecord } from "@/mdm/core/placement_groups.ts";
import { asId, type DeviceId, type Epoch, type SdsId } from "@/shared/ids.ts";

function group(members: number[], departed: [id: number, sinceMs: number][] = []): PgRecord {
  return {
    ...{ pgId: asId(1), poolId: asId(1), pgIndex: 0, pgCount: 4, copies: 2, epoch: asId<Epoch>(7), mdmTerm: 1 },
    ...{ lossGeneration: 0, fresh: false, syncWrites: false, target: [] },
    members: members.map((id) => ({
      ...{
        deviceId: asId<DeviceId>(id),
        sdsId: asId(id),
        bootId: "b",
        incarnation: { counter: 1, random: "0".repeat(16) },
      },
    })) as PgRecord["members"],
    departed: departed.map(([id, sinceMs]) => ({ deviceId: asId(id), lastEpoch: asId<Epoch>(6), sinceMs })),
  };
}

function device(id: number, rest: Partial<JoinDevice> = {}): JoinDevice {
  return {
    ...{
      deviceId: asId<DeviceId>(id),
      sdsId: asId(id),
      failureUnit: `sds:${id}`,
      weight: 1,
      usable: true,
      takesPart: true,
      hasRoom: true,
      heardAtMs: 100_000,
      notBeforeMs: 0,
    },
    ...rest,
  } as JoinDevice;
}

function facts(devices: JoinDevice[], rest: Partial<JoinerFacts> = {}): JoinerFacts {
  return {
    ...{ nowMs: 100_000, outAfterMs: 60_000, counts: new Map(), hasCopy: () => true },
    devices: new Map(devices.map((each) => [each.deviceId, each])),
    ...rest,
  };
}

Deno.test("joinerOf() takes a copy that returned, by delta if it has it still, else in full", () => {
  const pg = group([1], [[2, 90_000]]);
  const devices = [device(1), device(2), device(3)];
  assertEquals(joinerOf(pg, facts(devices)), { kind: "join", deviceId: asId<DeviceId>(2), mode: "delta" });
  assertEquals(joinerOf(pg, facts(devices, { hasCopy: () => false })), {
    kind: "join",
    deviceId: asId<DeviceId>(2),
    mode: "full",
  });
});

Deno.test("joinerOf() waits for a departed copy until outAfterMs, then takes another device in full", () => {
  const devices = [device(1), device(2, { usable: false }), device(3)];
  assertEquals(joinerOf(group([1], [[2, 90_000]]), facts(devices)), { kind: "wait", reason: "departed_may_return" });
  const late = joinerOf(group([1], [[2, 40_000]]), facts(devices));
  assertEquals(late, { kind: "join", deviceId: asId<DeviceId>(3), mode: "full" });
});

Deno.test("joinerOf() takes another device at once when no copy departed: a failed one leaves no row", () => {
  assertEquals(joinerOf(group([1]), facts([device(1), device(2)])), {
    kind: "join",
    deviceId: asId<DeviceId>(2),
    mode: "full",
  });
});

Deno.test("joinerOf() lets a flapping device wait", () => {
  const devices = [device(1), device(2, { notBeforeMs: 100_001 }), device(3)];
  assertEquals(joinerOf(group([1], [[2, 99_000]]), facts(devices)), { kind: "wait", reason: "departed_may_return" });
});

Deno.test("joinerOf() never picks a member's failure unit, nor anything while a member is unknown", () => {
  const shared = [device(1, { failureUnit: "f" }), device(2, { failureUnit: "f" })];
  assertEquals(joinerOf(group([1]), facts(shared)), { kind: "wait", reason: "no_device" });
  assertEquals(joinerOf(group([1]), facts([device(2)])), { kind: "wait", reason: "no_device" });
  assertEquals(joinerOf(group([1], [[2, 99_000]]), facts(shared)).kind, "wait");
});

Deno.test("JoinLoads admits two full joins in and two out per SDS, deltas apart", () => {
  const loads = new JoinLoads();
  const limits = { fullPerSds: 2, deltaPerSds: 3 };
  const full = (from: number, to: number) => ({ from: asId<SdsId>(from), to: asId<SdsId>(to), mode: "full" }) as const;
  for (const to of [2, 3]) loads.add(full(1, to));
  assertEquals([loads.admits(full(1, 4), limits), loads.admits(full(5, 2), limits)], [false, true]);
  assertEquals(loads.admits({ ...full(1, 4), mode: "delta" }, limits), true);
  loads.add(full(5, 2));
  assertEquals(loads.admits(full(6, 2), limits), false);
});

Deno.test("joinNotBefore() lets two returns join at once, then doubles the wait, and forgets after an hour", () => {
  const options = { nowMs: 1_000_000, backoffMinMs: 30_000, backoffMaxMs: 900_000 };
  const at = (...departures: number[]) => joinNotBefore(departures, options);
  assertEquals([at(), at(1), at(1, 999_000)], [0, 0, 0]);
  assertEquals(at(1, 2, 999_000), 999_000 + 30_000);
  assertEquals(at(1, 2, 3, 999_000), 999_000 + 60_000);
  assertEquals(at(...Array(20).fill(999_000)), 999_000 + 900_000);
  assertEquals(joinNotBefore([1, 2, 3, 999_000], { ...options, nowMs: 3_700_000 }), 0);
});

Deno.test("joinerOf() gives a departed copy back only to a process that was heard since it departed", () => {
  const pg = group([1], [[2, 90_000]]);
  const waits = { kind: "wait" as const, reason: "departed_may_return" as const };
  const devicesHeardAt = (heardAtMs: number) => [device(1), device(2, { heardAtMs }), device(3)];
  assertEquals(joinerOf(pg, facts(devicesHeardAt(89_999))), waits);
  assertEquals(joinerOf(pg, facts(devicesHeardAt(90_000))).kind, "join");
});

Deno.test("refilled() grows with time up to half a second's worth", () => {
  const at = (nowMs: number, left: number) => refilled({ left, atMs: 1_000 }, { nowMs, perSecond: 128 });
  assertEquals(refilled(undefined, { nowMs: 5, perSecond: 128 }), { left: 64, atMs: 5 });
  assertEquals(at(1_250, 0), { left: 32, atMs: 1_250 });
  assertEquals(at(1_250, 10.5).left, 42.5);
  assertEquals(at(9_000, 3).left, 64);
  assertEquals(refilled(undefined, { nowMs: 0, perSecond: 1 }).left, 1);
});

Deno.test("joinerOf() prefers the device of the target, and replaces at once what takes no part any more", () => {
  const devices = [device(1), device(2), device(3), device(4)];
  const pg = { ...group([1]), target: [asId<DeviceId>(1), asId<DeviceId>(4)] };
  assertEquals(joinerOf(pg, facts(devices)), { kind: "join", deviceId: asId<DeviceId>(4), mode: "full" });
  const departed = group([1], [[2, 99_000]]);
  const out = [device(1), device(2, { takesPart: false, usable: false }), device(3)];
  assertEquals(joinerOf(departed, facts(out)), { kind: "join", deviceId: asId<DeviceId>(3), mode: "full" });
});

Deno.test("moverOf() brings a full group to its target", () => {
  const ids = (...numbers: number[]) => numbers.map((id) => asId<DeviceId>(id));
  const devices = [device(1), device(2), device(3)];
  const move = { kind: "join" as const, deviceId: asId<DeviceId>(3), mode: "full" as const };
  assertEquals(moverOf({ ...group([1, 2]), target: ids(1, 3) }, facts(devices)), move);
  assertEquals(moverOf({ ...group([1, 2]), target: ids(2, 1) }, facts(devices)).kind, "wait");
  const noRoom = [device(1), device(2), device(3, { hasRoom: false })];
  assertEquals(moverOf({ ...group([1, 2]), target: ids(1, 3) }, facts(noRoom)).kind, "wait");
  const sibling = [device(1), device(2, { failureUnit: "u" }), device(3, { failureUnit: "u" })];
  assertEquals(moverOf({ ...group([1, 2]), target: ids(1, 3) }, facts(sibling)), move, "it replaces its neighbour");
  assertEquals(moverOf({ ...group([1, 2]), target: ids(2, 3) }, facts(sibling)).kind, "wait", "its neighbour stays");
});

Deno.test("joinClassOf() ranks a last copy before a missing one, before a move that must be, before balance", () => {
  const of = (pg: PgRecord, devices: JoinDevice[]) => joinClassOf(pg, facts(devices));
  const all = [device(1), device(2), device(3)];
  assertEquals(of(group([1]), all), 1);
  assertEquals(of({ ...group([1, 2]), copies: 3 }, all), 2);
  assertEquals(of(group([1, 2]), [device(1), device(2, { takesPart: false })]), 3);
  assertEquals(of(group([1, 2]), all), 4);
});
