/**
 * The tests that the specification counts, in its groups, against one cluster of real processes: topology 5, volume life 6, IO 5,
 * alerts 4, monitoring 2, discovery 1. Its two tests of snapshots come with snapshots. Then what old clients do besides.
 *
 * @module
 */
import { SpecificationCluster } from "@/tests/integration/specification/cluster.ts";
import { alertTests } from "@/tests/integration/specification/alerts.ts";
import { discoveryTests } from "@/tests/integration/specification/discovery.ts";
import { ioTests } from "@/tests/integration/specification/io.ts";
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
ioTests(cluster);
monitoringTests(cluster);
discoveryTests(cluster);
oldClientTests(cluster);
// Last: for 40 s one of its servers stands still.
alertTests(cluster);
