/**
 * The client gateway and the metadata manager are killed under load.
 *
 * @module
 */
import { assert } from "@std/assert";
import { FaultCluster } from "@/tests/support/fault_cluster.ts";
import { VerifiedLoad } from "@/tests/support/verified_load.ts";

Deno.test("scenario: the SDC is killed under load, returns, and its clients find every byte", async () => {
  await using cluster = new FaultCluster();
  await cluster.start();
  const load = new VerifiedLoad({ open: cluster.open, sizeBytes: 128 << 20, seed: 11, connections: 3 });
  load.start();
  for (let round = 1; round <= 3; round++) {
    await load.runFor(3000);
    const pid = cluster.pidOf("sdc-1");
    await cluster.kill("sdc-1");
    await cluster.restarted("sdc-1", pid);
    await load.runFor(3000);
    console.log(`SDC killed, round ${round}:`, load.figures);
  }
  await load.finish();
  await load.flush();
  await load.verify();
  assert(load.figures.repeats > 0, "requests were in flight");
  await cluster.healthy(10_000);
});

Deno.test("scenario: the MDM is killed under load, and IO goes on without it", async () => {
  await using cluster = new FaultCluster("--no-restart");
  await cluster.start();
  const load = new VerifiedLoad({ open: cluster.open, sizeBytes: 128 << 20, seed: 12 });
  load.start();
  await load.runFor(3000);
  await cluster.kill("mdm");
  // Longer than a token lives (60 s): what the processes know must carry them.
  await load.runFor(75_000);
  console.log("MDM away for 75 s:", load.figures);
  assert(load.longestMs < 2000, `longest stall ${load.longestMs} ms`);
  await cluster.runByHand("mdm");
  await load.runFor(5000);
  await cluster.healthy(30_000);
  await load.finish();
  await load.flush();
  await load.verify();
});

Deno.test("scenario: the MDM and a storage server are killed together under load, and return", async () => {
  await using cluster = new FaultCluster();
  await cluster.start();
  const load = new VerifiedLoad({ open: cluster.open, sizeBytes: 128 << 20, seed: 13 });
  load.start();
  await load.runFor(2000);
  for (const name of ["sds-1", "sds-2", "sds-3"]) {
    const pid = cluster.pidOf("mdm");
    await Promise.all([cluster.kill("mdm"), cluster.kill(name)]);
    await load.runFor(10_000);
    await cluster.restarted("mdm", pid);
    const healthyMs = await cluster.healthy(30_000);
    console.log(`MDM and ${name} killed:`, load.figures, `healthy after ${healthyMs + 10_000} ms`);
  }
  await load.finish();
  await load.flush();
  await load.verify();
  assert(load.longestMs < 10_000, `longest stall ${load.longestMs} ms`);
});
