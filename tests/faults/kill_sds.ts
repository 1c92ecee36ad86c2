/**
 * One storage server is killed under load: IO waits and goes on, and the server becomes a full member again by itself.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { FaultCluster } from "@/tests/support/fault_cluster.ts";
import { VerifiedLoad } from "@/tests/support/verified_load.ts";

/** Longest time that one request may take through the loss of a server. */
const STALL_MS_MAX = 8000;
const HEALTHY_MS_MAX = 30_000;

Deno.test("scenario: each storage server is killed in turn under load and returns by delta", async () => {
  await using cluster = new FaultCluster();
  await cluster.start();
  const load = new VerifiedLoad({ open: cluster.open, sizeBytes: 256 << 20, seed: 7 });
  load.start();
  await load.runFor(2000);
  for (const { name } of cluster.state.sds) {
    const marks = await cluster.logMarks();
    await cluster.kill(name);
    await load.runFor(6000);
    const healthyMs = await cluster.healthy(HEALTHY_MS_MAX);
    const joins = await cluster.joinsSince(marks);
    console.log(`${name} killed:`, load.figures, `healthy after ${healthyMs + 6000} ms`, joins);
    assertEquals([joins.full, joins.failed], [0, 0]);
    assert(joins.delta > 0);
  }
  await load.finish();
  await load.flush();
  await load.verify();
  assert(load.longestMs < STALL_MS_MAX, `longest stall ${load.longestMs} ms`);
});

Deno.test("scenario: a killed storage server stays away, is taken over by grace, and is started by hand", async () => {
  await using cluster = new FaultCluster("--no-restart");
  await cluster.start();
  const load = new VerifiedLoad({ open: cluster.open, sizeBytes: 256 << 20, seed: 8 });
  load.start();
  await load.runFor(2000);
  const marks = await cluster.logMarks();
  await cluster.kill("sds-1");
  await load.runFor(12_000);
  const states = (await cluster.groups()).map(({ state }) => state);
  assert(!states.includes("down"), "every group was taken over");
  assert(states.includes("degraded"));
  const stallMs = load.longestMs;
  cluster.runByHand("sds-1");
  await load.runFor(3000);
  const healthyMs = await cluster.healthy(HEALTHY_MS_MAX);
  await load.finish();
  await load.flush();
  await load.verify();
  console.log("by grace:", load.figures, `healthy after ${healthyMs + 3000} ms`, await cluster.joinsSince(marks));
  assert(stallMs < STALL_MS_MAX, `longest stall ${stallMs} ms`);
});
