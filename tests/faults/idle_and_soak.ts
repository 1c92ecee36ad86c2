/**
 * What a cluster takes while nobody uses it, and whether its memory stays flat under load.
 *
 * `SOAK_SECONDS` sets the length of the soak, 120 without it.
 *
 * @module
 */
import { assert } from "@std/assert";
import { sleep, systemClock } from "@/shared/clock.ts";
import { FaultCluster } from "@/tests/support/fault_cluster.ts";
import { fioVerify, TWO_CONNECTIONS } from "@/tests/support/fio_verify.ts";
import { cpuMs, residentMib } from "@/tests/support/process_use.ts";
import { programTest } from "@/tests/support/programs.ts";

const SETTLE_MS = 15_000;
const IDLE_MS = 60_000;
/** Of one core, all processes together. */
const IDLE_SHARE_MAX = 0.03;
const RESIDENT_MIB_MAX = 900;
/** How much more the second half of a soak may hold than the first half came to. */
const GROWTH_MAX = 1.1;
const SAMPLE_MS = 5000;
const SOAK_SECONDS = Number(Deno.env.get("SOAK_SECONDS") ?? 120);

Deno.test("scenario: an idle cluster takes less than 3 % of a core", async () => {
  await using cluster = new FaultCluster();
  await cluster.start();
  await sleep(systemClock, SETTLE_MS);
  const names = cluster.names();
  const before = names.map((name) => cpuMs(cluster.pidOf(name)));
  await sleep(systemClock, IDLE_MS);
  const used = names.map((name, index) => cpuMs(cluster.pidOf(name)) - before[index]!);
  const share = used.reduce((sum, ms) => sum + ms, 0) / IDLE_MS;
  const table = names.map((name, index) => `${name} ${(used[index]! / IDLE_MS * 100).toFixed(2)} %`);
  console.log(`idle: ${(share * 100).toFixed(2)} % of a core:`, table.join(", "));
  assert(share < IDLE_SHARE_MAX, `${(share * 100).toFixed(2)} % of a core`);
});

programTest("scenario: memory stays flat while fio writes and verifies", ["fio"], async () => {
  await using cluster = new FaultCluster();
  await cluster.start();
  const names = cluster.names();
  const samples: number[][] = [];
  const finished = new AbortController();
  const sampling = (async () => {
    while (!finished.signal.aborted) {
      samples.push(names.map((name) => residentMib(cluster.pidOf(name))));
      await sleep(systemClock, SAMPLE_MS, finished.signal);
    }
  })();
  const verdict = await fioVerify(TWO_CONNECTIONS, { uri: cluster.unixUri, seconds: SOAK_SECONDS }).finally(() => {
    finished.abort();
  });
  await sampling;
  const totals = samples.map((row) => row.reduce((sum, mib) => sum + mib, 0));
  const half = Math.floor(totals.length / 2);
  const [first, second] = [Math.max(...totals.slice(0, half)), Math.max(...totals.slice(half))];
  const peaks = names.map((name, index) => `${name} ${Math.max(...samples.map((row) => row[index]!))}`);
  console.log(
    `soak:`,
    verdict,
    `peak ${first} MiB, then ${second} MiB, end ${totals.at(-1)}; peaks:`,
    peaks.join(", "),
  );
  console.log(`MiB over time: ${totals.filter((_, index) => index % 6 === 0).join(" ")}`);
  assert(Math.max(first, second) < RESIDENT_MIB_MAX, `${Math.max(first, second)} MiB`);
  assert(second <= first * GROWTH_MAX, `${first} MiB in the first half, ${second} MiB in the second`);
});
