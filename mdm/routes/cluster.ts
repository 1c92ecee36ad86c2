/**
 * `/cluster`: nodes of the predecessor's API and their counts.
 *
 * @module
 */
import { Hono } from "hono";
import { z } from "zod";
import type { MdmContext } from "@/mdm/context.ts";
import { allNodes, nodeView, noteNodeHeartbeat, registerNode, requireNode } from "@/mdm/operations/cluster_nodes.ts";
import { nameField, portField } from "@/mdm/routes/fields.ts";
import { parseBody, parseParams } from "@/shared/http/body.ts";

const capabilityField = z.string().toUpperCase().pipe(z.enum(["MDM", "SDS", "SDC", "MGMT"]));
const registerSchema = z.object({
  node_id: z.string().trim().min(2).max(128),
  name: nameField,
  address: z.string().trim().min(3).max(255),
  port: portField,
  control_port: portField,
  data_port: portField,
  capabilities: z.array(capabilityField).min(1),
  metadata: z.record(z.string(), z.unknown()).default({}),
});
const heartbeatSchema = z.object({
  status: z.enum(["ACTIVE", "DEGRADED", "DOWN", "UNKNOWN"]).nullish(),
  capabilities: z.array(capabilityField).min(1).nullish(),
});
const idParams = z.object({
  id: z.string().min(1).max(128).transform((text) => /^\d+$/.test(text) ? Number(text) : text),
});

export function clusterRoutes(context: MdmContext): Hono {
  const routes = new Hono();
  routes.post("/nodes/register", async (c) => {
    const body = await parseBody(c, registerSchema);
    const node = registerNode(context, {
      nodeId: body.node_id,
      name: body.name,
      address: body.address,
      controlPort: body.control_port ?? body.port,
      dataPort: body.data_port,
      capabilities: body.capabilities,
      metadata: body.metadata,
    });
    return c.json({ registered: true, node });
  });
  routes.post("/nodes/:id/heartbeat", async (c) => {
    const { id } = parseParams(c, idParams);
    const { status, capabilities } = await parseBody(c, heartbeatSchema);
    const node = noteNodeHeartbeat(context, { id, status: status ?? null, capabilities: capabilities ?? null });
    return c.json({ heartbeat: "ok", node });
  });
  routes.get("/nodes", (c) => {
    const nodes = allNodes(context);
    return c.json({ count: nodes.length, nodes });
  });
  routes.get("/nodes/:id", (c) => c.json(nodeView(context, requireNode(context, parseParams(c, idParams).id))));
  routes.get("/summary", (c) => {
    const nodes = allNodes(context);
    const byCapability: Record<string, number> = { MDM: 0, SDS: 0, SDC: 0, MGMT: 0 };
    const byStatus: Record<string, number> = { ACTIVE: 0, DEGRADED: 0, DOWN: 0, UNKNOWN: 0 };
    for (const node of nodes) {
      byStatus[node.status] = (byStatus[node.status] ?? 0) + 1;
      for (const capability of node.capabilities) byCapability[capability] = (byCapability[capability] ?? 0) + 1;
    }
    return c.json({ total_nodes: nodes.length, by_capability: byCapability, by_status: byStatus });
  });
  return routes;
}
