/**
 * `/cluster`: nodes of the predecessor's API and their counts.
 *
 * @module
 */
import { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "zod";
import type { MdmContext } from "@/mdm/context.ts";
import {
  allNodes,
  bootstrapNodes,
  nodeView,
  noteNodeHeartbeat,
  registerNode,
  requireNode,
} from "@/mdm/operations/cluster_nodes.ts";
import { componentTypeField, nameField, portField } from "@/mdm/routes/fields.ts";
import { addRoute } from "@/shared/http/api.ts";

const tag = "Cluster nodes";

const registerSchema = z.object({
  node_id: z.string().trim().min(2).max(128),
  name: nameField,
  address: z.string().trim().min(3).max(255),
  port: portField,
  control_port: portField,
  data_port: portField,
  capabilities: z.array(componentTypeField).min(1),
  metadata: z.record(z.string(), z.unknown()).default({}),
});
const heartbeatSchema = z.object({
  status: z.enum(["ACTIVE", "DEGRADED", "DOWN", "UNKNOWN"]).nullish(),
  capabilities: z.array(componentTypeField).min(1).nullish(),
});
const idParams = z.object({
  id: z.string().min(1).max(128).transform((text) => /^\d+$/.test(text) ? Number(text) : text),
});
/** Four nodes get four ports and four last numbers of an address. */
const bootstrapSchema = z.object({
  prefix: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, "must be a plain name").default("demo"),
  address_base: z.string().regex(/^(\d{1,3}\.){3}$/, "must be three numbers, each with a dot").default("10.0.0."),
  start_octet: z.number().int().min(1).max(251).default(10),
  control_base_port: z.number().int().min(1).max(65_532).default(9100),
  data_base_port: z.number().int().min(1).max(65_532).default(9700),
});

const statusWord = z.enum(["ACTIVE", "DEGRADED", "DOWN", "UNKNOWN"]);
const nodeShape = z.object({
  id: z.int(),
  node_id: z.string(),
  name: z.string(),
  address: z.string(),
  control_port: z.int().nullable(),
  data_port: z.int().nullable(),
  capabilities: z.array(z.string()),
  status: statusWord,
  component_id: z.string().nullable(),
  metadata: z.record(z.string(), z.unknown()),
}).meta({ id: "ClusterNode" });
const counts = z.record(z.string(), z.int());

export function clusterRoutes(context: MdmContext): OpenAPIHono {
  const routes = new OpenAPIHono();
  addNodeChanges(routes, context);
  addRoute(routes, {
    method: "get",
    path: "/nodes",
    tag,
    summary: "Lists the nodes",
    answer: z.object({ count: z.int(), nodes: z.array(nodeShape) }),
    handle: () => {
      const nodes = allNodes(context);
      return { count: nodes.length, nodes };
    },
  });
  addRoute(routes, {
    method: "get",
    path: "/nodes/{id}",
    tag,
    summary: "Shows a node, by its number or its node_id",
    params: idParams,
    answer: nodeShape,
    refusals: [404],
    handle: ({ params }) => nodeView(context, requireNode(context, params.id)),
  });
  addRoute(routes, {
    method: "get",
    path: "/summary",
    tag,
    summary: "Counts the nodes by capability and by status",
    answer: z.object({ total_nodes: z.int(), by_capability: counts, by_status: counts }),
    handle: () => summaryOf(context),
  });
  return routes;
}

function addNodeChanges(routes: OpenAPIHono, context: MdmContext): void {
  addRoute(routes, {
    method: "post",
    path: "/nodes/register",
    tag,
    summary: "Records what runs where, or changes the record of that node_id",
    body: registerSchema,
    answer: z.object({ registered: z.literal(true), node: nodeShape }),
    handle: ({ body }) => {
      const node = registerNode(context, {
        nodeId: body.node_id,
        name: body.name,
        address: body.address,
        controlPort: body.control_port ?? body.port,
        dataPort: body.data_port,
        capabilities: body.capabilities,
        metadata: body.metadata,
      });
      return { registered: true as const, node };
    },
  });
  addRoute(routes, {
    method: "post",
    path: "/nodes/{id}/heartbeat",
    tag,
    summary: "Notes that a node lives",
    params: idParams,
    body: heartbeatSchema,
    answer: z.object({ heartbeat: z.literal("ok"), node: nodeShape }),
    refusals: [404],
    handle: ({ params, body }) => {
      const { status = null, capabilities = null } = body;
      return { heartbeat: "ok" as const, node: noteNodeHeartbeat(context, { id: params.id, status, capabilities }) };
    },
  });
  addRoute(routes, {
    method: "post",
    path: "/bootstrap/minimal",
    tag,
    summary: "Records four nodes: an MDM, two SDSs, an SDC",
    body: bootstrapSchema,
    answer: z.object({ created: z.int(), updated: z.int(), count: z.int(), nodes: z.array(nodeShape) }),
    handle: ({ body }) =>
      bootstrapNodes(context, {
        prefix: body.prefix,
        addressBase: body.address_base,
        startOctet: body.start_octet,
        controlBasePort: body.control_base_port,
        dataBasePort: body.data_base_port,
      }),
  });
}

function summaryOf(context: MdmContext) {
  const nodes = allNodes(context);
  const byCapability: Record<string, number> = { MDM: 0, SDS: 0, SDC: 0, MGMT: 0 };
  const byStatus: Record<string, number> = { ACTIVE: 0, DEGRADED: 0, DOWN: 0, UNKNOWN: 0 };
  for (const node of nodes) {
    byStatus[node.status] = (byStatus[node.status] ?? 0) + 1;
    for (const capability of node.capabilities) byCapability[capability] = (byCapability[capability] ?? 0) + 1;
  }
  return { total_nodes: nodes.length, by_capability: byCapability, by_status: byStatus };
}
