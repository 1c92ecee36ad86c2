/**
 * The registry of processes: health in every form, heartbeats under every name, the topology as a tree, cluster nodes.
 */
import { assert, assertEquals } from "@std/assert";
import { signRequest } from "@/shared/http/node_auth.ts";
import { assertRefused, served } from "@/tests/support/api_refusals.ts";
import { MdmFixture } from "@/tests/support/mdm_fixture.ts";

/** Two SDSs that beat, one SDC that was last heard when it enrolled. */
async function withSilentSdc(silentMs: number): Promise<MdmFixture> {
  const fixture = await served();
  await fixture.run(silentMs);
  return fixture;
}

Deno.test("/health and its kin count who is silent, and name them", async (t) => {
  await using fixture = await withSilentSdc(31_000);
  const health = await fixture.ok("GET", "/health");
  const { timestamp: _timestamp, ...rest } = health;
  assertEquals(rest, {
    status: "warning",
    health_score: 66.7,
    components: { total: 3, active: 2, inactive: 1 },
    by_type: { SDS: { total: 2, active: 2, inactive: 0 }, SDC: { total: 1, active: 0, inactive: 1 } },
    heartbeat_timeout_seconds: 30,
  });
  assertEquals((await fixture.ok("GET", "/health/")).components, rest.components);
  const overall = await fixture.ok("GET", "/health/status");
  assertEquals([overall.status, overall.total, overall.active, overall.stale], ["DEGRADED", 3, 2, 1]);
  assertEquals(await fixture.ok("GET", "/health/stale"), ["sdc-1"]);
  const components = await fixture.ok("GET", "/health/components");
  const words = (component: Record<string, unknown>) => [
    component["component_id"],
    component["status"],
    component["legacy_status"],
    component["is_stale"],
  ];
  assertEquals(components.map(words), [
    ["sds-1", "ACTIVE", "ACTIVE", false],
    ["sds-2", "ACTIVE", "ACTIVE", false],
    ["sdc-1", "STALE", "INACTIVE", true],
  ]);
  assertEquals(await fixture.ok("GET", "/health/status/sdc-1"), components[2]);
  const metrics = await fixture.ok("GET", "/health/metrics");
  assertEquals([metrics.total_components, metrics.stale_components, metrics.availability_percentage], [3, 1, 66.7]);
  await fixture.run(30_000);
  assertEquals((await fixture.ok("GET", "/health/status/sdc-1")).status, "DOWN");
  for (const sds of fixture.sdss) sds.up = false;
  await fixture.run(61_000);
  assertEquals((await fixture.ok("GET", "/health")).status, "critical");
  await assertRefused(t, fixture, [
    { method: "GET", path: "/health/status/nobody", status: 404, says: /no component nobody/ },
  ]);
});

Deno.test("heartbeats count under each of their names", async (t) => {
  const metrics = { cpu_percent: 12.5, disk_usage_percent: 40, chunk_count: 7 };
  const beats: [string, string, unknown, Record<string, unknown>][] = [
    ["/discovery/heartbeat/sdc-1", "component_id", undefined, {}],
    ["/discovery/heartbeat", "component_id", { component_id: "sdc-1" }, {}],
    ["/health/heartbeat", "node_id", { node_id: "sdc-1", node_type: "sdc", status: "ACTIVE", metrics }, { metrics }],
  ];
  for (const [path, idKey, body, shown] of beats) {
    await t.step(path, async () => {
      await using fixture = await withSilentSdc(31_000);
      const answer = await fixture.ok("POST", path, body);
      assertEquals([answer.status, answer[idKey]], ["ok", "sdc-1"]);
      const health = await fixture.ok("GET", "/health/status/sdc-1");
      assertEquals([health.status, health.metrics], ["ACTIVE", shown["metrics"] ?? null]);
    });
  }
  await using fixture = await served();
  await assertRefused(t, fixture, [
    { path: "/discovery/heartbeat/nobody", status: 404, says: /no component nobody/ },
    { path: "/discovery/heartbeat", body: {}, status: 422, says: /component_id/ },
    { path: "/health/heartbeat", body: { node_id: "nobody" }, status: 404, says: /no component nobody/ },
    { path: "/health/heartbeat", body: {}, status: 422, says: /node_id/ },
    {
      path: "/health/heartbeat",
      body: { node_id: "sdc-1", metrics: { cpu_percent: "much" } },
      status: 422,
      says: /metrics.cpu_percent/,
    },
  ]);
});

Deno.test("a process may only speak for itself, where calls need a token", async () => {
  await using fixture = new MdmFixture({ auth: "token" });
  const nodeKeyHex = await fixture.enrol("sdc-1", "SDC", 8003);
  await fixture.enrol("sdc-2", "SDC", 8013);
  for (const [nodeId, status] of [["sdc-1", 200], ["sdc-2", 403]] as const) {
    const body = { node_id: nodeId };
    const request = { method: "POST", path: "/health/heartbeat", body: JSON.stringify(body) };
    const headers = signRequest({ ...request, nodeKeyHex, componentId: "sdc-1" });
    const answer = await fixture.call("POST", request.path, { body, headers });
    assertEquals(answer.status, status, nodeId);
  }
  assertEquals((await fixture.call("POST", "/health/heartbeat", { body: { node_id: "sdc-1" } })).status, 401);
});

Deno.test("/discovery/topology is flat, and a tree of what runs where", async () => {
  await using fixture = await served();
  await fixture.run(1_000);
  await fixture.ok("POST", "/vol/create", { name: "v", size_gb: 1, pool_id: 1 });
  await fixture.ok("POST", "/vol/map?volume_id=1&sdc_id=1");
  const topology = await fixture.ok("GET", "/discovery/topology");
  assertEquals(topology.registered_components, topology.components);
  assertEquals(topology.components.length, 3);
  const [domain] = topology.protection_domains;
  assertEquals([domain.name, domain.pools[0].name, domain.pools[0].volumes], [
    "pd",
    "pool",
    [{ id: 1, name: "v", size_gb: 1, sdc_ids: [1] }],
  ]);
  const [sds] = domain.sds_nodes;
  assertEquals([sds.name, sds.component.component_id, sds.devices[0].name, sds.devices[0].pool_id], [
    "sds-1",
    "sds-1",
    "blk0",
    1,
  ]);
  const [sdc] = topology.sdc_clients;
  assertEquals([sdc.name, sdc.component.component_type, sdc.volumes], [
    "sdc-1",
    "SDC",
    [{ id: 1, name: "v", access_mode: "readWrite" }],
  ]);
});

Deno.test("/discovery/deregister and /unregister forget a process; its records stay", async (t) => {
  await using fixture = await served();
  await fixture.enrol("mgmt-1", "MGMT", 5000);
  const gone = { status: "unregistered", component_id: "mgmt-1" };
  assertEquals(await fixture.ok("POST", "/discovery/deregister", { component_id: "mgmt-1" }), gone);
  assertEquals(await fixture.ok("DELETE", "/discovery/unregister/sdc-1"), { ...gone, component_id: "sdc-1" });
  assertEquals(await fixture.ok("GET", "/discovery/peers/sdc"), []);
  assertEquals((await fixture.ok("GET", "/sdc/list")).length, 1);
  assertEquals((await fixture.ok("GET", "/discovery/topology")).sdc_clients[0].component, null);
  await assertRefused(t, fixture, [
    { path: "/discovery/deregister", body: { component_id: "mgmt-1" }, status: 404, says: /no component mgmt-1/ },
    { path: "/discovery/deregister", body: {}, status: 422, says: /component_id/ },
    { method: "DELETE", path: "/discovery/unregister/sdc-1", status: 404, says: /no component sdc-1/ },
    { method: "GET", path: "/discovery/peers/tape", status: 422, says: /type/ },
  ]);
});

Deno.test("/cluster/bootstrap/minimal records four nodes, and changes them the second time", async (t) => {
  await using fixture = new MdmFixture();
  const first = await fixture.ok("POST", "/cluster/bootstrap/minimal", {});
  assertEquals([first.created, first.updated, first.count], [4, 0, 4]);
  const facts = first.nodes.map((node: Record<string, unknown>) => [
    node["node_id"],
    node["address"],
    node["control_port"],
    node["data_port"],
    node["capabilities"],
    node["status"],
  ]);
  assertEquals(facts, [
    ["demo-mdm-1", "10.0.0.10", 9100, 9700, ["MDM"], "UNKNOWN"],
    ["demo-sds-1", "10.0.0.11", 9101, 9701, ["SDS"], "UNKNOWN"],
    ["demo-sds-2", "10.0.0.12", 9102, 9702, ["SDS"], "UNKNOWN"],
    ["demo-sdc-1", "10.0.0.13", 9103, 9703, ["SDC"], "UNKNOWN"],
  ]);
  const again = await fixture.ok("POST", "/cluster/bootstrap/minimal", { address_base: "10.1.2.", start_octet: 1 });
  assertEquals([again.created, again.updated, again.nodes[0].address], [0, 4, "10.1.2.1"]);
  const summary = await fixture.ok("GET", "/cluster/summary");
  assertEquals([summary.total_nodes, summary.by_capability.SDS, summary.by_status.UNKNOWN], [4, 2, 4]);
  const before = await fixture.ok("GET", "/cluster/nodes");
  await assertRefused(t, fixture, [
    { path: "/cluster/bootstrap/minimal", body: { start_octet: 252 }, status: 422, says: /start_octet/ },
    { path: "/cluster/bootstrap/minimal", body: { control_base_port: 65_533 }, status: 422, says: /control_base_port/ },
    { path: "/cluster/bootstrap/minimal", body: { address_base: "10.0.0" }, status: 422, says: /address_base/ },
    { path: "/cluster/bootstrap/minimal", body: { prefix: "a b" }, status: 422, says: /prefix/ },
  ]);
  assertEquals(await fixture.ok("GET", "/cluster/nodes"), before);
  assert((await fixture.ok("POST", "/cluster/nodes/1/heartbeat", {})).node.status === "ACTIVE");
});
