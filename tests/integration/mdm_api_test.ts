/**
 * The MDM's API of names and shapes that the predecessor promised, for the paths of a person's first hour: every path with what
 * it takes and with what it refuses.
 */
import { assert, assertEquals } from "@std/assert";
import { MdmFixture } from "@/tests/support/mdm_fixture.ts";

const ISO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const GIB = 2 ** 30;

/** What a request that is wrong must be answered with. */
interface Refusal {
  readonly method?: string;
  readonly path: string;
  readonly body?: unknown;
  readonly status: number;
  /** Part of `detail`. */
  readonly says: RegExp;
}

async function assertRefused(t: Deno.TestContext, fixture: MdmFixture, refusals: readonly Refusal[]): Promise<void> {
  for (const { method = "POST", path, body, status, says } of refusals) {
    await t.step(`${method} ${path} ${JSON.stringify(body) ?? ""}: ${status}`, async () => {
      const answer = await fixture.call(method, path, body === undefined ? {} : { body });
      assertEquals([answer.status, answer.body.status], [status, status], JSON.stringify(answer.body));
      assert(says.test(answer.body.detail), answer.body.detail);
    });
  }
}

/** Domain, pool of 10 GB, two SDSs, one SDC; ids 1 and 2. */
async function served(): Promise<MdmFixture> {
  const fixture = new MdmFixture();
  await fixture.topology(2);
  await fixture.addSdc();
  return fixture;
}

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
    { method: "PUT", path: "/pd/1", status: 404, says: /Cannot PUT \/pd\/1/ },
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
  ]);
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
    { path: "/vol/create", body: { ...volume, provisioning: "thick" }, status: 501, says: /thick/ },
    { path: "/vol/create", body: { ...volume, provisioning: "fat" }, status: 422, says: /provisioning/ },
    { path: "/vol/create", body: "v", status: 422, says: /object/ },
  ]);
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

Deno.test("/cluster/nodes and /discovery refuse what is no node and no process", async (t) => {
  await using fixture = await served();
  const node = { node_id: "n1", name: "n", address: "10.0.0.1", port: 9100, capabilities: ["sds"] };
  const made = (await fixture.ok("POST", "/cluster/nodes/register", node)).node;
  assertEquals([made.node_id, made.status, made.capabilities], ["n1", "UNKNOWN", ["SDS"]]);
  const beat = await fixture.ok("POST", "/cluster/nodes/n1/heartbeat", { status: "ACTIVE" });
  assertEquals([beat.heartbeat, beat.node.status], ["ok", "ACTIVE"]);
  assertEquals((await fixture.ok("GET", `/cluster/nodes/${made.id}`)).node_id, "n1");
  const again = await fixture.ok("POST", "/cluster/nodes/register", { ...node, name: "renamed" });
  assertEquals([again.node.id, again.node.name], [made.id, "renamed"]);
  const sdsNode = (await fixture.ok("GET", "/cluster/nodes")).nodes.find((n: { node_id: string }) =>
    n.node_id === "sds-1"
  );
  assertEquals([sdsNode.component_id, sdsNode.status], ["sds-1", "ACTIVE"]);
  await assertRefused(t, fixture, [
    { path: "/cluster/nodes/register", body: { ...node, node_id: "x" }, status: 422, says: /node_id/ },
    { path: "/cluster/nodes/register", body: { ...node, address: "ab" }, status: 422, says: /address/ },
    { path: "/cluster/nodes/register", body: { ...node, port: 0 }, status: 422, says: /port/ },
    { path: "/cluster/nodes/register", body: { ...node, port: 65536 }, status: 422, says: /port/ },
    { path: "/cluster/nodes/register", body: { ...node, capabilities: [] }, status: 422, says: /capabilities/ },
    { path: "/cluster/nodes/register", body: { ...node, capabilities: ["NAS"] }, status: 422, says: /capabilities/ },
    { path: "/cluster/nodes/none/heartbeat", body: {}, status: 404, says: /no cluster node none/ },
    { method: "GET", path: "/cluster/nodes/999", status: 404, says: /no cluster node 999/ },
    { path: "/discovery/register", body: { component_id: "sds-9" }, status: 422, says: /component_type/ },
    { method: "GET", path: "/discovery/peers/NAS", status: 422, says: /type/ },
    { path: "/discovery/heartbeat/nobody", status: 404, says: /no component nobody/ },
    { method: "DELETE", path: "/discovery/unregister/nobody", status: 404, says: /no component nobody/ },
    { method: "GET", path: "/health/status/nobody", status: 404, says: /no component nobody/ },
    { path: "/fault_set/create", body: { name: "r" }, status: 422, says: /pd_id: is required/ },
    { path: "/fault_set/create", body: { name: "r", pd_id: 9 }, status: 404, says: /no protection domain 9/ },
  ]);
});

Deno.test("bodies: not JSON, too large, of another content type", async (t) => {
  await using fixture = new MdmFixture();
  const { app } = fixture.mdm;
  const post = (body: string, headers: Record<string, string> = {}) =>
    app.request("/pd/create", { method: "POST", body, headers });
  await t.step("not JSON: 400", async () => {
    const answer = await post("name=pd");
    assertEquals([answer.status, answer.headers.get("Content-Type")], [400, "application/problem+json"]);
    assert(/as JSON/.test((await answer.json()).detail));
  });
  await t.step("more than the limit: 413", async () => {
    const answer = await post(`{"name":"${"x".repeat(9 * 1024 * 1024)}"}`);
    assertEquals([answer.status, (await answer.json()).code], [413, "too_large"]);
  });
  await t.step("curl -d without a content type works", async () => {
    const answer = await post(`{"name":"pd"}`, { "Content-Type": "application/x-www-form-urlencoded" });
    assertEquals([answer.status, await answer.json()], [200, { id: 1, name: "pd" }]);
  });
});

Deno.test("without login, pages of other origins and foreign names of this host are refused", async (t) => {
  await using fixture = new MdmFixture({ auth: "open" });
  const create = (url: string, headers: Record<string, string>) =>
    fixture.mdm.app.request(url, { method: "POST", body: `{"name":"${crypto.randomUUID()}"}`, headers });
  const cases: [string, Record<string, string>, number][] = [
    ["http://127.0.0.1:8001/pd/create", {}, 200],
    ["http://localhost:8001/pd/create", {}, 200],
    ["http://[::1]:8001/pd/create", {}, 200],
    ["http://mdm:8001/pd/create", {}, 200],
    ["http://127.0.0.1:8001/pd/create", { Origin: "http://127.0.0.1:8001" }, 200],
    ["http://127.0.0.1:8001/pd/create", { Origin: "http://evil.example" }, 403],
    ["http://127.0.0.1:8001/pd/create", { Origin: "null" }, 403],
    ["http://127.0.0.1:8001/pd/create", { Origin: "http://127.0.0.1:3000" }, 403],
    ["http://evil.example:8001/pd/create", { Origin: "http://evil.example:8001" }, 403],
    ["http://127.0.0.1.evil.example:8001/pd/create", {}, 403],
  ];
  for (const [url, headers, status] of cases) {
    await t.step(`${url} ${headers["Origin"] ?? ""}: ${status}`, async () => {
      const answer = await create(url, headers);
      assertEquals(answer.status, status, await answer.text());
    });
  }
});
