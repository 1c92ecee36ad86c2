/**
 * Volumes and their mappings, by the paths of the MDM's API that the predecessor promised.
 */
import { assert, assertEquals } from "@std/assert";
import { assertRefused, served } from "@/tests/support/api_refusals.ts";
import { MdmFixture } from "@/tests/support/mdm_fixture.ts";

const GIB = 2 ** 30;

Deno.test("/vol: fractions of a GB, growth, mapping twice, modes, deletion only when unmapped", async (t) => {
  await using fixture = await served();
  const volume = { name: "v", size_gb: 0.05, provisioning: "thin", pool_id: 1 };
  assertEquals(await fixture.ok("POST", "/vol/create", volume), { id: 1, name: "v" });
  assertEquals(await fixture.ok("POST", "/vol/create", { ...volume, name: "w", pool_id: "1", size_gb: "2.5" }), {
    id: 2,
    name: "w",
  });
  await fixture.run(1_000);
  const { size_gb, ...listed } = (await fixture.ok("GET", "/vol/list"))[0];
  assertEquals(size_gb * GIB, Math.ceil(0.05 * GIB / 4096) * 4096);
  assertEquals(listed, {
    id: 1,
    name: "v",
    state: "AVAILABLE",
    pool_id: 1,
    provisioning: "thin",
    mapping_count: 0,
  });
  const map = "/vol/map?volume_id=1&sdc_id=1";
  for (const mode of ["readWrite", "readWrite", "readOnly"]) {
    assertEquals(await fixture.ok("POST", `${map}&access_mode=${mode}`), { status: "mapped" });
    const { state, mapping_count, mappings } = await fixture.ok("GET", "/vol/1");
    assertEquals([state, mapping_count, mappings.length, mappings[0].access_mode], ["IN_USE", 1, 1, mode]);
    assertEquals([mappings[0].sdc_id, mappings[0].sdc_name], [1, "sdc-1"]);
  }
  await assertRefused(t, fixture, [
    { method: "DELETE", path: "/vol/1", status: 400, says: /mapped to 1 SDC$/ },
  ]);
  assertEquals(await fixture.ok("POST", "/vol/extend?volume_id=1&new_size_gb=1"), { status: "extended" });
  assertEquals((await fixture.ok("GET", "/vol/1")).size_gb, 1);
  assertEquals(await fixture.ok("POST", "/vol/unmap?volume_id=1&sdc_id=1"), { status: "unmapped" });
  assertEquals(await fixture.ok("DELETE", "/vol/1"), { status: "deleted" });
  await assertRefused(t, fixture, [
    { method: "GET", path: "/vol/1", status: 404, says: /no volume 1/ },
    { method: "DELETE", path: "/vol/1", status: 404, says: /no volume 1/ },
    { path: "/vol/map?volume_id=1&sdc_id=1", status: 404, says: /no volume 1/ },
    { path: "/vol/extend?volume_id=1&new_size_gb=3", status: 404, says: /no volume 1/ },
    { path: "/vol/unmap?volume_id=2&sdc_id=1", status: 404, says: /w: it is not mapped to sdc-1/ },
    { path: "/vol/map?volume_id=2&sdc_id=9", status: 404, says: /no SDC 9/ },
    { path: "/vol/map?volume_id=2", status: 422, says: /sdc_id: is required/ },
    { path: "/vol/map?volume_id=2&sdc_id=1&access_mode=rw", status: 422, says: /access_mode/ },
    { path: "/vol/map?volume_id=&sdc_id=1", status: 422, says: /volume_id/ },
    { path: "/vol/extend?volume_id=2&new_size_gb=2", status: 400, says: /2 GB is not above its size, 2.5 GB/ },
    {
      path: "/vol/extend?volume_id=2&new_size_gb=2.4999",
      status: 400,
      says: /2.5 GB is not above its size, 2.5 GB \(2684248064 and 2684354560 bytes\)/,
    },
    { path: "/vol/extend?volume_id=2&new_size_gb=2.5", status: 400, says: /not above/ },
    { path: "/vol/extend?volume_id=2&new_size_gb=11", status: 400, says: /7.5 GB of 10 GB left, 8.5 GB are needed/ },
    { path: "/vol/extend?volume_id=2", status: 422, says: /new_size_gb: is required/ },
    { path: "/vol/create", body: { ...volume, name: "w" }, status: 409, says: /w: the name is taken/ },
    { path: "/vol/create", body: { ...volume, size_gb: 8 }, status: 400, says: /7.5 GB of 10 GB left, 8 GB/ },
    { path: "/vol/create", body: { ...volume, size_gb: 1e-6 }, status: 400, says: /below the smallest volume/ },
    { path: "/vol/create", body: { ...volume, size_gb: true }, status: 422, says: /size_gb: must be a number/ },
    { path: "/vol/create", body: { ...volume, size_gb: "" }, status: 422, says: /size_gb/ },
    { path: "/vol/create", body: { ...volume, size_gb: undefined }, status: 422, says: /size_gb: is required/ },
    { path: "/vol/create", body: { ...volume, pool_id: 9 }, status: 404, says: /no storage pool 9/ },
    { path: "/vol/shrink?volume_id=2&new_size_gb=1", status: 501, says: /Cannot shrink volume w/ },
    { path: "/vol/shrink?volume_id=9&new_size_gb=1", status: 404, says: /no volume 9/ },
    { path: "/vol/create", body: { ...volume, provisioning: "fat" }, status: 422, says: /provisioning/ },
    { path: "/vol/create", body: "v", status: 422, says: /object/ },
  ]);
});

Deno.test("/vol/create reserves a thick volume in full, and refuses the one that the pool cannot hold", async (t) => {
  await using fixture = new MdmFixture();
  await fixture.ok("POST", "/pd/create", { name: "pd" });
  await fixture.ok("POST", "/pool/create", { name: "pool", pd_id: 1, total_capacity_gb: 2 });
  for (let count = 0; count < 3; count++) await fixture.addSds();
  const thick = { size_gb: 0.8, provisioning: "thick", pool_id: 1 };
  await fixture.ok("POST", "/vol/create", { ...thick, name: "a" });
  await fixture.ok("POST", "/vol/create", { ...thick, name: "b" });
  assertEquals((await fixture.ok("GET", "/vol/1")).provisioning, "thick");
  const before = await fixture.ok("GET", "/pool/1");
  assertEquals([before.used_capacity_gb, Math.round(before.reserved_capacity_gb * 1000) / 1000], [0, 1.6]);
  await assertRefused(t, fixture, [
    {
      path: "/vol/create",
      body: { ...thick, name: "c" },
      status: 400,
      says: /c: the pool has 0.4 GB of 2 GB left, 0.8/,
    },
    { path: "/vol/extend?volume_id=1&new_size_gb=1.3", status: 400, says: /0.4 GB of 2 GB left, 0.5 GB are needed/ },
  ]);
  assertEquals(await fixture.ok("GET", "/pool/1"), before, "a refusal reserves nothing");
  await fixture.ok("DELETE", "/vol/2");
  assertEquals(await fixture.ok("POST", "/vol/create", { ...thick, name: "c" }), { id: 3, name: "c" });
});

Deno.test("a domain with one SDS serves volumes of one copy, DEGRADED, until a second SDS joins", async () => {
  await using fixture = new MdmFixture();
  await fixture.topology(1);
  await fixture.ok("POST", "/vol/create", { name: "v", size_gb: 0.5, pool_id: 1 });
  await fixture.run(6_000);
  assertEquals((await fixture.ok("GET", "/vol/1")).state, "DEGRADED");
  assertEquals(await fixture.ok("GET", "/pool/1/health"), { id: 1, health: "DEGRADED" });
  for (const pg of await fixture.pgs()) assertEquals(pg.members.length, 1);
  await fixture.addSds();
  for (let turn = 0; turn < 20; turn++) {
    await fixture.run(1_000);
    for (const sds of fixture.sdss) await sds.finishJoins();
  }
  await fixture.run(1_000);
  for (const pg of await fixture.pgs()) {
    assertEquals(
      new Set(pg.members.map((member: { sds_id: number }) => member.sds_id)).size,
      2,
      "never two on one SDS",
    );
  }
  assertEquals((await fixture.ok("GET", "/vol/1")).state, "AVAILABLE");
});

Deno.test("/vol/create says what is missing when no device can hold copies", async () => {
  await using fixture = new MdmFixture();
  await fixture.topology(0);
  const answer = await fixture.call("POST", "/vol/create", { body: { name: "v", size_gb: 1, pool_id: 1 } });
  assertEquals(answer.status, 503, JSON.stringify(answer.body));
  assert(answer.body.detail.startsWith("Cannot create"), answer.body.detail);
});

Deno.test("/vol/map, /vol/extend and /vol/unmap are answered when the SDC has heard of it", async (t) => {
  await using fixture = await served();
  await fixture.ok("POST", "/vol/create", { name: "v", size_gb: 1, pool_id: 1 });
  await fixture.run(1_000);
  const answerMs = 600;
  fixture.controlAnswerMs = answerMs;
  for (
    const [path, notice] of [
      ["/vol/map?volume_id=1&sdc_id=1", "/control/volume_mapped"],
      ["/vol/extend?volume_id=1&new_size_gb=2", "/control/volume_mapped"],
      ["/vol/unmap?volume_id=1&sdc_id=1", "/control/volume_unmapped"],
    ] as const
  ) {
    await t.step(path, async () => {
      const { length } = fixture.callsTo(notice);
      const beganMs = fixture.clock.monotonicMs();
      await fixture.ok("POST", path);
      assert(fixture.clock.monotonicMs() - beganMs >= answerMs, "it waited for the answer");
      assertEquals(fixture.callsTo(notice).length, length + 1);
    });
  }
  await t.step("an SDC that does not answer holds nobody up", async () => {
    fixture.silentPorts.add(8003);
    assertEquals(await fixture.ok("POST", "/vol/map?volume_id=1&sdc_id=1"), { status: "mapped" });
  });
});
