/**
 * A short selection of `deno task test:faults`: real processes, killed under a load that knows every byte.
 */
import { assert, assertEquals } from "@std/assert";
import { FaultCluster } from "@/tests/support/fault_cluster.ts";
import { type KillRound, killRound, RETURN_AT_ONCE, stallFigures } from "@/tests/support/kill_rounds.ts";
import { VerifiedLoad } from "@/tests/support/verified_load.ts";

const HEALTHY_MS_MAX = 30_000;

Deno.test("scenario: the primary of most groups is killed under load, and the cluster is whole again by itself", async () => {
  await using cluster = new FaultCluster("--volume-size", "64MiB");
  await cluster.start();
  const load = new VerifiedLoad({ open: cluster.open, sizeBytes: 32 << 20, seed: 1 });
  load.start();
  await load.runFor(1000);
  const name = await cluster.busiestSds();
  const pid = cluster.pidOf(name);
  await cluster.kill(name);
  await cluster.restarted(name, pid);
  await load.runFor(1000);
  await load.finish();
  await load.flush();
  await cluster.healthy(HEALTHY_MS_MAX);
  await load.verify();
  assert(load.figures.writes > 0);
});

Deno.test("scenario: every process is killed under load, and nothing acknowledged is lost", async () => {
  await using cluster = new FaultCluster("--volume-size", "64MiB");
  await cluster.start();
  const load = new VerifiedLoad({ open: cluster.open, sizeBytes: 32 << 20, seed: 2 });
  load.start();
  await load.runFor(1000);
  await load.flush();
  await load.runFor(200);
  await cluster.killAll();
  await load.stop();
  await cluster.start();
  await cluster.healthy(HEALTHY_MS_MAX);
  await load.verify();
  const lossGenerations = (await cluster.groups()).map(({ loss_generation }) => loss_generation);
  assertEquals(new Set(lossGenerations), new Set([0]));
});

const KILL_ROUNDS = 6;

Deno.test(`scenario: ${KILL_ROUNDS} rounds of kill -9 on random processes under one load, and every byte is right`, async () => {
  await using cluster = new FaultCluster("--volume-size", "64MiB");
  Object.assign(cluster.directory.environment, RETURN_AT_ONCE);
  await cluster.start();
  const load = new VerifiedLoad({ open: cluster.open, sizeBytes: 32 << 20, seed: 3, depth: 8 });
  load.start();
  const rounds: KillRound[] = [];
  for (let index = 0; index < KILL_ROUNDS; index++) {
    rounds.push(await killRound(cluster, { load, seed: "short", index }));
  }
  await load.finish();
  await load.flush();
  await load.verify();
  console.log(`${rounds.map(({ kind }) => kind).join(", ")}:`, stallFigures(rounds));
});
