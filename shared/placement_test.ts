import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { asId, type DeviceId, type PgId, type VtreeId } from "@/shared/ids.ts";
import { baseOf, deviceScore, pgIndexOf, regionOf } from "@/shared/placement.ts";

// Golden values: data on disk is found by them, so they may never change. SHA-256 of "1" begins with 6b86b273.
Deno.test("baseOf() is the first 4 bytes of SHA-256 of the id in decimal", () => {
  assertEquals([1, 2, 77].map((id) => baseOf(asId<VtreeId>(id))), [0x6b86b273, 3_564_330_554, 2_827_647_234]);
});

Deno.test("pgIndexOf() and regionOf() place chunks as they always did", () => {
  const base = baseOf(asId<VtreeId>(1));
  const places = [0, 1, 255, 256, 1_024].map((chunk) => [pgIndexOf(base, chunk, 64), regionOf(base, chunk, 64)]);
  assertEquals(places, [[51, 627], [52, 627], [50, 627], [51, 628], [51, 631]]);
});

Deno.test("pgIndexOf() uses every group evenly for consecutive chunks", () => {
  const base = baseOf(asId<VtreeId>(2));
  const used = new Set(Array.from({ length: 64 }, (_, chunk) => pgIndexOf(base, 1_000 + chunk, 64)));
  assertEquals(used.size, 64);
});

Deno.test("deviceScore() scores as it always did, and grows with the weight", () => {
  const score = (pgId: number, deviceId: number, weight: number) =>
    deviceScore(asId<PgId>(pgId), { deviceId: asId<DeviceId>(deviceId), weight });
  assertAlmostEquals(score(1, 1, 1), 0.5187316407995555);
  assertAlmostEquals(score(1, 2, 1), 6.088492642984814);
  assertAlmostEquals(score(4096, 7, 2 ** 30), 2_027_950_923.3089454);
  assertEquals(score(1, 1, 0), 0);
  assert(score(1, 1, 2) > score(1, 1, 1));
});

Deno.test("deviceScore() gives a device of twice the weight about twice the groups", () => {
  const wins =
    Array.from({ length: 4_096 }, (_, index) => asId<PgId>(index + 1)).filter((pgId) =>
      deviceScore(pgId, { deviceId: asId<DeviceId>(1), weight: 2 }) >
        deviceScore(pgId, { deviceId: asId<DeviceId>(2), weight: 1 })
    ).length;
  assertAlmostEquals(wins / 4_096, 2 / 3, 0.02);
});
