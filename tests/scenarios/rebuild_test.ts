/**
 * Copies that are made, as an operator sees and steers them.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { failSds, recoverSds, removeSds } from "@/mdm/operations/sds_service.ts";
import { controlRebuild, limitRebuild, rebuildStatus } from "@/mdm/operations/rebuild_control.ts";
import { pgsOfPool } from "@/mdm/store/pgs.ts";
import { jobsOfPool, tasksOfJob } from "@/mdm/store/rebuild.ts";
import { BLOCK_BYTES, CHUNK_BYTES } from "@/shared/constants.ts";
import { asId, type SdsId } from "@/shared/ids.ts";
import { differencesOfMembers } from "@/tests/sim/cluster_checks.ts";
import { type ClusterFixture, withCluster } from "@/tests/support/cluster_load.ts";

const MB = 1_000_000;
/** Chunks that the tests fill: all groups get some. */
const CHUNKS = 96;
/** Written in one request. */
const PIECE_BYTES = 64 * BLOCK_BYTES;

/** Fills chunks, so that there is something to copy. */
async function fill(fixture: ClusterFixture): Promise<void> {
  const data = new Uint8Array(PIECE_BYTES).fill(7);
  for (let chunk = 0; chunk < CHUNKS; chunk++) {
    for (let offsetBytes = 0; offsetBytes < CHUNK_BYTES; offsetBytes += PIECE_BYTES) {
      assertEquals(
        await fixture.request("write", { offsetBytes: chunk * CHUNK_BYTES + offsetBytes, data }),
        undefined,
      );
    }
  }
}

const status = ({ cluster }: ClusterFixture) => rebuildStatus(cluster.mdm.context, cluster.poolId);

Deno.test("scenario: an operator fails an SDS: its copies are made elsewhere under the limit, and can be held and let go", async () => {
  await withCluster({}, async (fixture) => {
    const { cluster } = fixture;
    const { context } = cluster.mdm;
    await fill(fixture);
    limitRebuild(context, cluster.poolId, 4);
    const third = asId<SdsId>(3);
    const name = (await cluster.overview()).sdss.find(({ sdsId }) => sdsId === third)!.componentId;
    const host = cluster.sdss.find((sds) => sds.name === name)!;
    failSds(context, third);
    await fixture.until("copies are made", () => status(fixture).bytesCopied > 2 * MB);
    assertEquals((await cluster.overview()).pools[0]!.health, "degraded");

    const from = { bytes: status(fixture).bytesCopied, atMs: fixture.nowMs };
    await fixture.sleep(4_000);
    const rate = (status(fixture).bytesCopied - from.bytes) / (fixture.nowMs - from.atMs) * 1000;
    assert(rate > 2.4 * MB && rate < 4.4 * MB, `${rate / MB} MB/s under a limit of 4`);
    const { state, timeLeftMs, progressPercent } = status(fixture);
    assertEquals(state, "in_progress");
    assert(timeLeftMs !== undefined && timeLeftMs > 0 && progressPercent > 0 && progressPercent < 100);

    controlRebuild(context, cluster.poolId, "paused");
    await fixture.sleep(1_500);
    const held = status(fixture).bytesCopied;
    await fixture.sleep(5_000);
    assertEquals(status(fixture).bytesCopied, held, "paused within a second and a beat");
    assertEquals(status(fixture).state, "stalled");

    controlRebuild(context, cluster.poolId, "run");
    limitRebuild(context, cluster.poolId, 100);
    await fixture.untilWhole();
    await fixture.until("the rebuild is over", () => status(fixture).state === "completed");
    const [job] = jobsOfPool(context.db, cluster.poolId);
    assertEquals([job!.kind, job!.state, job!.tasksEnded], ["rebuild", "done", job!.tasksTotal]);
    const tasks = tasksOfJob(context.db, job!.jobId);
    assert(tasks.some((task) => task.state === "done" && task.bytesCopied > 0));
    assertEquals(host.devices[0]!.servingCount, 0, "nothing is served from it");

    recoverSds(context, third);
    await fixture.until("it holds copies again", () => host.devices[0]!.servingCount > 0);
    assertEquals(await differencesOfMembers(cluster), []);
  });
});

Deno.test("scenario: a restarted MDM goes on with the copies that run, and none is begun while they are cancelled", async () => {
  await withCluster({ outAfterMs: 8_000 }, async (fixture) => {
    const { cluster } = fixture;
    await fill(fixture);
    limitRebuild(cluster.mdm.context, cluster.poolId, 4);
    cluster.sdss[2]!.crash({ hostDown: true });
    await fixture.until("copies are made", () => status(fixture).bytesCopied > 2 * MB);
    const before = [...cluster.mdm.context.live.joins.all()].map((join) =>
      [join.pgId, join.epoch, join.deviceId].join()
    );
    cluster.mdm.crash({ hostDown: false });
    await fixture.sleep(500);
    cluster.mdm.start();
    await fixture.until("the joins are known again", () => cluster.mdm.context.live.joins.size > 0);
    const after = [...cluster.mdm.context.live.joins.all()].map((join) =>
      [join.pgId, join.epoch, join.deviceId].join()
    );
    assert(after.some((join) => before.includes(join)), "a join that ran is adopted");
    controlRebuild(cluster.mdm.context, cluster.poolId, "cancelled");
    await fixture.sleep(3_000);
    assertEquals(cluster.mdm.context.live.joins.size, 0);
    limitRebuild(cluster.mdm.context, cluster.poolId, 100);
    controlRebuild(cluster.mdm.context, cluster.poolId, "run");
    await fixture.untilWhole();
    assertEquals(await differencesOfMembers(cluster), []);
  });
});

Deno.test("scenario: an SDS that is removed is emptied first, under load, and says what it waits for", async () => {
  await withCluster({}, async (fixture) => {
    const { cluster } = fixture;
    const { context } = cluster.mdm;
    const load = fixture.startLoad();
    await fixture.sleep(2_000);
    const third = asId<SdsId>(3);
    controlRebuild(context, cluster.poolId, "paused");
    const first = removeSds(context, third);
    assertEquals(first.status, "draining");
    await fixture.sleep(5_000);
    const held = removeSds(context, third);
    assert(held.groupsLeft === first.groupsLeft && held.message.includes("paused"), held.message);
    controlRebuild(context, cluster.poolId, "run");
    let fewest = 2;
    await fixture.until("it is gone", async () => {
      fewest = Math.min(fewest, ...pgsOfPool(context.db, cluster.poolId).map((pg) => pg.members.length));
      return (await cluster.overview()).sdss.length === 2;
    });
    assertEquals(fewest, 2, "no group lacks a copy meanwhile");
    const last = removeSds(context, asId<SdsId>(2));
    await fixture.sleep(3_000);
    assert(last.status === "draining" && last.message.includes("failure units only"), last.message);
    recoverSds(context, asId<SdsId>(2));
    await load.end();
    assertEquals(await differencesOfMembers(cluster), []);
  });
});
