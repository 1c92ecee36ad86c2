/**
 * What every path refuses, by the paths of the MDM's API that the predecessor promised.
 */
import { assert, assertEquals } from "@std/assert";
import { SDC_IO_BODY_BYTES_MAX } from "@/shared/api/sdc_io.ts";
import { assertRefused, served } from "@/tests/support/api_refusals.ts";
import { MdmFixture } from "@/tests/support/mdm_fixture.ts";

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
    const answer = await post(`{"name":"${"x".repeat(SDC_IO_BODY_BYTES_MAX)}"}`);
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
