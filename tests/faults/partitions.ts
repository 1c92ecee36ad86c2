/**
 * Networks that fall apart between processes that all live: nobody reads an old byte, IO waits and goes on, and the cluster is
 * whole again once the network is. What stalls for how long is the table of `docs/failure_model.md`.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { busiestOf, groupsOf, untilHealthy } from "@/tests/support/group_view.ts";
import { NETWORK_PROGRAMS, NetworkCluster } from "@/tests/support/network_cluster.ts";
import { programTest } from "@/tests/support/programs.ts";
import { VerifiedLoad } from "@/tests/support/verified_load.ts";

/** How long a link stays cut: longer than lease, grace and the removal of a silent member together. */
const CUT_MS = 12_000;
const STALL_MS_MAX = 8000;
const HEALTHY_MS_MAX = 60_000;
const LOAD_BYTES = 64 << 20;
/** How long the MDM is away; `MDM_AWAY_SECONDS` sets it. */
const MDM_AWAY_SECONDS = Number(Deno.env.get("MDM_AWAY_SECONDS") ?? 20);
/** What a request may take while nothing but the MDM is away; a loaded machine alone takes some of it. */
const QUIET_STALL_MS_MAX = 2000;

/** A cut: between whom, given the SDS that is primary of most groups and another. */
interface Cut {
  readonly name: string;
  apply(cluster: NetworkCluster, sds: { readonly primary: string; readonly other: string }): Promise<void>;
}

const CUTS: readonly Cut[] = [
  {
    name: "a primary and a secondary lose each other",
    apply: (net, { primary, other }) => net.cutBoth(primary, other),
  },
  { name: "a primary no longer hears a secondary", apply: (net, { primary, other }) => net.cut(other, primary) },
  { name: "a secondary no longer hears a primary", apply: (net, { primary, other }) => net.cut(primary, other) },
  { name: "a primary and the MDM lose each other", apply: (net, { primary }) => net.cutBoth(primary, "mdm") },
  { name: "an SDS is alone", apply: (net, { primary }) => cutOff(net, primary, ["mdm", "sdc-1"]) },
  { name: "an SDS hears its clients only", apply: (net, { primary }) => cutOff(net, primary, ["mdm"]) },
];

for (const { name, apply } of CUTS) {
  programTest(`scenario: ${name} for 12 s, and every byte is right`, NETWORK_PROGRAMS, async () => {
    await using cluster = await NetworkCluster.start();
    const load = await loadOn(cluster);
    const primary = await busiestOf(cluster.mdm);
    const other = cluster.sdsNames.find((sds) => sds !== primary)!;
    await apply(cluster, { primary, other });
    await load.runFor(CUT_MS);
    await cluster.heal();
    await load.runFor(2000);
    await ends(load, cluster, name);
    assert(load.longestMs < STALL_MS_MAX, `longest stall ${load.longestMs} ms`);
  });
}

programTest("scenario: the SDC loses a primary for 6 s, and its requests wait", NETWORK_PROGRAMS, async () => {
  await using cluster = await NetworkCluster.start();
  const load = await loadOn(cluster);
  await cluster.cutBoth("sdc-1", await busiestOf(cluster.mdm));
  await load.runFor(6000);
  await cluster.heal();
  await load.runFor(4000);
  await ends(load, cluster, "SDC and primary");
});

programTest(
  `scenario: the MDM is killed for ${MDM_AWAY_SECONDS} s under load, and IO goes on`,
  NETWORK_PROGRAMS,
  async () => {
    await using cluster = await NetworkCluster.start();
    const load = await loadOn(cluster);
    const epochs = epochsOf(await groupsOf(cluster.mdm));
    await cluster.kill("mdm");
    await load.runFor(MDM_AWAY_SECONDS * 1000);
    cluster.startAgain("mdm");
    await load.runFor(2000);
    await ends(load, cluster, "MDM away");
    assert(load.longestMs < QUIET_STALL_MS_MAX, `longest stall ${load.longestMs} ms`);
    assertEquals(epochsOf(await groupsOf(cluster.mdm)), epochs);
    await cluster.addVolume("later"); // what needs the MDM works again
  },
);

async function loadOn(cluster: NetworkCluster): Promise<VerifiedLoad> {
  await untilHealthy(cluster.mdm, HEALTHY_MS_MAX);
  const load = new VerifiedLoad({ open: cluster.open, sizeBytes: LOAD_BYTES, seed: 21, depth: 8 });
  load.start();
  await load.runFor(2000);
  return load;
}

/** The cluster heals, and all of the load is as it must be. */
async function ends(load: VerifiedLoad, cluster: NetworkCluster, name: string): Promise<void> {
  const healthyMs = await untilHealthy(cluster.mdm, HEALTHY_MS_MAX);
  await load.finish();
  await load.flush();
  await load.verify();
  console.log(`${name}:`, load.figures, `healthy ${healthyMs} ms after the load had gone on`);
}

async function cutOff(cluster: NetworkCluster, sds: string, others: readonly string[]): Promise<void> {
  const peers = cluster.sdsNames.filter((name) => name !== sds);
  await Promise.all([...peers, ...others].map((name) => cluster.cutBoth(sds, name)));
}

function epochsOf(groups: Awaited<ReturnType<typeof groupsOf>>): number[] {
  return groups.map(({ epoch }) => epoch);
}
