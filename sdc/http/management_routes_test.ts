import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { SAMPLE_MS } from "@/sdc/sampler.ts";
import { SAMPLES_KEPT_MS } from "@/sdc/store/store.ts";
import { MANAGEMENT_TOKEN, SdcAppFixture } from "@/tests/support/sdc_app_fixture.ts";

async function started(change: (fixture: SdcAppFixture) => void = () => {}): Promise<SdcAppFixture> {
  const fixture = new SdcAppFixture();
  change(fixture);
  fixture.start();
  await fixture.clock.advance(10);
  return fixture;
}

async function get(fixture: SdcAppFixture, path: string) {
  const answer = await fixture.sdc!.management.request(path);
  return { status: answer.status, json: await answer.json() };
}

Deno.test("managementRoutes() answer with the fields of the predecessor", async () => {
  await using fixture = await started();
  fixture.io("write", new Uint8Array(8192));
  await fixture.clock.advance(10);
  const fieldsOf = async (path: string) => Object.keys((await get(fixture, path)).json);
  assertEquals(await fieldsOf("/health"), [
    "status",
    "component",
    "timestamp",
    "nbd_server_running",
    "active_connections",
    "mapped_volumes",
    "mdm_reachable",
  ]);
  const { json: status } = await get(fixture, "/status");
  assertEquals([status.sdc_id, status.nbd_server_port, status.control_port, status.mgmt_port], [9, 10809, 8003, 8004]);
  assertEquals([status.mapped_volumes, status.active_connections, status.total_reads, status.total_writes], [
    1,
    0,
    0,
    1,
  ]);
  assertEquals([status.total_bytes_read, status.total_bytes_written, status.uptime_seconds], [0, 8192, 0]);
  const { json: metrics } = await get(fixture, "/metrics");
  assertEquals(Object.keys(metrics), ["io_operations", "throughput", "connections", "timestamp"]);
  assertEquals([metrics.throughput.avg_write_size, metrics.connections.active], [8192, 0]);
  const { json: { mappings: [mapping] } } = await get(fixture, "/mappings");
  assertEquals([mapping.volume_id, mapping.io_count, typeof mapping.mapped_at, typeof mapping.last_io_at], [
    7,
    1,
    "string",
    "string",
  ]);
  for (const path of ["/healthz", "/readyz"]) assertEquals((await get(fixture, path)).status, 200);
  assertEquals((await get(fixture, "/nothing")).status, 404);
});

Deno.test("managementRoutes() show every table, page by page", async (t) => {
  await using fixture = await started();
  for (const sds of fixture.sdss) sds.script = () => ({ refuse: "io_error" });
  for (let count = 0; count < 3; count++) fixture.io("read", new Uint8Array(512));
  await fixture.clock.advance(1_100);
  for (const sds of fixture.sdss) sds.script = () => "ignore";
  fixture.io("write", new Uint8Array(4096));
  await fixture.clock.advance(SAMPLE_MS);
  const rowsOf = async (name: string) => (await get(fixture, `/tables/${name}`)).json.rows;
  await t.step("all have a name and a kind", async () => {
    const { json: { tables } } = await get(fixture, "/tables");
    assertEquals(tables.map(({ name }: { name: string }) => name).sort(), [
      "active_tokens",
      "chunk_locations",
      "device_registry",
      "flush_generations",
      "io_error_log",
      "io_stats_local",
      "pending_io_operations",
      "pending_ios",
      "performance_metrics",
      "token_cache",
      "volume_mappings_cache",
    ]);
    for (const { name } of tables) assertEquals((await get(fixture, `/tables/${name}`)).status, 200, name);
  });
  await t.step("stored ones", async () => {
    const [registered] = await rowsOf("device_registry");
    assertMatch(registered.device_path, /^naa\.6[0-9a-f]{31}$/);
    assertEquals((await rowsOf("volume_mappings_cache"))[0].volume_name, "demo");
    const [sample] = await rowsOf("performance_metrics");
    assertEquals([sample.total_reads, sample.total_writes, sample.total_errors, sample.pending_ios], [3, 1, 3, 1]);
  });
  await t.step("computed ones", async () => {
    assertEquals((await rowsOf("chunk_locations")).length, 4);
    const [location] = await rowsOf("chunk_locations");
    assertEquals([location.generation, location.sds_id, typeof location.sds_data_port], [1, 1, "number"]);
    const [pending] = await rowsOf("pending_ios");
    assertEquals([pending.volume_id, pending.operation, pending.offset_bytes, pending.length_bytes], [
      7,
      "write",
      0,
      4096,
    ]);
  });
  await t.step("pages", async () => {
    const first = (await get(fixture, "/tables/io_error_log?limit=2")).json;
    assertEquals([first.rows.length, first.next_offset], [2, 2]);
    const second = (await get(fixture, "/tables/io_error_log?limit=2&offset=2")).json;
    assertEquals([second.rows.length, second.next_offset], [1, null]);
    assertEquals([...first.rows, ...second.rows].map(({ id }) => id), [3, 2, 1]);
  });
  await t.step("bad input", async () => {
    for (const query of ["limit=0", "limit=1001", "limit=x", "offset=-1"]) {
      assertEquals((await get(fixture, `/tables/io_error_log?${query}`)).status, 422, query);
    }
    assertEquals((await get(fixture, "/tables/sqlite_schema")).status, 404);
    assertEquals((await get(fixture, "/tables/constructor")).status, 404);
  });
  for (const sds of fixture.sdss) sds.script = () => "serve";
});

Deno.test("managementRoutes() back up both databases while they are used, for a manager only", async () => {
  const directory = Deno.makeTempDirSync();
  try {
    await using fixture = await started((fixture) => fixture.backupPath = `${directory}/backups`);
    const ask = (headers: Record<string, string>) =>
      fixture.sdc!.management.request("/backup", { method: "POST", headers });
    for (const headers of [{}, { Authorization: "Bearer wrong" }, { Authorization: "Basic x" }]) {
      const refused = await ask(headers);
      assertEquals(refused.status, 401);
      assertStringIncludes((await refused.json()).detail, "management.token");
    }
    assertEquals([...Deno.readDirSync(directory)], []);
    const answer = await (await ask({ Authorization: `Bearer ${MANAGEMENT_TOKEN}` })).json();
    assertEquals(answer.files.map(({ name }: { name: string }) => name), ["sdc_chunks.db", "sdc_local.db"]);
    using copy = new DatabaseSync(`${answer.path}/sdc_chunks.db`, { readOnly: true });
    assertEquals(copy.prepare("SELECT volume_name FROM volume_mappings_cache").get()?.["volume_name"], "demo");
    const signed = await ask(fixture.mdm.signed({ method: "POST", path: "/backup", body: "", componentId: "sdc-1" }));
    assertEquals(signed.status, 409, "the clock stands still: the folder is there");
    await signed.body?.cancel();
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});

Deno.test("startSampler() keeps seven days", async () => {
  await using fixture = await started();
  const { store, clock } = fixture;
  const sample = { reads: 0, writes: 0, readBytes: 0, writtenBytes: 0, errors: 0, pendingCount: 0, connectionCount: 0 };
  for (let count = 0; count < 1_500; count++) {
    store.addSample({ ...sample, atMs: clock.wallMs() - SAMPLES_KEPT_MS + count });
  }
  assertEquals(store.rowsOf("performance_metrics", { limit: 5_000, offset: 0 }).length, 1_500);
  await clock.advance(SAMPLE_MS);
  assertEquals(store.rowsOf("performance_metrics", { limit: 5_000, offset: 0 }).length, 501, "a thousand at a time");
  await clock.advance(SAMPLE_MS);
  assertEquals(store.rowsOf("performance_metrics", { limit: 5_000, offset: 0 }).length, 2);
});

Deno.test("FailureLog tells the MDM of failures with the next heartbeat, once", async () => {
  await using fixture = await started();
  for (const sds of fixture.sdss) sds.script = () => ({ refuse: "io_error" });
  for (let count = 0; count < 3; count++) fixture.io("read", new Uint8Array(512));
  await fixture.clock.advance(21_000);
  assertEquals(fixture.mdm.ioFailures.map(({ volumeId, count, code }) => [volumeId, count, code]), [[
    7,
    3,
    "io_error",
  ]]);
  assertStringIncludes(fixture.mdm.ioFailures[0]!.message, "Cannot read 512 bytes at 0 of volume demo");
});
