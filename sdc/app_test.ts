import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { SdcAppFixture } from "@/tests/support/sdc_app_fixture.ts";

Deno.test("createSdc() enrols, registers, serves the mapped volume", async () => {
  await using fixture = new SdcAppFixture();
  fixture.start();
  await fixture.clock.advance(10);
  assertEquals([fixture.mdm.enrolCount, fixture.mdm.registerCount], [1, 1]);
  assertEquals(fixture.mdm.metadata, { nbd_uri: "nbd://127.0.0.1:10809", device_port: 8005 });
  assertEquals(fixture.sdc!.volumes.list(), ["demo"]);
  const written = fixture.io("write", new Uint8Array(8192).fill(3));
  const flushed = fixture.io("flush");
  await fixture.clock.advance(10);
  assertEquals([written.outcome, flushed.outcome], ["ok", "ok"]);
  await fixture.clock.advance(25_000);
  assertEquals(fixture.mdm.heartbeatCount, 2);
});

Deno.test("createSdc() keeps trying while the MDM is away, and while no operator has added it", async () => {
  await using fixture = new SdcAppFixture();
  fixture.cluster.mdmIsUp = false;
  fixture.mdm.sdcId = undefined;
  fixture.start();
  await fixture.clock.advance(20_000);
  assertEquals(fixture.mdm.enrolCount, 0);
  fixture.cluster.mdmIsUp = true;
  await fixture.clock.advance(5_000);
  assertEquals(fixture.mdm.enrolCount, 1);
  assertEquals((await fixture.sdc!.management.request("/readyz")).status, 503);
  fixture.mdm.sdcId = 9;
  await fixture.clock.advance(2_000);
  assertEquals(fixture.sdc!.volumes.list(), ["demo"]);
  assertEquals((await fixture.sdc!.management.request("/readyz")).status, 200);
});

Deno.test("createSdc() names its exports after a restart without the MDM; IO waits for it", async () => {
  await using fixture = new SdcAppFixture();
  fixture.start();
  await fixture.clock.advance(10);
  await fixture.stop();
  fixture.cluster.mdmIsUp = false;
  fixture.start(undefined);
  assertEquals(fixture.sdc!.volumes.list(), ["demo"]);
  assertEquals(fixture.sdc!.volumes.open("demo")!.sizeBytes, fixture.cluster.sizeBytes);
  const read = fixture.io("read", new Uint8Array(512));
  await fixture.clock.advance(3_000);
  assertEquals(read.outcome, undefined);
  fixture.cluster.mdmIsUp = true;
  await fixture.clock.advance(4_000);
  assertEquals(read.outcome, "ok");
  assertEquals(fixture.mdm.sdcSession, 2);
});

Deno.test("createSdc() follows the list of mappings: notices, growth, modes, the end", async (t) => {
  await using fixture = new SdcAppFixture();
  const { mdm, cluster, clock } = fixture;
  const [mapping] = mdm.mappings;
  mdm.mappings = [];
  fixture.start();
  await clock.advance(10);
  assertEquals(fixture.sdc!.volumes.list(), []);
  const notice = { volume_id: 7, volume_name: "demo", size_bytes: cluster.sizeBytes, access_mode: "readWrite" };
  await t.step("a notice brings the export at once", async () => {
    mdm.mappings = [mapping!];
    const answer = await fixture.control("/control/volume_mapped", notice);
    assertEquals(await answer.json(), { status: "mapped", volume_id: 7 });
    assertEquals(fixture.sdc!.volumes.list(), ["demo"]);
    assertEquals((await (await fixture.control("/control/volume_mapped", notice)).json()).status, "updated");
  });
  await t.step("it grows when a token covers the new size", async () => {
    await clock.advance(10);
    const device = fixture.sdc!.volumes.open("demo")!;
    cluster.sizeBytes *= 2;
    mdm.mappings = [{ ...mapping!, sizeBytes: cluster.sizeBytes }];
    await clock.advance(10_100);
    assertEquals([fixture.sdc!.volumes.open("demo") === device, device.sizeBytes], [true, cluster.sizeBytes]);
  });
  await t.step("a notice of growth is answered when the new size is served", async () => {
    const device = fixture.sdc!.volumes.open("demo")!;
    cluster.sizeBytes *= 2;
    mdm.mappings = [{ ...mapping!, sizeBytes: cluster.sizeBytes }];
    let servedBytes = 0;
    const answered = fixture.control("/control/volume_mapped", { ...notice, size_bytes: cluster.sizeBytes })
      .then((answer) => (servedBytes = device.sizeBytes, answer.json()));
    await clock.advance(200);
    assertEquals(await answered, { status: "updated", volume_id: 7 });
    assertEquals(servedBytes, cluster.sizeBytes);
  });
  await t.step("read-only refuses writes", async () => {
    mdm.mappings = [{ ...mapping!, accessMode: "readOnly", mappingGeneration: 2 }];
    await clock.advance(10_100);
    assertEquals(fixture.io("write", new Uint8Array(10)).outcome, "read_only");
  });
  await t.step("an unmapped volume is gone, its clients hear fenced", async () => {
    const device = fixture.sdc!.volumes.open("demo")!;
    mdm.mappings = [];
    const answer = await fixture.control("/control/volume_unmapped", { volume_id: 7 });
    assertEquals(await answer.json(), { status: "unmapped", volume_id: 7 });
    assertEquals(fixture.sdc!.volumes.list(), []);
    let outcome: string | undefined;
    device.submit({
      operation: "read",
      offsetBytes: 0,
      lengthBytes: 1,
      forceUnitAccess: false,
      noHole: false,
      data: new Uint8Array(1),
      complete: (error) => outcome = error,
    });
    assertEquals(outcome, "fenced");
  });
});

Deno.test("createSdc() fails what an older session had under way, and serves under the new one", async () => {
  await using fixture = new SdcAppFixture();
  fixture.start();
  await fixture.clock.advance(10);
  for (const sds of fixture.sdss) sds.script = () => "ignore";
  const written = fixture.io("write", new Uint8Array(4096));
  await fixture.clock.advance(10);
  fixture.mdm.sdcSession++;
  await fixture.clock.advance(10_100);
  assertEquals(written.outcome, "fenced");
  for (const sds of fixture.sdss) sds.script = () => "serve";
  const later = fixture.io("write", new Uint8Array(4096));
  await fixture.clock.advance(10);
  assertEquals(later.outcome, "ok");
  assertEquals(fixture.cluster.applied.map(({ opSession, opSeq }) => [opSession, opSeq]), [[3, 1]]);
});

Deno.test("createSdc() takes control calls only with the node's signature", async () => {
  await using fixture = new SdcAppFixture();
  fixture.start();
  await fixture.clock.advance(10);
  const unsigned = await fixture.sdc!.control.request("/control/mappings");
  assertEquals([unsigned.status, (await unsigned.json()).code], [401, "unauthorized"]);
  const { mappings } = await (await fixture.control("/control/mappings")).json();
  assertEquals(mappings.length, 1);
  assertEquals([mappings[0].volume_id, mappings[0].state, mappings[0].io_count], [7, "serving", 0]);
});

Deno.test("createSdc() shows health, status, mappings, metrics and errors", async () => {
  await using fixture = new SdcAppFixture();
  fixture.start();
  await fixture.clock.advance(10);
  fixture.io("write", new Uint8Array(8192));
  fixture.io("read", new Uint8Array(512));
  await fixture.clock.advance(10);
  for (const sds of fixture.sdss) sds.script = () => ({ refuse: "io_error" });
  const failed = fixture.io("read", new Uint8Array(512));
  await fixture.clock.advance(1_100);
  assertEquals(failed.outcome, "io_error");
  const get = async (path: string) => await (await fixture.sdc!.management.request(path)).json();
  assertEquals(await get("/health"), {
    status: "degraded",
    component: "SDC",
    timestamp: new Date(fixture.clock.wallMs()).toISOString(),
    nbd_server_running: false,
    active_connections: 0,
    mapped_volumes: 1,
    mdm_reachable: true,
  });
  const status = await get("/status");
  assertEquals([status.total_reads, status.total_writes, status.total_bytes_written, status.total_errors], [
    2,
    1,
    8192,
    1,
  ]);
  const { io_operations } = await get("/metrics");
  assertEquals(io_operations, { total_reads: 2, total_writes: 1, pending_ios: 0, retries: 0, errors: 1 });
  const text = await fixture.sdc!.management.request("/metrics", { headers: { Accept: "text/plain" } });
  assertMatch(await text.text(), /powerflex_sdc_written_bytes_total\{volume="demo"\} 8192/);
  const { errors } = await get("/io/errors");
  assertEquals([errors.length, errors[0].code], [1, "io_error"]);
  assertStringIncludes(errors[0].message, "Cannot read 512 bytes at 0 of volume demo");
  const { mappings } = await get("/mappings");
  assert(Date.parse(mappings[0].last_io_at) <= fixture.clock.wallMs());
  assert(Date.parse(mappings[0].last_io_at) >= fixture.clock.wallMs() - 2_000);
});
