/**
 * Cluster nodes of the predecessor's API: what an operator says runs where. A registered process binds to the node with its
 * address and one of its ports.
 *
 * @module
 */
import type { MdmContext } from "@/mdm/context.ts";
import { livenessOf } from "@/mdm/core/health.ts";
import { componentOfNode, livenessOfComponent } from "@/mdm/operations/processes.ts";
import {
  clusterNodeById,
  clusterNodeByName,
  type ClusterNodeRow,
  listClusterNodes,
  recordNodeHeartbeat,
  upsertClusterNode,
} from "@/mdm/store/cluster_nodes.ts";
import { assert, StorageError } from "@/shared/errors.ts";

export interface NodeRequest {
  readonly nodeId: string;
  readonly name: string;
  readonly address: string;
  readonly controlPort: number | null;
  readonly dataPort: number | null;
  readonly capabilities: readonly string[];
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** One node as it is shown. */
export interface ClusterNodeView {
  readonly id: number;
  readonly node_id: string;
  readonly name: string;
  readonly address: string;
  readonly control_port: number | null;
  readonly data_port: number | null;
  readonly capabilities: readonly string[];
  readonly status: NodeStatus;
  readonly component_id: string | null;
  readonly metadata: Readonly<Record<string, unknown>>;
}
export type NodeStatus = "ACTIVE" | "DEGRADED" | "DOWN" | "UNKNOWN";

/** Records a node, or changes the one of that name. */
export function registerNode(context: MdmContext, request: NodeRequest): ClusterNodeView {
  upsertClusterNode(context.db, { ...request, componentId: null, atMs: context.time.nowMs() });
  const node = clusterNodeByName(context.db, request.nodeId);
  assert(node !== undefined, "a row that was just committed is there");
  return nodeView(context, node);
}

/** Four nodes: `PREFIX-mdm-1`, two SDSs, an SDC, with addresses and ports that count up. */
export function bootstrapNodes(
  context: MdmContext,
  plan: {
    readonly prefix: string;
    readonly addressBase: string;
    readonly startOctet: number;
    readonly controlBasePort: number;
    readonly dataBasePort: number;
  },
): { created: number; updated: number; count: number; nodes: ClusterNodeView[] } {
  const roles = [["mdm-1", "MDM"], ["sds-1", "SDS"], ["sds-2", "SDS"], ["sdc-1", "SDC"]] as const;
  let created = 0;
  const nodes = context.db.transaction(() =>
    roles.map(([role, capability], index) => {
      const nodeId = `${plan.prefix}-${role}`;
      if (clusterNodeByName(context.db, nodeId) === undefined) created++;
      return registerNode(context, {
        nodeId,
        name: nodeId,
        address: `${plan.addressBase}${plan.startOctet + index}`,
        controlPort: plan.controlBasePort + index,
        dataPort: plan.dataBasePort + index,
        capabilities: [capability],
        metadata: {},
      });
    })
  );
  return { created, updated: nodes.length - created, count: nodes.length, nodes };
}

/** @throws {StorageError} `not_found`. */
export function requireNode(context: MdmContext, id: number | string): ClusterNodeRow {
  const node = typeof id === "number" ? clusterNodeById(context.db, id) : clusterNodeByName(context.db, id);
  if (node === undefined) throw new StorageError("not_found", `There is no cluster node ${id}`);
  return node;
}

/** Notes a heartbeat of the predecessor's API. @throws {StorageError} `not_found`. */
export function noteNodeHeartbeat(
  context: MdmContext,
  request: { id: number | string; status: string | null; capabilities: readonly string[] | null },
): ClusterNodeView {
  const node = requireNode(context, request.id);
  recordNodeHeartbeat(context.db, node.id, { ...request, atMs: context.time.nowMs() });
  return nodeView(context, requireNode(context, node.id));
}

export function allNodes(context: MdmContext): ClusterNodeView[] {
  return listClusterNodes(context.db).map((node) => nodeView(context, node));
}

/** `node` with its status now: that of its process, else what its own heartbeats say. */
export function nodeView(context: MdmContext, node: ClusterNodeRow): ClusterNodeView {
  return {
    id: node.id,
    node_id: node.nodeId,
    name: node.name,
    address: node.address,
    control_port: node.controlPort,
    data_port: node.dataPort,
    capabilities: node.capabilities,
    status: statusOf(context, node),
    component_id: componentOfNode(context, node)?.componentId ?? null,
    metadata: node.metadata,
  };
}

function statusOf(context: MdmContext, node: ClusterNodeRow): NodeStatus {
  const component = componentOfNode(context, node);
  if (component !== undefined) {
    const liveness = livenessOfComponent(context, component.componentId);
    return liveness === "up" ? "ACTIVE" : liveness === "stale" ? "DEGRADED" : "DOWN";
  }
  if (node.lastHeartbeatAtMs === null) return "UNKNOWN";
  const liveness = livenessOf(context.time.nowMs() - node.lastHeartbeatAtMs, context.options.times);
  if (liveness !== "up") return liveness === "stale" ? "DEGRADED" : "DOWN";
  const reported = node.reportedStatus?.toUpperCase();
  return reported === "DEGRADED" || reported === "DOWN" ? reported : "ACTIVE";
}
