/**
 * Groups that move to where they belong: to a new SDS, away from one that is gone.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { listPools } from "@/mdm/store/pools.ts";
import { pgsOfPool } from "@/mdm/store/pgs.ts";
import type { SdsHost } from "@/tests/sim/sds_host.ts";
import { differencesOfMembers } from "@/tests/sim/cluster_checks.ts";
import { type ClusterFixture, withCluster } from "@/tests/support/cluster_load.ts";

/** No request may wait longer while groups move, in ms. */
const STALL_MS_MAX = 1_000;

/** The groups as the MDM has them now. */
function groups({ cluster }: ClusterFixture) {
  const { db } = cluster.mdm.context;
  return listPools(db).flatMap((pool) => pgsOfPool(db, pool.poolId));
}

/** Every group is on its target, in its order. */
function isPlaced(fixture: ClusterFixture): boolean {
  return groups(fixture).every((pg) =>
    pg.target.length === pg.copies && pg.target.join() === pg.members.map((member) => member.deviceId).join()
  );
}

/** Copies of groups that the SDS holds, and how many of them it should hold. */
function copiesAt(fixture: ClusterFixture, sds: SdsHost): { readonly held: number; readonly due: number } {
  const device = sds.devices[0];
  assert(device !== undefined, `${sds.name} has a device`);
  const due = groups(fixture).filter((pg) => pg.target.includes(device.deviceId)).length;
  return { held: [...device.store.pgs()].length, due };
}

async function untilPlaced(fixture: ClusterFixture): Promise<void> {
  await fixture.until(
    "every group is placed, and every replaced copy deleted",
    () =>
      isPlaced(fixture) && fixture.cluster.sdss.every((sds) => {
        const { held, due } = copiesAt(fixture, sds);
        return held === due;
      }),
  );
}

Deno.test("scenario: a new SDS gets its share, copies stay full all the while, and replaced ones are deleted", async () => {
  await withCluster({}, async (fixture) => {
    const load = fixture.startLoad();
    await fixture.sleep(2_000);
    load.slowestMs = 0;
    const before = groups(fixture);
    const added = await fixture.cluster.addSds();
    let fewest = 2;
    await fixture.until("groups are placed anew", () => {
      fewest = Math.min(fewest, ...groups(fixture).map((pg) => pg.members.length));
      return !isPlaced(fixture);
    });
    await fixture.until("every group is placed", () => {
      fewest = Math.min(fewest, ...groups(fixture).map((pg) => pg.members.length));
      return isPlaced(fixture);
    });
    await untilPlaced(fixture);
    assertEquals(fewest, 2, "no group lacks a copy while it moves");
    assert(copiesAt(fixture, added).held >= 3, "four SDSs share sixteen copies");
    const moved = groups(fixture).filter((pg, index) =>
      pg.members.some(({ deviceId }) => before[index]!.members.every((member) => member.deviceId !== deviceId))
    );
    assertEquals(moved.length, copiesAt(fixture, added).held, "only what the new SDS gets has moved");
    await load.end();
    assert(load.slowestMs < STALL_MS_MAX, `the slowest request took ${load.slowestMs} ms`);
    assertEquals(await differencesOfMembers(fixture.cluster), []);
  });
});

Deno.test("scenario: copies of an SDS that stays away are made elsewhere, and it gets its share when it is back", async () => {
  await withCluster({ outAfterMs: 20_000 }, async (fixture) => {
    const load = fixture.startLoad();
    const gone = fixture.cluster.sdss[2]!;
    gone.crash({ hostDown: true });
    await fixture.sleep(15_000);
    assert(groups(fixture).some((pg) => pg.members.length < 2), "a short absence moves nothing");
    await fixture.untilWhole();
    await fixture.until("every group is placed", () => isPlaced(fixture));
    gone.start();
    await fixture.until("it has its share", () => gone.devices.length === 1 && copiesAt(fixture, gone).due > 3);
    await untilPlaced(fixture);
    await load.end();
    assertEquals(await differencesOfMembers(fixture.cluster), []);
  });
});
