/**
 * A storage server that is away for a minute copies what was written meanwhile, and no more.
 *
 * `DOWN_SECONDS=N` sets how long it is away, 60 without it.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { FaultCluster } from "@/tests/support/fault_cluster.ts";
import { jobsOf } from "@/tests/support/rebuild_view.ts";
import { until } from "@/tests/support/group_view.ts";
import { RandomWrites } from "@/tests/support/random_writes.ts";

const MIB = 1 << 20;
const DOWN_SECONDS = Number(Deno.env.get("DOWN_SECONDS") ?? 60);
const FILLED_BYTES = 512 * MIB;
/** The part of the volume that is written while the server is away, at its start. */
const WRITTEN_BYTES = 96 * MIB;
const CALM_MS = 10_000;
const HEALTHY_MS_MAX = 120_000;
/** What the slowest hundredth of the writes may take during the join, as a multiple of before; and never less than this. */
const P99_FACTOR_MAX = 3;
const P99_MS_ALWAYS = 100;

Deno.test(`scenario: a server is away for ${DOWN_SECONDS} s under random writes and copies only regions that were touched`, async () => {
  await using cluster = new FaultCluster("--no-restart");
  cluster.directory.environment["POWERFLEX_OUT_AFTER_MS"] = "10min";
  await cluster.start();
  const filling = new RandomWrites({ open: cluster.open, sizeBytes: FILLED_BYTES, seed: 41 });
  await filling.fill();
  await cluster.demo.stop(); // a clean stop forgets where copies may differ
  await cluster.start();
  await cluster.healthy(HEALTHY_MS_MAX);
  const load = new RandomWrites({ open: cluster.open, sizeBytes: WRITTEN_BYTES, seed: 42 });
  await load.runFor(CALM_MS);
  const before = load.takeP99Ms();
  const jobsBefore = (await jobsOf(cluster.state.mdm)).length;
  await cluster.kill("sds-2");
  await load.runFor(DOWN_SECONDS * 1000);
  load.takeP99Ms();
  cluster.runByHand("sds-2");
  const join = new AbortController();
  const writing = load.runUntil(join.signal);
  const degraded = { limitMs: HEALTHY_MS_MAX, problem: () => "No copy was begun" };
  await until(degraded, async () => (await jobsOf(cluster.state.mdm)).length > jobsBefore);
  const healthyMs = await cluster.healthy(HEALTHY_MS_MAX);
  join.abort();
  await writing;
  const during = load.takeP99Ms();
  const jobs = (await jobsOf(cluster.state.mdm)).slice(0, -jobsBefore || undefined);
  const copiedBytes = jobs.reduce((sum, job) => sum + job.bytes_copied, 0);
  const groups = (await cluster.groups()).length;
  const touchedBytes = load.touchedRegionBytes({ groups, filledBytes: FILLED_BYTES });
  const mib = (bytes: number) => `${(bytes / MIB).toFixed(1)} MiB`;
  console.log(
    `${DOWN_SECONDS} s away: ${load.written} writes touched regions of ${mib(touchedBytes)}, ${
      mib(copiedBytes)
    } copied;`,
    `p99 ${before.toFixed(1)} ms before, ${during.toFixed(1)} ms during the join; healthy after ${healthyMs} ms`,
  );
  await load.verify();
  await load.close();
  await filling.close();
  assertEquals(new Set(jobs.map(({ kind }) => kind)), new Set(["return"]));
  assert(copiedBytes > 0 && copiedBytes <= touchedBytes, `${copiedBytes} bytes copied of ${touchedBytes}`);
  const limitMs = Math.max(P99_MS_ALWAYS, P99_FACTOR_MAX * before);
  assert(during < limitMs, `p99 ${during} ms during the join, ${before} ms before`);
});
