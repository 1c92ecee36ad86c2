/** What clients of the predecessor do besides the specification's groups. @module */
import { assert, assertEquals } from "@std/assert";
import { GIB, type SpecificationCluster } from "@/tests/integration/specification/cluster.ts";

/** Declares these tests. */
export function oldClientTests(cluster: () => SpecificationCluster): void {
  Deno.test("old clients: a node registers, registers again, and beats", async () => {
    const node = {
      node_id: "old-1",
      name: "old",
      address: "10.0.0.77",
      port: 9190,
      data_port: 9790,
      capabilities: ["SDS"],
    };
    const first = await cluster().ok("POST", "/cluster/nodes/register", node);
    assertEquals([first.registered, first.node.node_id], [true, "old-1"]);
    const again = await cluster().ok("POST", "/cluster/nodes/register", { ...node, name: "renamed" });
    assertEquals([again.node.id, again.node.name], [first.node.id, "renamed"]);
    const beat = await cluster().ok("POST", "/cluster/nodes/old-1/heartbeat", { status: "ACTIVE" });
    assertEquals([beat.heartbeat, beat.node.status], ["ok", "ACTIVE"]);
    await cluster().refused({ path: "/cluster/nodes/nobody/heartbeat", body: {} }, { status: 404, says: /nobody/ });
    const sdss = (await cluster().ok("GET", "/cluster/nodes")).nodes.filter(({ name }: { name: string }) =>
      name === "renamed"
    );
    assertEquals(sdss.length, 1);
  });

  Deno.test("old clients: a stranger that registers with a wrong secret is rejected", async () => {
    const stranger = {
      component_id: "sds-1",
      component_type: "SDS",
      address: "127.0.0.1",
      ports: { control: 9100, data: 9700, mgmt: 9200 },
      auth_token: "0".repeat(64),
    };
    const answer = await cluster().call("POST", "/discovery/register", stranger);
    assertEquals(answer.status, 403, JSON.stringify(answer.body));
    const { auth_token: _, ...unproved } = stranger;
    assertEquals((await cluster().call("POST", "/discovery/register", unproved)).status, 403);
  });

  Deno.test("old clients: two SDCs write one volume, a third may only read it", async () => {
    const { sdcIds } = await cluster().cleanSlate();
    const volumeId = await cluster().volume("shared", 0.0625);
    await cluster().map(volumeId, sdcIds[0]!);
    await cluster().map(volumeId, sdcIds[1]!);
    await cluster().map(volumeId, sdcIds[2]!, "readOnly");
    assertEquals((await cluster().ok("GET", `/vol/${volumeId}`)).mapping_count, 3);
    const devices = [];
    for (const sdcId of sdcIds) devices.push(await cluster().device(volumeId, sdcId));
    const [first, second, reader] = devices;
    const text = (answer: { data_b64: string }) => atob(answer.data_b64);
    await first!.ask({ command: "WRITE", offset_bytes: 0, data_b64: btoa("from first.") });
    assertEquals(text(await second!.ask({ command: "READ", offset_bytes: 0, length_bytes: 11 })), "from first.");
    await second!.ask({ command: "WRITE", offset_bytes: 5, data_b64: btoa("second") });
    for (const device of devices) {
      assertEquals(text(await device.ask({ command: "READ", offset_bytes: 0, length_bytes: 11 })), "from second");
    }
    const refused = await reader!.ask({ command: "WRITE", offset_bytes: 0, data_b64: btoa("no") });
    assertEquals([refused.ok, refused.code], [false, "read_only"]);
    assertEquals(text(await first!.ask({ command: "READ", offset_bytes: 0, length_bytes: 11 })), "from second");
    for (const device of devices) device.close();
  });

  Deno.test("old clients: fractions of a GB are sizes, rounded up to whole blocks", async () => {
    await cluster().cleanSlate();
    const id = await cluster().volume("fraction", 0.05);
    const { size_gb } = await cluster().ok("GET", `/vol/${id}`);
    assertEquals(size_gb * GIB, Math.ceil(0.05 * GIB / 4096) * 4096);
    const device = `volume_id=${id}&new_size_gb=0.1001`;
    await cluster().ok("POST", `/vol/extend?${device}`);
    assertEquals(
      (await cluster().ok("GET", `/vol/${id}`)).size_gb * GIB,
      Math.ceil(0.1001 * GIB / 4096) * 4096,
    );
  });

  Deno.test("old clients: a third thick volume of 800 MB in a pool of 2 GB is refused, the others stay (scenario D)", async () => {
    const { poolId } = await cluster().cleanSlate();
    const thick = { size_gb: 800 / 1024, provisioning: "thick", pool_id: poolId };
    for (const name of ["first", "second"]) await cluster().ok("POST", "/vol/create", { ...thick, name });
    await cluster().refused({ path: "/vol/create", body: { ...thick, name: "third" } }, {
      status: 400,
      says: /has 0\.438 GB of 2 GB left, 0\.781 GB are needed/,
    });
    const volumes = await cluster().ok("GET", "/vol/list");
    assertEquals(volumes.map(({ name }: { name: string }) => name).sort(), ["first", "second"]);
    const grown = await cluster().call("POST", `/vol/extend?volume_id=${volumes[0].id}&new_size_gb=1.5`);
    assertEquals(grown.status, 400, JSON.stringify(grown.body));
    assert((await cluster().ok("GET", `/vol/${volumes[0].id}`)).size_gb < 1);
  });
}
