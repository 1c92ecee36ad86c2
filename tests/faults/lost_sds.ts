/**
 * One of four storage servers is lost for good: the others make its copies again by themselves, at the rate that an operator set.
 *
 * `LOST_MIB=N` sets how much data the volume has, 512 without it; `LOST_LIMIT_MBPS=N` the limit, 20 without it.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { sleep, systemClock } from "@/shared/clock.ts";
import { FaultCluster } from "@/tests/support/fault_cluster.ts";
import { RandomWrites } from "@/tests/support/random_writes.ts";
import { endsOfJob, limitRebuild, rebuildOf, type RebuildView } from "@/tests/support/rebuild_view.ts";

const DATA_MIB = Number(Deno.env.get("LOST_MIB") ?? 512);
const LIMIT_MBPS = Number(Deno.env.get("LOST_LIMIT_MBPS") ?? 20);
const LIMIT_SLACK = 1.1;
const SAMPLE_MS = 500;
const VOLUME_GIB = Math.max(1, Math.ceil(DATA_MIB / 1024));

Deno.test(`scenario: one of four servers is lost with ${DATA_MIB} MiB of data, and there are two copies again by themselves`, async () => {
  await using cluster = new FaultCluster("--sds", "4", "--no-restart", "--volume-size", `${VOLUME_GIB}GiB`);
  await cluster.start();
  await limitRebuild(cluster.state.mdm, LIMIT_MBPS);
  const data = new RandomWrites({ open: cluster.open, sizeBytes: DATA_MIB << 20, seed: 51 });
  await data.fill();
  await data.runFor(3000);
  const killedMs = systemClock.monotonicMs();
  await cluster.kill("sds-3");
  const samples = await watch(cluster, 120_000 + DATA_MIB * 2 ** 20 / LIMIT_MBPS / 250);
  const tookMs = systemClock.monotonicMs() - killedMs;
  const copying = samples.filter(({ view }) => view.rate_mbps > 0);
  const job = samples.at(-1)!.view.jobs.find(({ kind }) => kind === "rebuild");
  assert(job !== undefined, "there was a job");
  const ends = await endsOfJob(cluster.state.mdm, job.job_id);
  const rate = rateOf(copying);
  const timesLeft = copying.map(({ view }) => view.time_left_seconds).filter((seconds) => seconds !== null);
  console.log(
    `lost for good: whole ${Math.round(tookMs / 1000)} s later, ${(job.bytes_copied / 2 ** 20).toFixed(0)} MiB copied`,
    `at ${rate.toFixed(1)} MB/s of ${LIMIT_MBPS}, from ${ends.sources} servers to ${ends.targets} devices;`,
    `time left told ${timesLeft.length} times, first ${timesLeft[0]} s`,
  );
  await data.verify();
  await data.close();
  const groups = await cluster.groups();
  assertEquals(groups.filter(({ state }) => state !== "full"), []);
  assert(groups.every(({ members }) => members.every(({ sds_name }) => sds_name !== "sds-3")));
  assert(ends.sources >= 2 && ends.targets >= 2, "many to many");
  assert(timesLeft.length > 0, "the time left is told");
  assert(rate <= LIMIT_MBPS * LIMIT_SLACK, `${rate} MB/s of ${LIMIT_MBPS}`);
});

interface Sample {
  readonly atMs: number;
  readonly view: RebuildView;
}

/** The rebuild from the loss of a server until everything is there twice again. @throws {Error} after `limitMs`. */
async function watch(cluster: FaultCluster, limitMs: number): Promise<Sample[]> {
  const samples: Sample[] = [];
  const startedMs = systemClock.monotonicMs();
  while (systemClock.monotonicMs() - startedMs < limitMs) {
    await sleep(systemClock, SAMPLE_MS);
    const view = await rebuildOf(cluster.state.mdm);
    samples.push({ atMs: systemClock.monotonicMs(), view });
    const isWhole = view.jobs.some(({ kind, state }) => kind === "rebuild" && state === "done") &&
      (await cluster.groups()).every(({ state }) => state === "full");
    if (isWhole) return samples;
  }
  throw new Error(`After ${limitMs} ms the rebuild is ${JSON.stringify(samples.at(-1)?.view)}`);
}

/** Mean MB/s of 10^6 bytes from the first to the last sample; 0 of fewer than two. */
function rateOf(samples: readonly Sample[]): number {
  const [first, last] = [samples[0], samples.at(-1)];
  if (first === undefined || last === undefined || first === last) return 0;
  return (last.view.bytes_copied - first.view.bytes_copied) / 1000 / (last.atMs - first.atMs);
}
