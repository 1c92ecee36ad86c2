/**
 * The cluster as a tree: domains with their pools, volumes, SDSs and devices; SDCs with what they use. Each record names the
 * process that it runs on.
 *
 * @module
 */
import type { MdmContext } from "@/mdm/context.ts";
import { gibOfBytes } from "@/mdm/core/capacity.ts";
import { capacityOf } from "@/mdm/operations/devices.ts";
import { type ComponentView, componentView } from "@/mdm/operations/discovery.ts";
import { componentById, listComponents } from "@/mdm/store/components.ts";
import { devicesOfSds } from "@/mdm/store/devices.ts";
import { listDomains } from "@/mdm/store/domains.ts";
import { listFaultSets } from "@/mdm/store/fault_sets.ts";
import { mappingsOfSdc, mappingsOfVolume } from "@/mdm/store/mappings.ts";
import { type PoolRow, poolsOfDomain } from "@/mdm/store/pools.ts";
import { listSdcs } from "@/mdm/store/sdc.ts";
import { sdsOfDomain, type SdsRow } from "@/mdm/store/sds.ts";
import { volumeById, volumesOfPool } from "@/mdm/store/volumes.ts";
import type { ComponentId } from "@/shared/ids.ts";

/** The whole tree, made in one synchronous stretch. */
export function topologyTree(context: MdmContext) {
  const faultSets = listFaultSets(context.db);
  const components = listComponents(context.db).map((component) => componentView(context, component));
  return {
    mdm: components.filter((component) => component.component_type === "MDM"),
    mgmt: components.filter((component) => component.component_type === "MGMT"),
    protection_domains: listDomains(context.db).map(({ domainId, name }) => ({
      id: domainId,
      name,
      fault_sets: faultSets.filter((faultSet) => faultSet.domainId === domainId)
        .map((faultSet) => ({ id: faultSet.faultSetId, name: faultSet.name })),
      pools: poolsOfDomain(context.db, domainId).map((pool) => poolBranch(context, pool)),
      sds_nodes: sdsOfDomain(context.db, domainId).map((sds) => sdsBranch(context, sds)),
    })),
    sdc_clients: listSdcs(context.db).map((sdc) => ({
      id: sdc.sdcId,
      name: sdc.name,
      component: componentOf(context, sdc.componentId),
      volumes: mappingsOfSdc(context.db, sdc.sdcId).map((mapping) => ({
        id: mapping.volumeId,
        name: volumeById(context.db, mapping.volumeId)?.name ?? "",
        access_mode: mapping.accessMode,
      })),
    })),
  };
}

function poolBranch(context: MdmContext, pool: PoolRow) {
  return {
    id: pool.poolId,
    name: pool.name,
    total_capacity_gb: gibOfBytes(pool.limitBytes),
    volumes: volumesOfPool(context.db, pool.poolId).map((volume) => ({
      id: volume.volumeId,
      name: volume.name,
      size_gb: gibOfBytes(volume.sizeBytes),
      sdc_ids: mappingsOfVolume(context.db, volume.volumeId).map((mapping) => mapping.sdcId),
    })),
  };
}

function sdsBranch(context: MdmContext, sds: SdsRow) {
  return {
    id: sds.sdsId,
    name: sds.name,
    fault_set_id: sds.faultSetId,
    component: componentOf(context, sds.componentId),
    devices: devicesOfSds(context.db, sds.sdsId).map((device) => ({
      id: device.deviceId,
      name: device.name,
      pool_id: device.poolId,
      state: device.state,
      capacity_gb: gibOfBytes(capacityOf(device)),
    })),
  };
}

/** Null for a process that unregistered. */
function componentOf(context: MdmContext, componentId: ComponentId): ComponentView | null {
  const component = componentById(context.db, componentId);
  if (component === undefined || component.status === "UNREGISTERED") return null;
  return componentView(context, component);
}
