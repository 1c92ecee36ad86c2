/**
 * Protection domains, pools, SDSs and SDCs, by the paths of the MDM's API that the predecessor promised.
 */
import { assert, assertEquals } from "@std/assert";
import { assertRefused, served } from "@/tests/support/api_refusals.ts";
import { MdmFixture } from "@/tests/support/mdm_fixture.ts";

const ISO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

Deno.test("/pd: created, listed, shown with what it holds, deleted when empty", async (t) => {
  await using fixture = new MdmFixture();
  assertEquals(await fixture.ok("GET", "/pd/list"), []);
  assertEquals(await fixture.ok("POST", "/pd/create", { name: " pd ", description: "first" }), { id: 1, name: "pd" });
  assertEquals(await fixture.ok("POST", "/pd/create", { name: "Zweite Domäne" }), { id: 2, name: "Zweite Domäne" });
  const listed = { id: 1, name: "pd", description: "first", pool_count: 0, sds_count: 0 };
  assertEquals((await fixture.ok("GET", "/pd/list"))[0], listed);
  assertEquals(await fixture.ok("GET", "/pd/1"), { ...listed, pools: [], sds_nodes: [] });
  await fixture.ok("POST", "/fault_set/create", { name: "rack", pd_id: 2 });
  assertEquals(await fixture.ok("DELETE", "/pd/2"), { status: "deleted" });
  assertEquals(await fixture.ok("GET", "/fault_set/list"), [], "its fault sets go with it");
  await fixture.ok("POST", "/pool/create", { name: "pool", pd_id: 1, total_capacity_gb: 1 });
  await assertRefused(t, fixture, [
    { path: "/pd/create", body: { name: "pd" }, status: 409, says: /pd: the name is taken/ },
    { path: "/pd/create", status: 422, says: /name/ },
    { path: "/pd/create", body: null, status: 422, says: /object/ },
    { path: "/pd/create", body: [], status: 422, says: /object/ },
    { path: "/pd/create", body: { name: 5 }, status: 422, says: /name/ },
    { path: "/pd/create", body: { name: "a\nb" }, status: 422, says: /name: must be printable/ },
    { path: "/pd/create", body: { name: "x".repeat(129) }, status: 422, says: /name/ },
    { method: "GET", path: "/pd/7", status: 404, says: /no protection domain 7/ },
    { method: "GET", path: "/pd/1.5", status: 422, says: /id/ },
    { method: "GET", path: "/pd/-1", status: 422, says: /id/ },
    { method: "GET", path: "/pd/99999999999999999999", status: 422, says: /id/ },
    { method: "DELETE", path: "/pd/7", status: 404, says: /no protection domain 7/ },
    { method: "DELETE", path: "/pd/1", status: 400, says: /it must be empty/ },
    { method: "PUT", path: "/pd/1", status: 405, says: /Cannot PUT \/pd\/1: it is served for DELETE, GET, HEAD/ },
  ]);
});

Deno.test("/pool: policy may be left out; its capacity limits what volumes promise", async (t) => {
  await using fixture = await served();
  const detail = {
    id: 1,
    name: "pool",
    pd_id: 1,
    health: "OK",
    total_capacity_gb: 10,
    used_capacity_gb: 0,
    reserved_capacity_gb: 0,
    protection_policy: "two_copies",
  };
  assertEquals(await fixture.ok("GET", "/pool/list"), [detail]);
  assertEquals(await fixture.ok("GET", "/pool/1"), {
    ...detail,
    rebuild_state: "idle",
    rebuild_progress_percent: 100,
    chunk_size_mb: 1,
  });
  assertEquals(await fixture.ok("GET", "/pool/1/health"), { id: 1, health: "OK" });
  await fixture.ok("POST", "/pd/create", { name: "other" });
  const same = { name: "pool", pd_id: 2, total_capacity_gb: 0.5 };
  assertEquals(await fixture.ok("POST", "/pool/create", same), { id: 2, name: "pool" }, "a name per domain");
  const pool = { name: "new", pd_id: 1, total_capacity_gb: 1 };
  await assertRefused(t, fixture, [
    { path: "/pool/create", body: { ...pool, name: "pool" }, status: 409, says: /pd has one of that name/ },
    { path: "/pool/create", body: { ...pool, pd_id: 9 }, status: 404, says: /no protection domain 9/ },
    { path: "/pool/create", body: { ...pool, pd_id: undefined }, status: 422, says: /pd_id: is required/ },
    { path: "/pool/create", body: { ...pool, pd_id: true }, status: 422, says: /pd_id/ },
    { path: "/pool/create", body: { ...pool, pd_id: [1] }, status: 422, says: /pd_id/ },
    { path: "/pool/create", body: { ...pool, total_capacity_gb: 0 }, status: 422, says: /total_capacity_gb/ },
    { path: "/pool/create", body: { ...pool, total_capacity_gb: null }, status: 422, says: /total_capacity_gb/ },
    { path: "/pool/create", body: { ...pool, total_capacity_gb: "much" }, status: 422, says: /total_capacity_gb/ },
    { path: "/pool/create", body: { ...pool, total_capacity_gb: 1e300 }, status: 422, says: /total_capacity_gb/ },
    { path: "/pool/create", body: { ...pool, protection_policy: "raid0" }, status: 422, says: /protection_policy/ },
    {
      path: "/pool/create",
      body: { ...pool, protection_policy: "erasure_coding" },
      status: 501,
      says: /not exist yet/,
    },
    { method: "GET", path: "/pool/9", status: 404, says: /no storage pool 9/ },
    { method: "GET", path: "/pool/9/health", status: 404, says: /no storage pool 9/ },
    { method: "DELETE", path: "/pool/9", status: 404, says: /no storage pool 9/ },
    { method: "DELETE", path: "/pool/x", status: 422, says: /id/ },
  ]);
});

Deno.test("/pool: one that never had a volume is deleted, and the next one takes its devices", async (t) => {
  await using fixture = await served();
  assertEquals(await fixture.ok("DELETE", "/pool/1"), { status: "deleted" });
  assertEquals(await fixture.ok("GET", "/pool/list"), []);
  const pool = { name: "pool", pd_id: 1, total_capacity_gb: 1 };
  assertEquals(await fixture.ok("POST", "/pool/create", pool), { id: 2, name: "pool" });
  await fixture.run(2_000);
  await fixture.ok("POST", "/vol/create", { name: "v", size_gb: 0.5, pool_id: 2 });
  await assertRefused(t, fixture, [
    { method: "DELETE", path: "/pool/2", status: 400, says: /it has 1 volumes and 4 placement groups; only a pool/ },
    { method: "DELETE", path: "/api/v1/pools/2", status: 400, says: /only a pool that never had a volume/ },
  ]);
  await fixture.ok("POST", "/api/v1/pools", { name: "empty", domainId: 1, logicalLimitBytes: 2 ** 30 });
  assertEquals((await fixture.ok("DELETE", "/api/v1/pools/3")).name, "empty");
});

Deno.test("/sds: one record per process, devices as a list of names, one too many is refused", async (t) => {
  await using fixture = new MdmFixture();
  await fixture.topology(0);
  await fixture.enrol("sds-1", "SDS", 9100);
  const sds = { name: "a", total_capacity_gb: 2, devices: "blk0, blk1", protection_domain_id: 1 };
  assertEquals(await fixture.ok("POST", "/sds/add", sds), { id: 1, name: "a" });
  const listed = {
    id: 1,
    name: "a",
    state: "UP",
    cluster_node_id: 1,
    component_id: "sds-1",
    protection_domain_id: 1,
    fault_set_id: null,
    total_capacity_gb: 2,
    used_capacity_gb: 0,
    devices: "blk0,blk1",
  };
  assertEquals(await fixture.ok("GET", "/sds/list"), [listed]);
  assertEquals(await fixture.ok("GET", "/sds/1"), { ...listed, ip_address: "127.0.0.1", port: 9700 });
  assertEquals((await fixture.ok("GET", "/pd/1")).sds_nodes, [{ id: 1, name: "a", state: "UP" }]);
  const other = { ...sds, name: "b" };
  await assertRefused(t, fixture, [
    { path: "/sds/add", body: other, status: 409, says: /no running SDS process without a record/ },
    { path: "/sds/add", body: sds, status: 409, says: /the name is taken/ },
    { path: "/sds/add", body: { ...other, protection_domain_id: 9 }, status: 404, says: /no protection domain 9/ },
    { path: "/sds/add", body: { ...other, protection_domain_id: undefined }, status: 422, says: /is required/ },
    { path: "/sds/add", body: { ...other, devices: "blk0,blk0" }, status: 422, says: /a device twice/ },
    { path: "/sds/add", body: { ...other, devices: "../mdm" }, status: 422, says: /plain name/ },
    { path: "/sds/add", body: { ...other, devices: "/dev/sda" }, status: 422, says: /plain name/ },
    { path: "/sds/add", body: { ...other, devices: " , " }, status: 422, says: /devices/ },
    { path: "/sds/add", body: { ...other, devices: 7 }, status: 422, says: /devices/ },
    { path: "/sds/add", body: { ...other, total_capacity_gb: -1 }, status: 422, says: /total_capacity_gb/ },
    { path: "/sds/add", body: { ...other, pool_id: 9 }, status: 404, says: /no pool 9/ },
    { path: "/sds/add", body: { ...other, fault_set_id: 9 }, status: 404, says: /no fault set 9/ },
    { path: "/sds/add", body: { ...other, cluster_node_id: 9 }, status: 404, says: /no cluster node 9/ },
    { method: "GET", path: "/sds/9", status: 404, says: /no SDS 9/ },
  ]);
});

Deno.test("/sdc: added, shown with its mappings and datastores", async (t) => {
  await using fixture = await served();
  await fixture.ok("POST", "/vol/create", { name: "v", size_gb: 0.05, pool_id: 1 });
  await fixture.ok("POST", "/vol/map?volume_id=1&sdc_id=1&access_mode=readOnly");
  const listed = { id: 1, name: "sdc-1", component_id: "sdc-1", mapped_volume_count: 1 };
  const { cluster_node_id, ...shown } = (await fixture.ok("GET", "/sdc/list"))[0];
  assertEquals([shown, Number.isInteger(cluster_node_id)], [listed, true]);
  const [mapped] = (await fixture.ok("GET", "/sdc/1")).mapped_volumes;
  assertEquals([mapped.volume_id, mapped.access_mode, ISO_TIME.test(mapped.mapped_at)], [1, "readOnly", true]);
  const datastores = await fixture.ok("GET", "/sdc/1/datastores");
  assertEquals([datastores.sdc_id, datastores.sdc_name, datastores.datastore_count], [1, "sdc-1", 1]);
  const [{ size_gb, ...datastore }] = datastores.datastores;
  assert(size_gb >= 0.05 && size_gb < 0.0501);
  assertEquals(Object.keys(datastore).sort(), [
    "access_mode",
    "device_path",
    "mapping_path",
    "volume_id",
    "volume_name",
  ]);
  await assertRefused(t, fixture, [
    { path: "/sdc/add", body: { name: "sdc-1" }, status: 409, says: /the name is taken/ },
    { path: "/sdc/add", body: { name: "two" }, status: 409, says: /no running SDC process/ },
    { path: "/sdc/add", body: {}, status: 422, says: /name/ },
    { path: "/sdc/add", body: { name: "x", cluster_node_id: "one" }, status: 422, says: /cluster_node_id/ },
    { method: "GET", path: "/sdc/9", status: 404, says: /no SDC 9/ },
    { method: "GET", path: "/sdc/9/datastores", status: 404, says: /no SDC 9/ },
  ]);
});
