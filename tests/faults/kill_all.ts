/**
 * All role processes and the supervisor are killed under load, and the cluster is started again.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { FaultCluster } from "@/tests/support/fault_cluster.ts";
import { VerifiedLoad } from "@/tests/support/verified_load.ts";

const ROUNDS = 3;

Deno.test("scenario: kill -9 of every process under load, and nothing acknowledged is lost", async () => {
  await using cluster = new FaultCluster();
  await cluster.start();
  const load = new VerifiedLoad({ open: cluster.open, sizeBytes: 256 << 20, seed: 5, depth: 16, connections: 2 });
  for (let round = 1; round <= ROUNDS; round++) {
    load.start();
    await load.runFor(3000);
    await load.flush();
    await load.runFor(500); // some of it is not flushed
    await cluster.killAll();
    await load.stop();
    const readyMs = await cluster.start();
    const healthyMs = await cluster.healthy(30_000);
    await load.verify();
    console.log(`round ${round}: ready after ${readyMs} ms, healthy ${healthyMs} ms later`, load.figures);
    assert(readyMs + healthyMs < 30_000, "healthy within 30 s");
    const lost = (await cluster.groups()).filter(({ loss_generation }) => loss_generation > 0);
    assertEquals(lost, [], "the host stayed up, so no copy can have lost anything");
  }
  // The flush after it covers writes of both lives.
  load.start();
  await load.runFor(1000);
  await load.finish();
  await load.flush();
  await load.verify();
});

Deno.test("scenario: kill -9 of all storage servers at once under load, and IO goes on when they return", async () => {
  await using cluster = new FaultCluster();
  await cluster.start();
  const load = new VerifiedLoad({ open: cluster.open, sizeBytes: 256 << 20, seed: 6 });
  load.start();
  await load.runFor(2000);
  await Promise.all(cluster.state.sds.map(({ name }) => cluster.kill(name)));
  await load.runFor(15_000);
  await load.finish();
  await load.flush();
  await load.verify();
  console.log("all servers killed", load.figures, `healthy after ${await cluster.healthy(30_000)} ms`);
});

Deno.test("scenario: a server is lost, later all others too, and its old copies never serve", async () => {
  await using cluster = new FaultCluster("--no-restart");
  await cluster.start();
  const load = new VerifiedLoad({ open: cluster.open, sizeBytes: 64 << 20, seed: 14 });
  for (const name of ["sds-1", "sds-2", "sds-3"]) {
    load.start();
    await load.runFor(2000);
    await cluster.kill(name);
    await load.runFor(9000); // taken over; now it has old copies of everything
    await cluster.killAll();
    await load.stop();
    const readyMs = await cluster.start();
    await load.verify(); // at once: whoever serves has the newest
    const healthyMs = await cluster.healthy(30_000);
    console.log(`${name}, then all: ready after ${readyMs} ms, healthy ${healthyMs} ms later`, load.figures);
    await load.verify();
  }
  const lost = (await cluster.groups()).filter(({ loss_generation }) => loss_generation > 0);
  assertEquals(lost, []);
});
