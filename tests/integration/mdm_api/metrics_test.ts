/**
 * Metrics of the cluster and its parts, in JSON and for Prometheus.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { assertRefused } from "@/tests/support/api_refusals.ts";
import { MdmFixture } from "@/tests/support/mdm_fixture.ts";

const MB = 1e6;

/**
 * A volume that SDC 1 writes at 100 operations and 1 MB per second through SDS 1; both beat each half second. A write takes the SDS
 * 0.5 ms, as the SDC sees it 2 ms.
 */
async function underLoad(): Promise<MdmFixture> {
  const fixture = new MdmFixture();
  await fixture.topology(2);
  const sdc = await fixture.addSdc();
  await fixture.run(2_000);
  await fixture.ok("POST", "/vol/create", { name: "v", size_gb: 1, pool_id: 1 });
  await fixture.ok("POST", "/vol/create", { name: "t", size_gb: 2, provisioning: "thick", pool_id: 1 });
  await fixture.ok("POST", "/vol/map?volume_id=1&sdc_id=1");
  const [sds] = fixture.sdss;
  assert(sds !== undefined);
  for (let halfSeconds = 1; halfSeconds <= 40; halfSeconds++) {
    const writes = 50 * halfSeconds;
    const io = [{ volumeId: 1, sdcId: 1, reads: 0, writes, readBytes: 0, writtenBytes: writes * MB / 100 }];
    // The fakes' ids are plain numbers.
    const served = { operations: writes, timeMs: 0.5 * writes };
    sds.extra = { io, served, nodeUsage: [{ nodeId: 1, chunkCount: 512 }] } as typeof sds.extra;
    const timed = { errors: 0, timedOperations: writes, timedMs: 2 * writes };
    const beat = { sdcSession: null, mappingVersion: 0, io: [{ ...io[0], ...timed }] };
    assertEquals((await sdc.call("/internal/v1/sdc/heartbeat", beat)).status, 200);
    await fixture.run(500);
  }
  return fixture;
}

Deno.test("/metrics/* tell capacity, state and rates of the last 5 s of each part", async (t) => {
  await using fixture = await underLoad();
  const rates = { iops: 100, read_iops: 0, write_iops: 100, bandwidth_mbps: 1, read_bandwidth_mbps: 0 };
  const parts = [["pool", "pool", 2], ["volume", "v", 2], ["sds", "sds-1", 0.5], ["sdc", "sdc-1", 2]] as const;
  for (const [part, name, latencyMs] of parts) {
    await t.step(`/metrics/${part}/1`, async () => {
      const metrics = await fixture.ok("GET", `/metrics/${part}/1`);
      assertEquals([metrics.id, metrics.name, metrics.window_seconds, metrics.latency_ms], [1, name, 5, latencyMs]);
      for (const [key, value] of Object.entries(rates)) {
        assert(
          Math.abs(metrics[key] - value) < 0.1 * value + 0.001,
          `${key} is ${metrics[key]}, it should be ${value}`,
        );
      }
    });
  }
  assertEquals((await fixture.ok("GET", "/metrics/sdc/1")).state, "UP");
  const pool = await fixture.ok("GET", "/pool/1/metrics");
  assertEquals([pool.total_capacity_gb, pool.used_capacity_gb, pool.reserved_capacity_gb], [10, 0.5, 2]);
  assertEquals([pool.free_capacity_gb, pool.utilization_percent, pool.health], [7.5, 25, "OK"]);
  const idle = await fixture.ok("GET", "/metrics/volume/2");
  assertEquals([idle.iops, idle.latency_ms], [0, null]);
  assertEquals((await fixture.ok("GET", "/metrics/cluster")).storage, {
    total_capacity_gb: 10,
    used_capacity_gb: 2.5,
    free_capacity_gb: 7.5,
    utilization_percent: 25,
  });
  await assertRefused(
    t,
    fixture,
    ["/pool/9/metrics", "/metrics/pool/9", "/metrics/volume/9", "/metrics/sds/9", "/metrics/sdc/9"].map((path) => ({
      method: "GET",
      path,
      status: 404,
      says: /There is no/,
    })),
  );
  await assertRefused(t, fixture, [{ method: "GET", path: "/metrics/pool/x", status: 422, says: /id/ }]);
});

Deno.test("/metrics/timeline has a sample each 5 s, of the newest five minutes", async () => {
  await using fixture = await underLoad();
  const early = await fixture.ok("GET", "/metrics/timeline");
  assertEquals([early.interval_seconds, early.count, early.samples.length], [5, early.count, early.count]);
  assert(early.count >= 3 && early.count <= 5, `20 s make ${early.count} samples`);
  const last = early.samples.at(-1);
  assertEquals(last.latency_ms, 2);
  assert(last.write_iops > 90 && last.write_iops < 110, `write_iops is ${last.write_iops}`);
  await fixture.clock.advance(320_000);
  const { count, samples } = await fixture.ok("GET", "/metrics/timeline");
  assertEquals(count, 60);
  const times = samples.map(({ timestamp }: { timestamp: string }) => Date.parse(timestamp));
  assertEquals(times, times.toSorted((a: number, b: number) => a - b), "oldest first");
});

Deno.test("/prometheus/metrics has every figure that the predecessor named", async () => {
  await using fixture = await underLoad();
  const text = await fixture.ok("GET", "/prometheus/metrics");
  assertEquals(await fixture.ok("GET", "/metrics"), text);
  const names = [
    ...["total_capacity_gb", "used_capacity_gb", "free_capacity_gb", "health", "rebuild_progress_percent"]
      .map((name) => `pool_${name}`),
    ...["pool_iops", "pool_bandwidth_mbps", "volume_iops", "volume_bandwidth_mbps", "sds_iops", "sds_bandwidth_mbps"],
    ...["volume_size_gb", "volume_state", "volume_latency_ms", "sds_latency_ms"],
    ...["sds_capacity_gb", "sds_used_capacity_gb", "sds_state"],
  ];
  for (const name of names) assertMatch(text, new RegExp(`^# TYPE powerflex_${name} gauge$`, "m"));
  assertMatch(text, /^powerflex_pool_free_capacity_gb{pool="pool"} 7\.5$/m);
  assertMatch(text, /^powerflex_volume_state{volume="v"} 2$/m);
  assertMatch(text, /^powerflex_volume_latency_ms{volume="v"} 2$/m);
  assertMatch(text, /^powerflex_sds_latency_ms{sds="sds-1"} 0\.5$/m);
});
