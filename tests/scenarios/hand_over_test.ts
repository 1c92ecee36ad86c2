/**
 * Groups that are handed over instead of being taken over.
 *
 * @module
 */
import { assert } from "@std/assert";
import { withCluster } from "@/tests/support/cluster_load.ts";

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
