/**
 * Processes that stop answering for a while without dying: longer and shorter than leases (3 s) and grace (5 s).
 *
 * @module
 */
import { assert } from "@std/assert";
import { FaultCluster } from "@/tests/support/fault_cluster.ts";
import { RETURN_AT_ONCE } from "@/tests/support/kill_rounds.ts";
import { SeededRandom } from "@/tests/sim/seeded_random.ts";
import { VerifiedLoad } from "@/tests/support/verified_load.ts";

const PAUSES_MS = [2000, 6000, 12_000];
/** A pause longer than grace stalls no longer than a loss does. */
const STALL_MS_MAX = 8000;
const HEALTHY_MS_MAX = 45_000;
/** Random pauses: how many, of which seed, how long at least and at most. */
const RANDOM_PAUSES = Number(Deno.env.get("PAUSE_COUNT") ?? 6);
const PAUSE_SEED = Deno.env.get("PAUSE_SEED") ?? "pause";
const PAUSE_MS_MIN = 100;
const PAUSE_MS_MAX = 90_000;

Deno.test("scenario: each storage server stands still for 2, 6 and 12 s under load, and no read is stale", async () => {
  await using cluster = new FaultCluster();
  await cluster.start();
  const load = new VerifiedLoad({ open: cluster.open, sizeBytes: 128 << 20, seed: 9 });
  load.start();
  await load.runFor(2000);
  for (const pauseMs of PAUSES_MS) {
    for (const { name } of cluster.state.sds) {
      const marks = await cluster.logMarks();
      await Promise.all([cluster.pause(name, pauseMs), load.runFor(pauseMs + 2000)]);
      const healthyMs = await cluster.healthy(HEALTHY_MS_MAX);
      const joins = JSON.stringify(await cluster.joinsSince(marks));
      console.log(
        `${name} stood still for ${pauseMs} ms:`,
        load.figures,
        `healthy ${healthyMs + 2000} ms later`,
        joins,
      );
    }
  }
  await load.finish();
  await load.flush();
  await load.verify();
  assert(load.longestMs < STALL_MS_MAX, `longest stall ${load.longestMs} ms`);
});

Deno.test("scenario: the MDM stands still for 8 s under load, and IO goes on", async () => {
  await using cluster = new FaultCluster();
  await cluster.start();
  const load = new VerifiedLoad({ open: cluster.open, sizeBytes: 128 << 20, seed: 10 });
  load.start();
  await load.runFor(2000);
  const before = load.longestMs;
  await Promise.all([cluster.pause("mdm", 8000), load.runFor(10_000)]);
  await load.finish();
  await load.verify();
  console.log("MDM stood still:", load.figures, `longest before ${before} ms`);
  assert(load.longestMs < 2000, `longest stall ${load.longestMs} ms`);
});

Deno.test(`scenario: random processes stand still ${RANDOM_PAUSES} times, and no read is stale`, async () => {
  await using cluster = new FaultCluster();
  Object.assign(cluster.directory.environment, RETURN_AT_ONCE);
  await cluster.start();
  const random = new SeededRandom(PAUSE_SEED);
  const load = new VerifiedLoad({ open: cluster.open, sizeBytes: 64 << 20, seed: 15, depth: 8 });
  load.start();
  await load.runFor(1000);
  for (let round = 1; round <= RANDOM_PAUSES; round++) {
    const names = cluster.names().filter((name) => name !== "mgmt");
    const name = random.pick(names);
    const pauseMs = Math.round(PAUSE_MS_MIN * (PAUSE_MS_MAX / PAUSE_MS_MIN) ** random.fraction());
    load.takeLongestMs();
    await Promise.all([cluster.pause(name, pauseMs), load.runFor(pauseMs + 2000)]);
    const healthyMs = await cluster.healthy(HEALTHY_MS_MAX);
    const stallMs = load.takeLongestMs();
    console.log(
      `pause ${round}: ${name} for ${pauseMs} ms, longest stall ${stallMs} ms, healthy ${healthyMs} ms later`,
    );
    if (name !== "sdc-1") assert(stallMs < STALL_MS_MAX, `longest stall ${stallMs} ms`);
  }
  await load.finish();
  await load.flush();
  await load.verify();
  console.log(`${RANDOM_PAUSES} pauses of seed ${PAUSE_SEED}:`, load.figures);
});
