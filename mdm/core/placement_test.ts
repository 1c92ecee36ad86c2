import { assert, assertEquals } from "@std/assert";
import {
  placeGroups,
  type PlacementDevice,
  replacementFor,
  SHARE_TOLERANCE,
  sharesOf,
  type Target,
} from "@/mdm/core/placement.ts";
import { asId, type DeviceId, type PgId } from "@/shared/ids.ts";

const pgIds = (count: number) => Array.from({ length: count }, (_, index) => asId<PgId>(index + 1));

/** Devices of the given weights; `unitOf` groups them, by default each on its own. */
function devices(weights: readonly number[], unitOf = (index: number) => `sds:${index}`): PlacementDevice[] {
  return weights.map((weight, index) => ({ deviceId: asId<DeviceId>(index + 1), failureUnit: unitOf(index), weight }));
}

function counts(targets: ReadonlyMap<PgId, Target>, position?: number): Map<DeviceId, number> {
  const found = new Map<DeviceId, number>();
  for (const target of targets.values()) {
    for (const deviceId of position === undefined ? target : target.slice(position, position + 1)) {
      found.set(deviceId, (found.get(deviceId) ?? 0) + 1);
    }
  }
  return found;
}

function assertSound(targets: ReadonlyMap<PgId, Target>, all: readonly PlacementDevice[], copies: number): void {
  const units = new Map(all.map((device) => [device.deviceId, device.failureUnit]));
  for (const [pgId, target] of targets) {
    assertEquals(target.length, copies, `group ${pgId} has its copies`);
    assertEquals(new Set(target.map((id) => units.get(id))).size, copies, `group ${pgId} spans failure units (I17)`);
  }
}

const LAYOUTS: [string, PlacementDevice[], number][] = [
  ["three equal", devices([1, 1, 1]), 128],
  ["five equal", devices([1, 1, 1, 1, 1]), 256],
  ["two units", devices([1, 1]), 64],
  ["eight of mixed weight", devices([4, 2, 2, 1, 1, 3, 3, 2]), 512],
  ["twelve in four fault sets", devices(Array(12).fill(2), (index) => `fault-set:${index % 4}`), 1024],
  ["one unit far larger than the rest", devices([100, 1, 1, 1]), 256],
];

Deno.test("placeGroups() spans failure units and keeps every device and primary within tolerance of its share", async (t) => {
  for (const [name, all, pgCount] of LAYOUTS) {
    await t.step(name, () => {
      const targets = placeGroups({ pgIds: pgIds(pgCount), devices: all, copies: 2 });
      assertSound(targets, all, 2);
      const shares = sharesOf(all, { pgCount, copies: 2 });
      for (const [deviceId, count] of counts(targets)) {
        const share = shares.get(deviceId)!;
        assert(count <= Math.ceil(share * SHARE_TOLERANCE), `device ${deviceId} holds ${count} of ${share}`);
      }
      for (const [deviceId, count] of counts(targets, 0)) {
        const share = shares.get(deviceId)! / 2;
        // A group is primary on one of its members, so a lone giant leads what its partners may not.
        assert(count <= Math.ceil(share * SHARE_TOLERANCE), `device ${deviceId} leads ${count} of ${share}`);
      }
    });
  }
});

Deno.test("placeGroups() is a function of its input and takes one copy where there is one failure unit", () => {
  const request = { pgIds: pgIds(64), devices: devices([1, 2, 3]), copies: 2 };
  assertEquals(placeGroups(request), placeGroups(request));
  const single = placeGroups({ pgIds: pgIds(8), devices: devices([1, 1], () => "sds:0"), copies: 2 });
  assertEquals([...single.values()].map((target) => target.length), Array(8).fill(1));
});

Deno.test("placeGroups() skips devices of weight 0", () => {
  const targets = placeGroups({ pgIds: pgIds(64), devices: devices([1, 1, 0, 1]), copies: 2 });
  assert(!counts(targets).has(asId(3)));
});

Deno.test("placeGroups() moves at most what a new device is due, and only to it", async (t) => {
  for (const size of [3, 5, 8]) {
    await t.step(`${size} devices and one more`, () => {
      const pgCount = 256;
      const all = devices(Array(size + 1).fill(1));
      const before = placeGroups({ pgIds: pgIds(pgCount), devices: all.slice(0, size), copies: 2 });
      const after = placeGroups({ pgIds: pgIds(pgCount), devices: all, copies: 2, current: before });
      assertSound(after, all, 2);
      const added = asId<DeviceId>(size + 1);
      let moved = 0;
      for (const [pgId, target] of after) {
        for (const deviceId of target) if (!before.get(pgId)!.includes(deviceId)) moved++;
      }
      const share = sharesOf(all, { pgCount, copies: 2 }).get(added)!;
      assert(moved <= Math.ceil(share * SHARE_TOLERANCE), `${moved} moved, the new device is due ${share}`);
      assertEquals(counts(after).get(added), moved, "only the new device gained");
    });
  }
});

Deno.test("placeGroups() moves only the lost copies when a device leaves", () => {
  const all = devices([1, 1, 1, 1]);
  const before = placeGroups({ pgIds: pgIds(128), devices: all, copies: 2 });
  const rest = all.slice(0, 3);
  const after = placeGroups({ pgIds: pgIds(128), devices: rest, copies: 2, current: before });
  assertSound(after, rest, 2);
  for (const [pgId, target] of before) {
    if (!target.includes(asId(4))) assertEquals(new Set(after.get(pgId)), new Set(target));
  }
});

Deno.test("replacementFor() takes a free failure unit, the emptier when one is over its share", () => {
  const all = devices([1, 1, 1], (index) => `fault-set:${index}`);
  const pgId = asId<PgId>(1);
  const members = [all[0]!];
  assertEquals(replacementFor(pgId, { members, devices: all.slice(0, 1), counts: new Map() }), undefined);
  const chosen = replacementFor(pgId, { members, devices: all, counts: new Map() });
  assert(chosen !== undefined && chosen.deviceId !== all[0]!.deviceId);
  const full = replacementFor(pgId, { members, devices: all, counts: new Map([[chosen.deviceId, 100]]) });
  assert(full !== undefined && full.deviceId !== chosen.deviceId);
});
