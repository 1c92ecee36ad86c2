/** Group "monitoring" of the specification: 2 tests. @module */
import { assert, assertEquals } from "@std/assert";
import { eventually, httpCall, POOL_GB, type SpecificationCluster } from "@/tests/integration/specification/cluster.ts";
import { signedIn } from "@/tests/integration/specification/signed_in.ts";

/** Declares the group's tests. */
export function monitoringTests(cluster: () => SpecificationCluster): void {
  Deno.test("monitoring: MGMT polls the whole cluster and keeps snapshots of it", async () => {
    const { sdsIds } = await cluster().cleanSlate();
    const url = `${cluster().state.mgmt.url}/health/api/components`;
    const components = await eventually(
      async () => (await httpCall("GET", url)).body,
      (body) => Array.isArray(body) && body.length >= 6,
    );
    const ids = components.map(({ component_id }: { component_id: string }) => component_id);
    for (const id of ["sds-1", "sds-2", "sds-3", "sdc-1", "sdc-2", "sdc-3"]) assert(ids.includes(id), `${ids}`);
    const summary = await httpCall("GET", `${cluster().state.mgmt.url}/health/api/summary`);
    assertEquals(Object.keys(summary.body).sort(), ["alert_counts", "health_metrics", "health_summary"]);
    const browser = await signedIn(cluster());
    const figures = async () => {
      const answer = await browser.request(`/metrics/sds/${sdsIds[0]}`, { headers: { Accept: "application/json" } });
      return await answer.json();
    };
    // A pass each 10 s asks each component itself.
    const { timeline } = await eventually(figures, (found) => found.timeline?.length > 0);
    assertEquals([typeof timeline[0].timestamp, typeof timeline[0].status], ["string", "string"]);
  });

  Deno.test("monitoring: metrics tell capacity, volumes and nodes, for people and for Prometheus", async () => {
    await cluster().cleanSlate();
    await cluster().volume("counted", 1);
    const metrics = await cluster().ok("GET", "/metrics/cluster");
    assertEquals(metrics.storage.total_capacity_gb, POOL_GB);
    assertEquals(metrics.volumes, { count: 1, total_capacity_gb: 1 });
    assertEquals(metrics.nodes, { sds: 3, sdc: 3, protection_domains: 1, pools: 1 });
    assertEquals(metrics.health.inactive, 0);
    const { mdm, sds, sdc } = cluster().state;
    for (const url of [mdm.url, sds[0]!.mgmtUrl, sdc[0]!.mgmtUrl]) {
      const text = await fetch(`${url}/metrics`, { headers: { Accept: "text/plain" } }).then((answer) => answer.text());
      assert(/^# TYPE powerflex_\w+ /m.test(text), text.slice(0, 200));
    }
  });
}
