/** Group "discovery" of the specification: 1 test, which its own project skipped. @module */
import { assertEquals } from "@std/assert";
import type { SpecificationCluster } from "@/tests/integration/specification/cluster.ts";

interface Named {
  readonly component_id: string;
  readonly component_type: string;
  readonly status: string;
}

/** Declares the group's test. */
export function discoveryTests(cluster: () => SpecificationCluster): void {
  Deno.test("discovery: the topology is told flat and nested, with every process in it", async () => {
    const { domainId, poolId, sdsIds, sdcIds } = await cluster().cleanSlate();
    const told = await cluster().ok("GET", "/discovery/topology");
    const ids = told.components.map(({ component_id }: Named) => component_id).sort();
    assertEquals(ids.filter((id: string) => /^sd[cs]/.test(id)), [
      "sdc-1",
      "sdc-2",
      "sdc-3",
      "sds-1",
      "sds-2",
      "sds-3",
    ]);
    assertEquals(told.components.every(({ status }: Named) => status === "ACTIVE"), true);
    const peers: readonly Named[] = await cluster().ok("GET", "/discovery/peers/SDS");
    assertEquals(peers.map(({ component_type }) => component_type), ["SDS", "SDS", "SDS"]);
    const [domain] = told.protection_domains;
    assertEquals([domain.id, domain.pools[0].id], [domainId, poolId]);
    assertEquals(domain.sds_nodes.map(({ id }: { id: number }) => id), sdsIds);
    assertEquals(told.sdc_clients.map(({ id }: { id: number }) => id), sdcIds);
  });
}
