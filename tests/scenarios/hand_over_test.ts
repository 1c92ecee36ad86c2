/**
 * Groups that are handed over instead of being taken over.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { withCluster } from "@/tests/support/cluster_load.ts";
import { filled, withSds } from "@/tests/support/sds_fixture.ts";

/** No request may wait longer while an SDS leaves by itself, in ms. */
const STALL_MS_MAX = 1_000;

Deno.test("scenario: SDSs are restarted one after the other, and no request waits for a second", async () => {
  await withCluster({}, async (fixture) => {
    const load = fixture.startLoad();
    await fixture.sleep(2_000);
    load.slowestMs = 0;
    for (const sds of fixture.cluster.sdss) {
      await sds.stop();
      await fixture.sleep(3_000);
      sds.start();
      await fixture.sleep(1_000);
      await fixture.untilWhole();
    }
    await load.end();
    assert(load.slowestMs < STALL_MS_MAX, `the slowest of ${load.answeredCount} requests took ${load.slowestMs} ms`);
  });
});

Deno.test("scenario: storage servers that stop together leave every group with both its copies", async () => {
  // Within the time that a stop takes: who stops much earlier was removed before, as it should be.
  for (const apartMs of [0, 1, 5, 20]) {
    await withSds({}, async (fixture) => {
      await fixture.sdc.write({ chunkIndex: 0, offsetBytes: 0 }, filled(1, 4096));
      const [first, second] = fixture.sdss;
      const stopped = first!.stop();
      await fixture.sleep(apartMs);
      await Promise.all([stopped, second!.stop()]);
      const counts = (await fixture.pgs()).map(({ members }) => members.length);
      assertEquals(counts, counts.map(() => 2), `${apartMs} ms apart`);
      for (const sds of fixture.sdss) sds.start();
      await fixture.untilFull();
    });
  }
});
