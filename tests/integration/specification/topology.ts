/** Group "topology" of the specification: 5 tests. @module */
import { assertEquals } from "@std/assert";
import { POOL_GB, SDC_COUNT, SDS_COUNT, type SpecificationCluster } from "@/tests/integration/specification/cluster.ts";

/** Declares the group's tests. */
export function topologyTests(cluster: () => SpecificationCluster): void {
  Deno.test("topology: a protection domain is created, and its name is taken from then on", async () => {
    const id = await cluster().domain();
    const { name, ...domain } = await cluster().ok("GET", `/pd/${id}`);
    assertEquals([name, domain.id, Array.isArray(domain.pools), Array.isArray(domain.sds_nodes)], [
      "domain",
      id,
      true,
      true,
    ]);
    await cluster().refused({ path: "/pd/create", body: { name: "domain" } }, { status: 409, says: /taken/ });
    await cluster().refused({ path: "/pd/create", body: {} }, { status: 422, says: /name/ });
  });

  Deno.test("topology: a pool is created without a policy and keeps two copies", async () => {
    const [pd_id, id] = [await cluster().domain(), await cluster().pool()];
    const pool = await cluster().ok("GET", `/pool/${id}`);
    assertEquals([pool.pd_id, pool.total_capacity_gb, pool.protection_policy], [pd_id, POOL_GB, "two_copies"]);
    const same = { name: "pool", pd_id, total_capacity_gb: 1 };
    await cluster().refused({ path: "/pool/create", body: same }, { status: 409, says: /one of that name/ });
  });

  Deno.test("topology: SDSs are added without a cluster node, one for each process", async () => {
    const ids = await cluster().sdss();
    assertEquals(new Set(ids).size, SDS_COUNT);
    const ports = new Set(cluster().state.sds.map(({ dataPort }) => dataPort));
    for (const id of ids) {
      const sds = await cluster().ok("GET", `/sds/${id}`);
      assertEquals([sds.state, sds.devices, ports.delete(sds.port)], ["UP", "blk0", true]);
    }
    const more = {
      name: "sds-4",
      total_capacity_gb: 1,
      devices: "blk0",
      protection_domain_id: await cluster().domain(),
    };
    await cluster().refused({ path: "/sds/add", body: more }, { status: 409, says: /no running SDS process/ });
  });

  Deno.test("topology: SDCs are added without a cluster node, one for each process", async () => {
    const ids = await cluster().sdcs();
    assertEquals(new Set(ids).size, SDC_COUNT);
    assertEquals((await cluster().ok("GET", `/sdc/${ids[0]}`)).mapped_volumes, []);
    await cluster().refused({ path: "/sdc/add", body: { name: "more" } }, {
      status: 409,
      says: /no running SDC process/,
    });
  });

  Deno.test("topology: lists show what was made, and the domain names its pool and SDSs", async () => {
    const { domainId, poolId, sdsIds, sdcIds } = await cluster().cleanSlate();
    const listed = async (path: string) =>
      (await cluster().ok("GET", path)).map(({ id }: { id: number }) => id).sort((a: number, b: number) => a - b);
    assertEquals(await listed("/pd/list"), [domainId]);
    assertEquals(await listed("/pool/list"), [poolId]);
    assertEquals(await listed("/sds/list"), sdsIds);
    assertEquals(await listed("/sdc/list"), sdcIds);
    assertEquals(await listed("/vol/list"), []);
    const domain = await cluster().ok("GET", `/pd/${domainId}`);
    assertEquals(domain.pools.map(({ id }: { id: number }) => id), [poolId]);
    assertEquals(domain.sds_nodes.map(({ id }: { id: number }) => id), sdsIds);
  });
}
