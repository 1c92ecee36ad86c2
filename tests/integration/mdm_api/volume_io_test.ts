/**
 * Reads and writes of the MDM's API: an SDC carries them out, the MDM checks who may and hands over.
 */
import { assertEquals } from "@std/assert";
import { CHUNK_BYTES } from "@/shared/constants.ts";
import { assertRefused, served } from "@/tests/support/api_refusals.ts";
import type { MdmFixture } from "@/tests/support/mdm_fixture.ts";

const HELLO = btoa("Hello PowerFlex!");

/** A volume of 4 MiB, mapped to SDC 1, which writes and reads in memory. */
async function withSdc(test: (fixture: MdmFixture) => Promise<void>): Promise<void> {
  await using fixture = await served();
  await fixture.run(2_000);
  await fixture.ok("POST", "/vol/create", { name: "v", size_gb: 4 / 1024, pool_id: 1 });
  await fixture.ok("POST", "/vol/map?volume_id=1&sdc_id=1");
  const device = new Uint8Array(4 * CHUNK_BYTES);
  // deno-lint-ignore no-explicit-any -- the calls are what shared/api/sdc_io.ts says
  fixture.controlAnswers.set("/control/io/write", ({ offset_bytes, data_b64 }: any) => {
    const data = Uint8Array.fromBase64(data_b64);
    device.set(data, offset_bytes);
    return { status: 200, body: { bytes_written: data.length, replicas_written: 2 } };
  });
  // deno-lint-ignore no-explicit-any -- as above
  fixture.controlAnswers.set("/control/io/read", ({ offset_bytes, length_bytes }: any) => {
    const data = device.slice(offset_bytes, offset_bytes + length_bytes);
    return { status: 200, body: { data_b64: data.toBase64(), bytes_read: data.length } };
  });
  await test(fixture);
}

Deno.test("/vol/{id}/io/write and /read give back what was written, by the SDC over the network", async () => {
  await withSdc(async (fixture) => {
    const place = { sdc_id: 1, offset_bytes: 4096 };
    assertEquals(await fixture.ok("POST", "/vol/1/io/write", { ...place, data_b64: HELLO }), {
      status: "written",
      volume_id: 1,
      ...place,
      bytes_written: 16,
      replicas_written: 2,
      io_path: "network",
      io_mode: "network",
      write_policy: "all",
    });
    assertEquals(await fixture.ok("POST", "/vol/1/io/read", { ...place, length_bytes: 16 }), {
      status: "read",
      volume_id: 1,
      ...place,
      bytes_read: 16,
      data_b64: HELLO,
      utf8_text: "Hello PowerFlex!",
      io_path: "network",
      io_mode: "network",
      read_policy: "first_healthy",
    });
    await fixture.ok("POST", "/vol/1/io/write", { ...place, data_b64: btoa("\xff\xfe") });
    assertEquals((await fixture.ok("POST", "/vol/1/io/read", { ...place, length_bytes: 2 })).utf8_text, null);
    assertEquals(fixture.callsTo("/control/io/write").length, 2);
  });
});

Deno.test("/vol/{id}/io/* refuse what is wrong before the SDC hears of it", async (t) => {
  await withSdc(async (fixture) => {
    const write = { sdc_id: 1, offset_bytes: 0, data_b64: HELLO };
    const read = { sdc_id: 1, offset_bytes: 0, length_bytes: 16 };
    const [writePath, readPath] = ["/vol/1/io/write", "/vol/1/io/read"];
    await fixture.enrol("sdc-2", "SDC", 8013);
    await fixture.ok("POST", "/sdc/add", { name: "sdc-2" });
    await assertRefused(t, fixture, [
      { path: "/vol/9/io/write", body: write, status: 404, says: /no volume 9/ },
      { path: "/vol/x/io/write", body: write, status: 422, says: /id/ },
      { path: writePath, body: { ...write, sdc_id: 9 }, status: 404, says: /no SDC 9/ },
      { path: writePath, body: { ...write, sdc_id: 2 }, status: 403, says: /v: it is not mapped to sdc-2/ },
      { path: readPath, body: { ...read, sdc_id: 2 }, status: 403, says: /not mapped/ },
      { path: writePath, body: { ...write, sdc_id: undefined }, status: 422, says: /sdc_id: is required/ },
      { path: writePath, body: { ...write, data_b64: undefined }, status: 422, says: /data_b64/ },
      { path: writePath, body: { ...write, data_b64: "" }, status: 422, says: /data_b64/ },
      { path: writePath, body: { ...write, data_b64: "no base64!" }, status: 422, says: /data_b64/ },
      { path: writePath, body: { ...write, offset_bytes: -1 }, status: 422, says: /offset_bytes/ },
      { path: writePath, body: { ...write, offset_bytes: "0" }, status: 422, says: /offset_bytes/ },
      { path: writePath, body: { ...write, offset_bytes: 4 * CHUNK_BYTES - 15 }, status: 400, says: /end beyond its/ },
      { path: readPath, body: { ...read, length_bytes: 0 }, status: 422, says: /length_bytes/ },
      { path: readPath, body: { ...read, length_bytes: 2 ** 30 }, status: 422, says: /length_bytes/ },
      { path: readPath, body: { ...read, length_bytes: 4 * CHUNK_BYTES + 1 }, status: 400, says: /end beyond its/ },
    ]);
    await fixture.ok("POST", "/vol/map?volume_id=1&sdc_id=1&access_mode=readOnly");
    await assertRefused(t, fixture, [{ path: writePath, body: write, status: 403, says: /read-only/ }]);
    assertEquals(fixture.callsTo("/control/io/write"), []);
    assertEquals(fixture.callsTo("/control/io/read"), []);
    await fixture.ok("POST", readPath, read);
  });
});

Deno.test("/vol/{id}/io/* pass on the SDC's refusals, and say when it cannot be asked", async (t) => {
  await withSdc(async (fixture) => {
    const request = { path: "/vol/1/io/read", body: { sdc_id: 1, offset_bytes: 0, length_bytes: 16 } };
    const refusals: [number, unknown, number, RegExp][] = [
      [504, { code: "give_up", detail: "not done after 30000 ms" }, 504, /through sdc-1: not done after/],
      [403, { code: "forbidden", detail: "is not mapped to this SDC" }, 403, /not mapped to this SDC/],
      [401, { code: "unauthorized", detail: "who are you" }, 503, /answered with status 401/],
      [404, { code: "not_found", detail: "no such path" }, 503, /answered with status 404/],
      [500, "no problem", 503, /answered with status 500/],
    ];
    for (const [answered, body, status, says] of refusals) {
      fixture.controlAnswers.set("/control/io/read", () => ({ status: answered, body }));
      await assertRefused(t, fixture, [{ ...request, status, says }]);
    }
    fixture.silentPorts.add(8003);
    await assertRefused(t, fixture, [{ ...request, status: 503, says: /the SDC does not answer/ }]);
  });
});

Deno.test("/vol/{id}/debug/storage tells where chunks are", async (t) => {
  await withSdc(async (fixture) => {
    const debug = await fixture.ok("GET", "/vol/1/debug/storage");
    assertEquals([debug.volume_name, debug.chunk_count, debug.chunk_layout.length], ["v", 4, 4]);
    const [first, second] = debug.chunk_layout;
    assertEquals([first.logical_offset_mb, second.logical_offset_mb, first.replicas.length], [0, 1, 2]);
    assertEquals(first.replicas.map((replica: { is_current: boolean }) => replica.is_current), [true, true]);
    assertEquals(new Set(first.replicas.map((replica: { sds_id: number }) => replica.sds_id)).size, 2);
    assertEquals(debug.active_sds_endpoints.length, 2);
    assertEquals(debug.mapping_artifacts.map(({ sdc_name }: { sdc_name: string }) => sdc_name), ["sdc-1"]);
    const page = await fixture.ok("GET", "/vol/1/debug/storage?chunk_offset=3&chunk_limit=9");
    assertEquals(page.chunk_layout.map(({ chunk_index }: { chunk_index: number }) => chunk_index), [3]);
    await assertRefused(t, fixture, [
      { method: "GET", path: "/vol/9/debug/storage", status: 404, says: /no volume 9/ },
      { method: "GET", path: "/vol/1/debug/storage?chunk_offset=-1", status: 422, says: /chunk_offset/ },
      { path: "/snapshot/create", body: { volume_id: 1, name: "s" }, status: 501, says: /snapshot s of volume v/ },
      { path: "/snapshot/create", body: { volume_id: 9, name: "s" }, status: 404, says: /no volume 9/ },
      { method: "GET", path: "/snapshot/list", status: 501, says: /do not exist yet/ },
      { method: "DELETE", path: "/snapshot/1", status: 501, says: /snapshot 1/ },
    ]);
  });
});
