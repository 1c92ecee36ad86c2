/**
 * The native API of the MDM: the same operations as below the predecessor's paths, in bytes and documents of the overview.
 */
import { assertEquals } from "@std/assert";
import { assertRefused, served } from "@/tests/support/api_refusals.ts";
import { MdmFixture } from "@/tests/support/mdm_fixture.ts";

const MIB = 2 ** 20;

Deno.test("/api/v1 makes a topology, and shows what the overview shows", async (t) => {
  await using fixture = new MdmFixture();
  const made = async (path: string, body: unknown) => {
    const answer = await fixture.call("POST", path, { body });
    assertEquals(answer.status, 201, JSON.stringify(answer.body));
    return answer.body;
  };
  const domain = await made("/api/v1/domains", { name: "pd" });
  assertEquals([domain.domainId, domain.name], [1, "pd"]);
  const pool = await made("/api/v1/pools", { name: "pool", domainId: 1, logicalLimitBytes: 64 * MIB });
  assertEquals([pool.poolId, pool.logicalLimitBytes, pool.protectionPolicy], [1, 64 * MIB, "two_copies"]);
  await fixture.enrol("sds-1", "SDS", 9100);
  const sds = await made("/api/v1/sdss", { name: "s", domainId: 1, capacityBytes: 2 ** 30, devices: ["blk0", "blk1"] });
  assertEquals([sds.sdsId, sds.componentId, sds.devices.length], [1, "sds-1", 2]);
  await fixture.enrol("sdc-1", "SDC", 8003);
  assertEquals((await made("/api/v1/sdcs", { name: "c" })).sdcId, 1);
  const overview = await fixture.ok("GET", "/api/v1/overview");
  for (const list of ["domains", "pools", "sdss", "sdcs"]) {
    assertEquals(await fixture.ok("GET", `/api/v1/${list}`), overview[list]);
    assertEquals(await fixture.ok("GET", `/api/v1/${list}/1`), overview[list][0]);
    await assertRefused(t, fixture, [{ method: "GET", path: `/api/v1/${list}/9`, status: 404, says: /There is no/ }]);
  }
  await made("/api/v1/domains", { name: "empty" });
  assertEquals((await fixture.ok("DELETE", "/api/v1/domains/2")).name, "empty");
  await assertRefused(t, fixture, [
    { method: "DELETE", path: "/api/v1/domains/1", status: 400, says: /it must be empty/ },
    { method: "POST", path: "/api/v1/pools/9/scrub", status: 404, says: /no storage pool 9/ },
    { path: "/api/v1/domains", body: { name: "pd" }, status: 409, says: /the name is taken/ },
    { path: "/api/v1/pools", body: { name: "p", domainId: 1 }, status: 422, says: /logicalLimitBytes/ },
    { path: "/api/v1/sdss", body: { name: "x", domainId: 1, capacityBytes: 1 }, status: 409, says: /no running SDS/ },
    { path: "/api/v1/sdcs", body: {}, status: 422, says: /name/ },
  ]);
});

Deno.test("/api/v1/volumes: created with its place, grown, mapped, unmapped, deleted", async (t) => {
  await using fixture = await served();
  const body = { name: "v", poolId: 1, sizeBytes: 4 * MIB + 1, provisioning: "thick" };
  const answer = await fixture.mdm.app.request("/api/v1/volumes", { method: "POST", body: JSON.stringify(body) });
  const volume = await answer.json();
  assertEquals([answer.status, answer.headers.get("Location")], [201, "/api/v1/volumes/1"]);
  assertEquals([volume.volumeId, volume.sizeBytes, volume.provisioning], [1, 4 * MIB + 4096, "thick"]);
  assertEquals((await fixture.ok("PUT", "/api/v1/volumes/1/size", { sizeBytes: 8 * MIB })).sizeBytes, 8 * MIB);
  const mapping = "/api/v1/volumes/1/mappings/1";
  assertEquals((await fixture.ok("PUT", mapping, { accessMode: "readOnly" })).mappings, [
    { sdcId: 1, accessMode: "readOnly" },
  ]);
  assertEquals((await fixture.ok("PUT", mapping, {})).mappings, [{ sdcId: 1, accessMode: "readWrite" }]);
  await assertRefused(t, fixture, [
    { method: "DELETE", path: "/api/v1/volumes/1", status: 400, says: /mapped to 1 SDC/ },
    { method: "PUT", path: "/api/v1/volumes/1/size", body: { sizeBytes: MIB }, status: 400, says: /not above/ },
    { method: "PUT", path: "/api/v1/volumes/1/size", body: { sizeBytes: 1.5 }, status: 422, says: /sizeBytes/ },
    { method: "PUT", path: "/api/v1/volumes/1/mappings/9", body: {}, status: 404, says: /no SDC 9/ },
    { method: "PUT", path: mapping, body: { accessMode: "rw" }, status: 422, says: /accessMode/ },
    { path: "/api/v1/volumes", body: { ...body, poolId: 9 }, status: 404, says: /no storage pool 9/ },
    { path: "/api/v1/volumes", body, status: 409, says: /the name is taken/ },
    { path: "/api/v1/volumes", body: { ...body, sizeBytes: "1" }, status: 422, says: /sizeBytes/ },
  ]);
  assertEquals(await fixture.ok("GET", "/api/v1/volumes"), [await fixture.ok("GET", "/api/v1/volumes/1")]);
  assertEquals((await fixture.ok("DELETE", mapping)).mappings, []);
  assertEquals((await fixture.ok("DELETE", "/api/v1/volumes/1")).name, "v");
  await assertRefused(t, fixture, [{ method: "GET", path: "/api/v1/volumes/1", status: 404, says: /no volume 1/ }]);
});
