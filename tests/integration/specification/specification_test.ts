/**
 * The tests that the specification counts, in its groups, against one cluster of real processes, then what old clients do
 * besides. Its two tests of snapshots come with snapshots.
 *
 * @module
 */
import { SpecificationCluster } from "@/tests/integration/specification/cluster.ts";
import { monitoringTests } from "@/tests/integration/specification/monitoring.ts";
import { oldClientTests } from "@/tests/integration/specification/old_clients.ts";
import { topologyTests } from "@/tests/integration/specification/topology.ts";
import { volumeLifeTests } from "@/tests/integration/specification/volume_life.ts";

let started: SpecificationCluster | undefined;

/** The cluster that all groups share. */
function cluster(): SpecificationCluster {
  if (started === undefined) throw new Error("The cluster is not started");
  return started;
}

Deno.test.beforeAll(async () => {
  started = await SpecificationCluster.start();
});
Deno.test.afterAll(async () => {
  await started?.[Symbol.asyncDispose]();
});

topologyTests(cluster);
volumeLifeTests(cluster);
monitoringTests(cluster);
oldClientTests(cluster);
