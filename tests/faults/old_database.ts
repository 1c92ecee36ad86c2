/**
 * The MDM starts with an older copy of its database: it refuses to decide about groups of which a storage server knows more, says so,
 * and nobody reads an old byte. With the newer database back, all is well again.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { z } from "zod";
import { FaultCluster } from "@/tests/support/fault_cluster.ts";
import { until } from "@/tests/support/group_view.ts";
import { VerifiedLoad } from "@/tests/support/verified_load.ts";

const HEALTHY_MS_MAX = 60_000;
const eventSchema = z.array(z.object({ type: z.string(), severity: z.string() }));

Deno.test("scenario: the MDM's database is put back to an older copy, which is noticed, and no read is old", async () => {
  await using cluster = new FaultCluster();
  await cluster.start();
  const load = new VerifiedLoad({ open: cluster.open, sizeBytes: 64 << 20, seed: 61, depth: 8 });
  load.start();
  await load.runFor(2000);
  await swap(cluster, (dir) => copyDatabase(dir, `${cluster.dir}/older`));
  await cluster.healthy(HEALTHY_MS_MAX);
  const pid = cluster.pidOf("sds-1");
  await cluster.kill("sds-1");
  await cluster.restarted("sds-1", pid);
  await load.runFor(3000);
  await cluster.healthy(HEALTHY_MS_MAX);
  await swap(cluster, async (dir) => {
    await copyDatabase(dir, `${cluster.dir}/newer`);
    await copyDatabase(`${cluster.dir}/older`, dir);
  });
  const notTold = { limitMs: HEALTHY_MS_MAX, problem: () => "No event tells of the older database" };
  await until(notTold, async () => (await eventsOf(cluster)).some(({ type }) => type === "epoch_ahead"));
  await load.runFor(10_000); // every read that is answered is of the newest
  const told = (await eventsOf(cluster)).filter(({ type }) => type === "epoch_ahead");
  assertEquals(new Set(told.map(({ severity }) => severity)), new Set(["critical"]));
  await swap(cluster, (dir) => copyDatabase(`${cluster.dir}/newer`, dir));
  await cluster.healthy(HEALTHY_MS_MAX);
  await load.finish();
  await load.flush();
  await load.verify();
  console.log(`an older database: ${told.length} groups refused;`, load.figures);
  assert(load.figures.writes > 0);
});

/** Kills the MDM and works in its directory before the supervisor starts it again, a second later. */
async function swap(cluster: FaultCluster, work: (dir: string) => Promise<void>): Promise<void> {
  const pid = cluster.pidOf("mdm");
  await cluster.kill("mdm");
  await work(`${cluster.dir}/mdm`);
  await cluster.restarted("mdm", pid);
}

/** The database with its log replaces the one in `to`. */
async function copyDatabase(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for (const name of ["powerflex.db", "powerflex.db-wal", "powerflex.db-shm"]) {
    await Deno.remove(`${to}/${name}`).catch(() => {}); // not there
    await Deno.copyFile(`${from}/${name}`, `${to}/${name}`).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }
}

async function eventsOf(cluster: FaultCluster): Promise<z.output<typeof eventSchema>> {
  const answer = await fetch(`${cluster.state.mdm.url}/api/v1/events?limit=1000`);
  return eventSchema.parse(await answer.json());
}
