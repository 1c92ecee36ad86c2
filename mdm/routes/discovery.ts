/**
 * `/discovery`: enrolment and the registry of processes. `register` proves itself with the join token or the node's own key, so
 * it stands outside the operator's guard; `heartbeat` and `unregister` come from the process itself or an operator.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import { z } from "zod";
import type { MdmContext } from "@/mdm/context.ts";
import {
  activePeers,
  allComponents,
  componentView,
  noteHeartbeat,
  registerComponent,
  requireComponent,
  unregisterComponent,
} from "@/mdm/operations/discovery.ts";
import { bearerToken, nodeKeyOf, requireOperator } from "@/mdm/routes/access.ts";
import { portField } from "@/mdm/routes/fields.ts";
import { StorageError } from "@/shared/errors.ts";
import { parseBody, parseParams } from "@/shared/http/body.ts";
import { NODE_HEADER, verifyRequest } from "@/shared/http/node_auth.ts";
import { asComponentId } from "@/shared/ids.ts";

const componentIdField = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._@:-]{0,127}$/, "must be a plain name such as sds-1");
const typeField = z.string().toUpperCase().pipe(z.enum(["MDM", "SDS", "SDC", "MGMT"]));
const registerSchema = z.object({
  component_id: componentIdField,
  component_type: typeField,
  address: z.string().min(1).max(255).optional(),
  network_address: z.string().min(1).max(255).optional(),
  control_port: portField,
  data_port: portField,
  mgmt_port: portField,
  ports: z.object({ control: portField, data: portField, mgmt: portField }).optional(),
  metadata: z.record(z.string(), z.unknown()).default({}),
  join_token: z.string().max(1024).optional(),
  auth_token: z.string().max(1024).optional(),
}).transform((value, issues) => {
  const address = value.address ?? value.network_address;
  if (address !== undefined) return { ...value, address };
  issues.addIssue({ code: "custom", path: ["address"], message: "is required" });
  return z.NEVER;
});
const idParams = z.object({ id: componentIdField });
const typeParams = z.object({ type: typeField });

export function discoveryRoutes(context: MdmContext): Hono {
  const routes = new Hono();
  routes.post("/register", async (c) => {
    const body = await parseBody(c, registerSchema);
    const { component, firstTime } = registerComponent(context, {
      componentId: asComponentId(body.component_id),
      componentType: body.component_type,
      address: body.address,
      controlPort: body.ports?.control ?? body.control_port,
      dataPort: body.ports?.data ?? body.data_port,
      mgmtPort: body.ports?.mgmt ?? body.mgmt_port,
      metadata: body.metadata,
      joinToken: bearerToken(c.req.header("Authorization")) ?? body.join_token,
      authToken: body.auth_token,
    });
    return c.json({
      status: firstTime ? "registered" : "updated",
      component_id: component.componentId,
      cluster_name: context.secrets.clusterName,
      // A process that came back with its key, or lost it and showed the join token again, gets the same key.
      cluster_secret: component.nodeKeyHex,
      heartbeat_interval_sec: context.options.times.sdcHeartbeatMs / 1000,
      topology: topologyJson(context),
      message: firstTime ? "Welcome to the cluster" : "Welcome back",
    });
  });
  routes.post("/heartbeat/:id", async (c) => {
    const { id } = parseParams(c, idParams);
    await requireSelf(context, { c, id });
    noteHeartbeat(context, id);
    return c.json({ status: "ok", component_id: id, timestamp: new Date(context.time.nowMs()).toISOString() });
  });
  routes.delete("/unregister/:id", async (c) => {
    const { id } = parseParams(c, idParams);
    await requireSelf(context, { c, id });
    unregisterComponent(context, id);
    return c.json({ status: "unregistered", component_id: id });
  });
  routes.use(requireOperator(context));
  routes.get("/topology", (c) => c.json(topologyJson(context)));
  routes.get("/peers/:type", (c) => {
    const { type } = parseParams(c, typeParams);
    return c.json(activePeers(context, type).map((component) => componentView(context, component)));
  });
  return routes;
}

function topologyJson(context: MdmContext) {
  const components = allComponents(context).map((component) => componentView(context, component));
  return { cluster_name: context.secrets.clusterName, components, registered_components: components };
}

/** Lets the process itself through, by its signature, or an operator. */
async function requireSelf(context: MdmContext, call: { c: Context; id: string }): Promise<void> {
  const { c, id } = call;
  if (c.req.header(NODE_HEADER) === id) {
    const url = new URL(c.req.url);
    const request = { method: c.req.method, path: url.pathname + url.search, body: await c.req.text() };
    verifyRequest(c.req.raw.headers, { ...request, keyOf: nodeKeyOf(context) });
    return;
  }
  await requireOperator(context)(c, () => Promise.resolve());
  if (
    c.req.header(NODE_HEADER) !== undefined &&
    requireComponent(context, c.req.header(NODE_HEADER)!).componentType !== "MGMT"
  ) {
    throw new StorageError("forbidden", `Cannot ${c.req.method} ${c.req.path}: only ${id} itself or an operator may`);
  }
}
