/**
 * Which registered process an operator's record is for ("placement of records on processes"): the one that `cluster_node_id`
 * names, else the registered process of that type without a record, lowest id first.
 *
 * @module
 */
import type { MdmContext } from "@/mdm/context.ts";
import { livenessOf } from "@/mdm/core/health.ts";
import { clusterNodeById, clusterNodeOfComponent, type ClusterNodeRow } from "@/mdm/store/cluster_nodes.ts";
import { componentById, type ComponentRow, listComponents } from "@/mdm/store/components.ts";
import { sdcOfComponent } from "@/mdm/store/sdc.ts";
import { sdsOfComponent } from "@/mdm/store/sds.ts";
import type { Liveness } from "@/shared/api/overview.ts";
import { StorageError } from "@/shared/errors.ts";
import type { ComponentId } from "@/shared/ids.ts";

/** A process and the row that names it. */
export interface PlacedRecord {
  readonly component: ComponentRow;
  readonly clusterNode: ClusterNodeRow;
}

/**
 * Picks the process for a new record.
 *
 * @throws {StorageError} `not_found` for the node; `rule_broken` if it has no such capability or is not active; `conflict` if it
 * has a record already, or if no process without one is registered.
 */
export function processFor(
  context: MdmContext,
  request: { type: "SDS" | "SDC"; name: string; clusterNodeId: number | undefined },
): PlacedRecord {
  const attempt = `Cannot add ${request.type} ${request.name}`;
  if (request.clusterNodeId !== undefined) {
    return processOfNode(context, { ...request, id: request.clusterNodeId, attempt });
  }
  const free = listComponents(context.db).find((component) =>
    component.componentType === request.type && !hasRecord(context, component) &&
    livenessOfComponent(context, component.componentId) === "up"
  );
  if (free === undefined) {
    throw new StorageError("conflict", `${attempt}: no running ${request.type} process without a record is registered`);
  }
  return { component: free, clusterNode: clusterNodeOfComponent(context.db, free.componentId)! };
}

function processOfNode(
  context: MdmContext,
  request: { type: "SDS" | "SDC"; id: number; attempt: string },
): PlacedRecord {
  const { type, id, attempt } = request;
  const clusterNode = clusterNodeById(context.db, id);
  if (clusterNode === undefined) throw new StorageError("not_found", `${attempt}: there is no cluster node ${id}`);
  if (!clusterNode.capabilities.includes(type)) {
    throw new StorageError(
      "rule_broken",
      `${attempt}: cluster node ${clusterNode.nodeId} lacks the ${type} capability`,
    );
  }
  const component = componentOfNode(context, clusterNode);
  if (component?.componentType !== type || livenessOfComponent(context, component.componentId) !== "up") {
    throw new StorageError(
      "rule_broken",
      `${attempt}: no ${type} process is ACTIVE at cluster node ${clusterNode.nodeId}`,
    );
  }
  if (hasRecord(context, component)) {
    throw new StorageError("conflict", `${attempt}: the process ${component.componentId} has a record already`);
  }
  return { component, clusterNode };
}

/** The process at a node: the one bound to it, else the registered one with its address and one of its ports. */
export function componentOfNode(context: MdmContext, node: ClusterNodeRow): ComponentRow | undefined {
  if (node.componentId !== null) return componentById(context.db, node.componentId);
  const ports = [node.controlPort, node.dataPort].filter((port) => port !== null);
  return listComponents(context.db).find((component) =>
    component.address === node.address &&
    [component.controlPort, component.dataPort, component.mgmtPort].some((port) =>
      port !== null && ports.includes(port)
    )
  );
}

function hasRecord(context: MdmContext, component: ComponentRow): boolean {
  return sdsOfComponent(context.db, component.componentId) !== undefined ||
    sdcOfComponent(context.db, component.componentId) !== undefined;
}

/** Time since a process was heard, in ms; since the MDM's start for one that was not heard since but is known from before. */
export function beatAgeMs(context: MdmContext, componentId: ComponentId): number {
  return context.clock.monotonicMs() - (context.live.lastBeatMs(componentId) ?? context.live.startedAtMs);
}

/** How a registered process is. */
export function livenessOfComponent(context: MdmContext, componentId: ComponentId): Liveness {
  return livenessOf(beatAgeMs(context, componentId), context.options.times);
}
