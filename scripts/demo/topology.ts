/**
 * Domain, pool, records and the volume of the demo, made through the MDM's API. What is there already, from an earlier start,
 * is left as it is; what is missing, such as a further SDS, is added.
 *
 * @module
 */
import type { DemoPlan } from "@/scripts/demo/plan.ts";
import type { MdmApi } from "@/scripts/demo/mdm_api.ts";
import type { Overview } from "@/shared/api/overview.ts";

/** Name of the domain and of the volume. */
export const DEMO_NAME = "demo";
const POOL_NAME = "demo-pool";
const DEVICE_NAME = "blk0";
const GIB = 2 ** 30;
/** Smallest capacity that an SDS of the demo offers. Nothing is written before it is used. */
const SDS_CAPACITY_GIB_MIN = 16;

/** The volume that the demo serves. */
export interface DemoVolume {
  readonly id: number;
  readonly name: string;
  readonly sizeBytes: number;
}

/** Makes what is missing and gives the volume. @throws {Error} with the MDM's words when it refuses. */
export async function ensureTopology(plan: DemoPlan, api: MdmApi): Promise<DemoVolume> {
  const now = await api.overview();
  const domainId = now.domains.find(({ name }) => name === DEMO_NAME)?.domainId ??
    await api.create("/pd/create", { name: DEMO_NAME });
  const sdsCapacityGib = Math.max(SDS_CAPACITY_GIB_MIN, 2 * Math.ceil(plan.options.volumeBytes / GIB));
  const poolId = now.pools.find(({ name }) => name === POOL_NAME)?.poolId ?? await api.create("/pool/create", {
    name: POOL_NAME,
    pd_id: domainId,
    total_capacity_gb: Math.floor(sdsCapacityGib * plan.options.sdsCount / 2),
    protection_policy: "two_copies",
  });
  const nodes = await api.clusterNodes();
  await ensureSdss(plan, { now, api, nodes, domainId, poolId, sdsCapacityGib });
  const sdcIds = await ensureSdcs(plan, { now, api, nodes });
  const volume = now.volumes.find(({ name }) => name === DEMO_NAME);
  const id = volume?.volumeId ?? await api.create("/vol/create", {
    name: DEMO_NAME,
    size_gb: plan.options.volumeBytes / GIB,
    provisioning: "thin",
    pool_id: poolId,
  });
  // A start that was interrupted may have made the volume and not mapped it.
  if (volume === undefined || volume.mappings.length === 0) await api.mapVolume(id, sdcIds[0]!);
  return { id, name: DEMO_NAME, sizeBytes: volume?.sizeBytes ?? plan.options.volumeBytes };
}

interface Making {
  readonly now: Overview;
  readonly api: MdmApi;
  readonly nodes: ReadonlyMap<string, number>;
}

/** Each SDS gets a fault set of its own, so that two copies never end with one process. */
async function ensureSdss(
  plan: DemoPlan,
  making: Making & { readonly domainId: number; readonly poolId: number; readonly sdsCapacityGib: number },
): Promise<void> {
  const { now, api, nodes, domainId, poolId, sdsCapacityGib } = making;
  const faultSets = new Set(now.domains.find(({ name }) => name === DEMO_NAME)?.faultSets.map(({ name }) => name));
  for (const [index, { name }] of plan.sds.entries()) {
    if (now.sdss.some((sds) => sds.name === name)) continue;
    const faultSet = `fault-set-${index + 1}`;
    if (!faultSets.has(faultSet)) await api.create("/fault_set/create", { name: faultSet, pd_id: domainId });
    await api.create("/sds/add", {
      name,
      total_capacity_gb: sdsCapacityGib,
      devices: DEVICE_NAME,
      protection_domain_id: domainId,
      pool_id: poolId,
      cluster_node_id: nodeOf(nodes, name),
      fault_set: faultSet,
    });
  }
}

async function ensureSdcs(plan: DemoPlan, making: Making): Promise<number[]> {
  const ids: number[] = [];
  for (const { name } of plan.sdc) {
    const known = making.now.sdcs.find((sdc) => sdc.name === name)?.sdcId;
    ids.push(known ?? await making.api.create("/sdc/add", { name, cluster_node_id: nodeOf(making.nodes, name) }));
  }
  return ids;
}

function nodeOf(nodes: ReadonlyMap<string, number>, name: string): number {
  const id = nodes.get(name);
  if (id === undefined) throw new Error(`${name} runs but is not registered at the MDM`);
  return id;
}
