import { assert, assertEquals } from "@std/assert";
import { authTokenOf } from "@/mdm/operations/discovery.ts";
import { overviewSchema } from "@/shared/api/overview.ts";
import { signRequest } from "@/shared/http/node_auth.ts";
import { MdmFixture } from "@/tests/support/mdm_fixture.ts";

const SDS = {
  component_id: "sds-1",
  component_type: "SDS",
  address: "127.0.0.1",
  ports: { control: 9100, data: 9700 },
};

Deno.test("/discovery/register wants the join token first and proof of the node key later", async (t) => {
  await using fixture = new MdmFixture();
  const register = (body: object, headers = {}) => fixture.call("POST", "/discovery/register", { body, headers });
  await t.step("nothing, a wrong token: 403", async () => {
    assertEquals((await register(SDS)).status, 403);
    assertEquals((await register({ ...SDS, join_token: "wrong" })).status, 403);
    assertEquals((await register({ ...SDS, auth_token: authTokenOf("", "sds-1") })).status, 403);
  });
  let secret = "";
  await t.step("the join token, in the header: a key of its own", async () => {
    const { status, body } = await register(SDS, { Authorization: `Bearer ${fixture.mdm.context.secrets.joinToken}` });
    assertEquals([status, body.status, body.cluster_name, body.heartbeat_interval_sec], [
      200,
      "registered",
      "powerflex",
      10,
    ]);
    assertEquals(body.topology.components.length, 1);
    secret = body.cluster_secret;
    assert(/^[0-9a-f]{64}$/.test(secret));
    const other = await register({ ...SDS, component_id: "sds-2", join_token: fixture.mdm.context.secrets.joinToken });
    assert(other.body.cluster_secret !== secret);
  });
  await t.step("a return visit with the proof, and the same key again", async () => {
    const { status, body } = await register({ ...SDS, auth_token: authTokenOf(secret, "sds-1") });
    assertEquals([status, body.status, body.cluster_secret], [200, "updated", secret]);
    assertEquals((await register({ ...SDS, auth_token: authTokenOf(secret, "sds-2") })).status, 403);
  });
  await t.step("as another type: 409", async () => {
    const answer = await register({ ...SDS, component_type: "SDC", auth_token: authTokenOf(secret, "sds-1") });
    assertEquals(answer.status, 409);
  });
});

Deno.test("operator calls need the operator's token, MGMT signs, other components only read", async (t) => {
  await using fixture = new MdmFixture({ auth: "token" });
  const { operatorToken, joinToken } = fixture.mdm.context.secrets;
  const create = { body: { name: "pd" } };
  assertEquals((await fixture.call("POST", "/pd/create", create)).status, 401);
  assertEquals((await fixture.call("GET", "/pd/list")).status, 401);
  assertEquals((await fixture.call("GET", "/metrics")).status, 401);
  for (const path of ["/", "/healthz", "/readyz"]) assertEquals((await fixture.call("GET", path)).status, 200, path);
  for (const [token, status] of [[operatorToken, 200], [joinToken, 401], [`${operatorToken}0`, 401]] as const) {
    const headers = { Authorization: `Bearer ${token}` };
    assertEquals((await fixture.call("GET", "/pd/list", { headers })).status, status);
  }
  const signed = (componentId: string, nodeKeyHex: string, method: string, path: string, body = "") =>
    signRequest({ method, path, body, nodeKeyHex, componentId });
  await t.step("MGMT under its own key", async () => {
    const key = await fixture.enrol("mgmt-1", "MGMT", 5000);
    const headers = signed("mgmt-1", key, "POST", "/pd/create", JSON.stringify(create.body));
    assertEquals((await fixture.call("POST", "/pd/create", { ...create, headers })).status, 200);
    assertEquals((await fixture.call("POST", "/pd/create", { body: { name: "other" }, headers })).status, 401);
  });
  await t.step("an SDS", async () => {
    const key = await fixture.enrol("sds-1", "SDS", 9100);
    const read = signed("sds-1", key, "GET", "/discovery/topology");
    assertEquals((await fixture.call("GET", "/discovery/topology", { headers: read })).status, 200);
    const write = signed("sds-1", key, "POST", "/pd/create", JSON.stringify(create.body));
    assertEquals((await fixture.call("POST", "/pd/create", { ...create, headers: write })).status, 403);
    const foreign = signed("sds-1", key, "DELETE", "/discovery/unregister/mgmt-1");
    assertEquals((await fixture.call("DELETE", "/discovery/unregister/mgmt-1", { headers: foreign })).status, 403);
    const peek = signed("sds-1", key, "GET", "/discovery/unregister/mgmt-1");
    assertEquals((await fixture.call("DELETE", "/discovery/unregister/mgmt-1", { headers: peek })).status, 401);
  });
});

Deno.test("internal calls need the key of a component of the right type", async () => {
  await using fixture = new MdmFixture();
  const path = "/internal/v1/sdc/register";
  const body = { bootId: "b", hostId: "h" };
  assertEquals((await fixture.call("POST", path, { body })).status, 401);
  const nodeKeyHex = await fixture.enrol("sds-1", "SDS", 9100);
  const headers = signRequest({ method: "POST", path, body: JSON.stringify(body), nodeKeyHex, componentId: "sds-1" });
  assertEquals((await fixture.call("POST", path, { body, headers })).status, 401, "an SDS is no SDC");
});

Deno.test("records are placed on processes: by cluster node, else the lowest free one, else 409", async (t) => {
  await using fixture = new MdmFixture();
  await fixture.ok("POST", "/pd/create", { name: "pd" });
  const sds = { total_capacity_gb: 1, devices: "blk0,blk1", protection_domain_id: 1 };
  const add = (name: string, rest = {}) => fixture.call("POST", "/sds/add", { body: { ...sds, name, ...rest } });
  assertEquals((await add("a")).status, 409);
  for (const [index, name] of ["one", "two", "three"].entries()) await fixture.enrol(name, "SDS", 9100 + index);
  await t.step("a node that an operator named, matched by address and port", async () => {
    const node = { node_id: "n2", name: "n2", address: "127.0.0.1", port: 9101, capabilities: ["SDS"] };
    const { node: made } = await fixture.ok("POST", "/cluster/nodes/register", node);
    assertEquals([made.component_id, made.status], ["two", "ACTIVE"]);
    assertEquals((await add("b", { cluster_node_id: made.id })).status, 200);
    assertEquals((await fixture.ok("GET", "/sds/1")).component_id, "two");
    assertEquals((await add("c", { cluster_node_id: made.id })).status, 409);
  });
  await t.step("without one, the lowest free process", async () => {
    assertEquals((await add("c")).status, 200);
    assertEquals((await fixture.ok("GET", "/sds/2")).component_id, "one");
  });
  await t.step("a node without the capability, without a process, unknown", async () => {
    const sdcNode = { node_id: "n3", name: "n3", address: "10.0.0.1", port: 1, capabilities: ["SDC"] };
    const emptyNode = { node_id: "n4", name: "n4", address: "10.0.0.2", port: 1, capabilities: ["SDS"] };
    const { node: sdc } = await fixture.ok("POST", "/cluster/nodes/register", sdcNode);
    const { node: empty } = await fixture.ok("POST", "/cluster/nodes/register", emptyNode);
    assertEquals((await add("d", { cluster_node_id: sdc.id })).status, 400);
    assertEquals((await add("d", { cluster_node_id: empty.id })).status, 400);
    assertEquals((await add("d", { cluster_node_id: 999 })).status, 404);
    assertEquals((await add("b")).status, 409, "the name is taken");
  });
  await t.step("devices share the claimed capacity and wait for a pool", async () => {
    const shown = await fixture.ok("GET", "/sds/1");
    assertEquals([shown.devices, shown.total_capacity_gb, shown.state], ["blk0,blk1", 1, "UP"]);
    await fixture.ok("POST", "/pool/create", { name: "pool", pd_id: 1, total_capacity_gb: 2 });
    const { sdss } = await fixture.ok("GET", "/api/v1/overview");
    assertEquals(sdss[0].devices.map((device: { poolId: number }) => device.poolId), [1, 1]);
  });
  await t.step("fault sets by name or id, of the same domain", async () => {
    const { id } = await fixture.ok("POST", "/fault_set/create", { name: "rack-1", pd_id: 1 });
    assertEquals(await fixture.ok("GET", "/fault_set/list"), [{ id, name: "rack-1", pd_id: 1 }]);
    assertEquals((await add("e", { fault_set: "rack-9" })).status, 404);
    assertEquals((await add("e", { fault_set: "rack-1" })).status, 200);
  });
});

Deno.test("requests that break a rule get the status that requirements name", async (t) => {
  await using fixture = new MdmFixture();
  await fixture.topology(2);
  await fixture.ok("POST", "/vol/create", { name: "v", size_gb: 1, pool_id: 1 });
  await fixture.enrol("sdc-1", "SDC", 8003);
  await fixture.ok("POST", "/sdc/add", { name: "sdc" });
  const cases: [string, string, object | undefined, number][] = [
    ["POST", "/pd/create", { name: "pd" }, 409],
    ["POST", "/pd/create", {}, 422],
    ["POST", "/pd/create", { name: "  " }, 422],
    ["GET", "/pd/9", undefined, 404],
    ["GET", "/pd/x", undefined, 422],
    ["DELETE", "/pd/1", undefined, 400],
    ["POST", "/pool/create", { name: "pool", pd_id: 1, total_capacity_gb: 1 }, 409],
    ["POST", "/pool/create", { name: "other", pd_id: 9, total_capacity_gb: 1 }, 404],
    [
      "POST",
      "/pool/create",
      { name: "other", pd_id: 1, total_capacity_gb: 1, protection_policy: "erasure_coding" },
      501,
    ],
    ["POST", "/vol/create", { name: "v", size_gb: 1, pool_id: 1 }, 409],
    ["POST", "/vol/create", { name: "w", size_gb: 0.0001, pool_id: 1 }, 400],
    ["POST", "/vol/create", { name: "w", size_gb: 10, pool_id: 1 }, 400],
    ["POST", "/vol/create", { name: "w", size_gb: 1, pool_id: 9 }, 404],
    ["POST", "/vol/create", { name: "w", size_gb: -1, pool_id: 1 }, 422],
    ["POST", "/vol/extend?volume_id=1&new_size_gb=0.5", undefined, 400],
    ["POST", "/vol/extend?volume_id=1&new_size_gb=99", undefined, 400],
    ["POST", "/vol/map?volume_id=1&sdc_id=9", undefined, 404],
    ["POST", "/vol/map?volume_id=1", undefined, 422],
    ["POST", "/vol/map?volume_id=1&sdc_id=1&access_mode=all", undefined, 422],
    ["POST", "/vol/unmap?volume_id=1&sdc_id=1", undefined, 404],
    ["GET", "/nowhere", undefined, 404],
  ];
  for (const [method, path, body, status] of cases) {
    await t.step(`${method} ${path} ${JSON.stringify(body ?? {})}: ${status}`, async () => {
      const answer = await fixture.call(method, path, body === undefined ? {} : { body });
      assertEquals(answer.status, status);
      assert(typeof answer.body.detail === "string" && answer.body.detail.length > 0);
    });
  }
  await t.step("a mapped volume is not deleted", async () => {
    await fixture.ok("POST", "/vol/map?volume_id=1&sdc_id=1");
    assertEquals((await fixture.call("DELETE", "/vol/1")).status, 400);
  });
});

Deno.test("the predecessor's reads have their fields", async (t) => {
  await using fixture = new MdmFixture();
  await fixture.topology(3);
  await fixture.enrol("sdc-1", "SDC", 8003);
  await fixture.ok("POST", "/sdc/add", { name: "sdc" });
  await fixture.ok("POST", "/vol/create", { name: "v", size_gb: 0.05, pool_id: 1 });
  await fixture.run(1_000);
  await fixture.ok("POST", "/vol/map?volume_id=1&sdc_id=1&access_mode=readOnly");
  await fixture.ok("POST", "/vol/extend?volume_id=1&new_size_gb=0.1");
  const fields: [string, string][] = [
    ["/", "cluster,message,service"],
    ["/pd/1", "description,id,name,pool_count,pools,sds_count,sds_nodes"],
    [
      "/pool/1",
      "chunk_size_mb,health,id,name,pd_id,protection_policy,rebuild_progress_percent,rebuild_state,reserved_capacity_gb," +
      "total_capacity_gb,used_capacity_gb",
    ],
    ["/pool/1/health", "health,id"],
    ["/sdc/1", "cluster_node_id,component_id,id,mapped_volume_count,mapped_volumes,name"],
    ["/sdc/1/datastores", "datastore_count,datastores,sdc_id,sdc_name"],
    ["/vol/1", "id,io_mode,mapping_count,mappings,name,pool_id,provisioning,size_gb,state,used_capacity_gb"],
    ["/discovery/topology", "cluster_name,components,mdm,mgmt,protection_domains,registered_components,sdc_clients"],
    ["/cluster/nodes", "count,nodes"],
    ["/health/", "by_type,components,health_score,heartbeat_timeout_seconds,status,timestamp"],
    ["/metrics/cluster", "health,nodes,storage,volumes"],
  ];
  for (const [path, expected] of fields) {
    await t.step(path, async () => assertEquals(Object.keys(await fixture.ok("GET", path)).sort().join(","), expected));
  }
  await t.step("values", async () => {
    const volume = await fixture.ok("GET", "/vol/1");
    assertEquals([volume.state, volume.mapping_count], ["IN_USE", 1]);
    assert(Math.abs(volume.size_gb - 0.1) < 1e-4);
    assertEquals((await fixture.ok("GET", "/discovery/peers/sds")).length, 3);
    assertEquals((await fixture.ok("GET", "/health/components")).length, 4);
    assertEquals((await fixture.ok("GET", "/health/status/sds-1")).is_stale, false);
    assertEquals((await fixture.ok("GET", "/health")).status, "healthy");
    assertEquals((await fixture.ok("GET", "/sds/list")).map((sds: { state: string }) => sds.state), ["UP", "UP", "UP"]);
    const told = fixture.callsTo("/control/volume_mapped").map((call) => call.body);
    assertEquals(told.map((body) => (body as { access_mode: string }).access_mode), ["readOnly", "readOnly"]);
  });
  await t.step("the overview fits its schema, and Prometheus gets text", async () => {
    const overview = overviewSchema.parse(await fixture.ok("GET", "/api/v1/overview"));
    assertEquals([overview.health, overview.volumes[0]!.state, overview.sdss.length], ["healthy", "in_use", 3]);
    const { body } = await fixture.call("GET", "/metrics");
    assert(body.includes('powerflex_pool_placement_groups{pool="pool",state="full"} 4'));
  });
});

Deno.test("silence is shown as STALE after 30 s and DOWN after 60 s, and its end as an event", async () => {
  await using fixture = new MdmFixture();
  await fixture.topology(2);
  fixture.sdss[0]!.up = false;
  const status = async () => (await fixture.ok("GET", "/health/status/sds-1")).status;
  await fixture.run(29_000);
  assertEquals(await status(), "ACTIVE");
  await fixture.run(3_000);
  assertEquals([await status(), (await fixture.ok("GET", "/sds/1")).state], ["STALE", "DEGRADED"]);
  await fixture.run(30_000);
  assertEquals([await status(), (await fixture.ok("GET", "/sds/1")).state], ["DOWN", "DOWN"]);
  fixture.sdss[0]!.up = true;
  await fixture.run(1_500);
  assertEquals(await status(), "ACTIVE");
  const { events } = await fixture.ok("GET", "/api/v1/overview");
  const states = events.filter((event: { type: string }) => event.type === "sds_state_change")
    .map((event: { message: string }) => /ACTIVE|STALE|DOWN|heard again/.exec(event.message)?.[0]);
  assertEquals(states, ["heard again", "DOWN", "STALE"]);
});
