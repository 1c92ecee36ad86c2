import { assertEquals } from "@std/assert";
import { RouteTable } from "@/sdc/core/route_table.ts";
import { type PgConfig, pgConfigSchema } from "@/shared/api/pg.ts";
import { type VolumeMap, volumeMapSchema } from "@/shared/api/sdc.ts";

interface Group {
  epoch: number;
  device: number;
  loss?: number;
  members?: number;
}

function mapOf(groups: readonly Group[]): VolumeMap {
  return volumeMapSchema.parse({
    volumeId: 1,
    vtreeId: 1,
    nodeId: 1,
    sizeBytes: 8 * 1048576,
    pgCount: groups.length,
    pgs: groups.map(({ epoch, device, loss = 0, members = 2 }, index) => ({
      pgId: index + 100,
      epoch,
      lossGeneration: loss,
      primaryDeviceId: device,
      memberCount: members,
    })),
    devices: [{ deviceId: 1, sdsId: 11 }, { deviceId: 2, sdsId: 12 }],
    sdss: [],
  });
}

function configOf(pgIndex: number, group: Group): PgConfig {
  const incarnation = { counter: 1, random: "0".repeat(16) };
  return pgConfigSchema.parse({
    pgId: pgIndex + 100,
    poolId: 1,
    pgIndex,
    pgCount: 2,
    epoch: group.epoch,
    mdmTerm: 1,
    members: [{ deviceId: group.device, sdsId: group.device + 10, incarnation, bootId: "b" }],
    lossGeneration: group.loss ?? 0,
    fresh: false,
    syncWrites: false,
    signature: "0".repeat(64),
  });
}

Deno.test("RouteTable takes newer epochs and ignores older ones", () => {
  const routes = new RouteTable(mapOf([{ epoch: 3, device: 1 }, { epoch: 5, device: 2, loss: 2 }]));
  assertEquals([...routes.sdsIds], [11, 12]);
  assertEquals([...routes.lossGenerations], [0, 2]);
  assertEquals(routes.merge(mapOf([{ epoch: 2, device: 2 }, { epoch: 6, device: 1, loss: 3 }])), [1]);
  assertEquals([[...routes.epochs], [...routes.sdsIds]], [[3, 6], [11, 11]]);
  assertEquals(routes.mergeConfigs([configOf(0, { epoch: 4, device: 2 }), configOf(1, { epoch: 5, device: 2 })]), [0]);
  assertEquals([[...routes.epochs], [...routes.sdsIds]], [[4, 6], [12, 11]]);
  assertEquals(routes.merge(mapOf([{ epoch: 4, device: 1 }, { epoch: 6, device: 2 }])), [], "one epoch, one primary");
});

Deno.test("RouteTable corrects a guessed epoch by what the MDM says of it", () => {
  const routes = new RouteTable(mapOf([{ epoch: 3, device: 1 }, { epoch: 5, device: 2 }]));
  assertEquals([routes.guessEpoch(0, 4), routes.guessEpoch(0, 4), routes.guessEpoch(1, 5)], [true, false, false]);
  assertEquals([routes.epochs[0], routes.sdsIds[0]], [4, 11]);
  assertEquals(routes.merge(mapOf([{ epoch: 4, device: 2 }, { epoch: 5, device: 2 }])), [0]);
  assertEquals([routes.epochs[0], routes.sdsIds[0]], [4, 12]);
});

Deno.test("RouteTable gives consecutive chunks to consecutive groups", () => {
  const routes = new RouteTable(mapOf(Array.from({ length: 8 }, () => ({ epoch: 1, device: 1 }))));
  const indexes = routes.pgIndexesOfVolume(20);
  assertEquals(indexes.length, 8);
  assertEquals(new Set(indexes).size, 8);
  assertEquals(routes.pgIndexesOfVolume(3), [0, 1, 2].map((chunk) => routes.pgIndexOfChunk(chunk)));
  assertEquals((routes.pgIndexOfChunk(0) + 1) % 8, routes.pgIndexOfChunk(1));
});

Deno.test("copyCountOf() gives the fewest copies, and nothing while an epoch is only guessed", () => {
  const routes = new RouteTable(mapOf([{ epoch: 3, device: 1, members: 2 }, { epoch: 5, device: 2, members: 1 }]));
  const chunkOf = (pgIndex: number) => routes.pgIndexOfChunk(0) === pgIndex ? 0 : 1;
  assertEquals([routes.copyCountOf(chunkOf(0), chunkOf(0)), routes.copyCountOf(0, 1), routes.copyCountOf(0, 99)], [
    2,
    1,
    1,
  ]);
  routes.guessEpoch(0, 4);
  assertEquals([routes.copyCountOf(chunkOf(0), chunkOf(0)), routes.copyCountOf(chunkOf(1), chunkOf(1))], [
    undefined,
    1,
  ]);
  routes.mergeConfigs([configOf(0, { epoch: 4, device: 2 })]);
  assertEquals(routes.copyCountOf(chunkOf(0), chunkOf(0)), 1);
});
