/**
 * `/discovery`: enrolment and the registry of processes. `register` proves itself with the join token or the node's own key, so
 * it stands outside the operator's guard; `heartbeat` and `unregister` come from the process itself or an operator.
 *
 * @module
 */
import { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
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
import { topologyTree } from "@/mdm/operations/topology.ts";
import { bearerToken, nodeKeyOf, requireOperator } from "@/mdm/routes/access.ts";
import { componentTypeField, portField, timeShape } from "@/mdm/routes/fields.ts";
import { accessModeSchema } from "@/shared/api/sdc.ts";
import { StorageError } from "@/shared/errors.ts";
import { addRoute } from "@/shared/http/api.ts";
import { NODE_HEADER, verifyRequest } from "@/shared/http/node_auth.ts";
import { asComponentId } from "@/shared/ids.ts";

const tag = "Discovery";

const componentIdField = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._@:-]{0,127}$/, "must be a plain name such as sds-1");
const registerSchema = z.object({
  component_id: componentIdField,
  component_type: componentTypeField,
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
const idSchema = z.object({ component_id: componentIdField });
const typeParams = z.object({ type: componentTypeField });

/** A registered process. */
export const componentShape = z.object({
  component_id: z.string(),
  component_type: z.enum(["MDM", "SDS", "SDC", "MGMT"]),
  address: z.string(),
  ports: z.object({ control: z.int().nullable(), data: z.int().nullable(), mgmt: z.int().nullable() }),
  status: z.enum(["ACTIVE", "STALE", "DOWN"]),
  registered_at: timeShape,
  last_heartbeat_at: timeShape.nullable(),
  metadata: z.record(z.string(), z.unknown()),
}).meta({ id: "Component" });
const named = { id: z.int(), name: z.string() };
const treeShape = {
  mdm: z.array(componentShape),
  mgmt: z.array(componentShape),
  protection_domains: z.array(z.object({
    ...named,
    fault_sets: z.array(z.object(named)),
    pools: z.array(z.object({
      ...named,
      total_capacity_gb: z.number(),
      volumes: z.array(z.object({ ...named, size_gb: z.number(), sdc_ids: z.array(z.int()) })),
    })),
    sds_nodes: z.array(z.object({
      ...named,
      fault_set_id: z.int().nullable(),
      component: componentShape.nullable(),
      devices: z.array(z.object({
        ...named,
        pool_id: z.int().nullable(),
        state: z.enum(["new", "active", "failed"]),
        capacity_gb: z.number(),
      })),
    })),
  })),
  sdc_clients: z.array(z.object({
    ...named,
    component: componentShape.nullable(),
    volumes: z.array(z.object({ ...named, access_mode: accessModeSchema })),
  })),
};
const topologyShape = z.object({
  cluster_name: z.string(),
  components: z.array(componentShape),
  /** The same, under its other name. */
  registered_components: z.array(componentShape),
  ...treeShape,
}).meta({ id: "Topology" });
const registrationShape = z.object({
  status: z.enum(["registered", "updated"]),
  component_id: z.string(),
  cluster_name: z.string(),
  cluster_secret: z.string(),
  heartbeat_interval_sec: z.number(),
  topology: topologyShape,
  message: z.string(),
}).meta({ id: "Registration" });
const beatShape = z.object({ status: z.literal("ok"), component_id: z.string(), timestamp: timeShape });
const goneShape = z.object({ status: z.literal("unregistered"), component_id: z.string() });

export function discoveryRoutes(context: MdmContext): OpenAPIHono {
  const routes = new OpenAPIHono();
  addRoute(routes, {
    method: "post",
    path: "/register",
    tag,
    summary: "Registers a process: with the join token, or with the proof of the key that it was given",
    body: registerSchema,
    answer: registrationShape,
    refusals: [403, 409],
    handle: ({ c, body }) => registered(context, { c, body }),
  });
  addOwnCalls(routes, context);
  routes.use(requireOperator(context));
  addRoute(routes, {
    method: "get",
    path: "/topology",
    tag,
    summary: "Shows all processes, flat, and the records that run on them, as a tree",
    answer: topologyShape,
    handle: () => topologyJson(context),
  });
  addRoute(routes, {
    method: "get",
    path: "/peers/{type}",
    tag,
    summary: "Lists the ACTIVE processes of a type",
    params: typeParams,
    answer: z.array(componentShape),
    handle: ({ params }) => activePeers(context, params.type).map((component) => componentView(context, component)),
  });
  return routes;
}

/** What a process says of itself, or an operator for it. */
function addOwnCalls(routes: OpenAPIHono, context: MdmContext): void {
  const beat = async (c: Context, id: string) => {
    await requireSelf(context, { c, id });
    noteHeartbeat(context, id);
    return { status: "ok" as const, component_id: id, timestamp: new Date(context.time.nowMs()).toISOString() };
  };
  const leave = async (c: Context, id: string) => {
    await requireSelf(context, { c, id });
    unregisterComponent(context, id);
    return { status: "unregistered" as const, component_id: id };
  };
  const common = { tag, refusals: [403, 404] } as const;
  addRoute(routes, {
    ...common,
    method: "post",
    path: "/heartbeat/{id}",
    summary: "Notes that a process lives",
    params: idParams,
    answer: beatShape,
    handle: ({ c, params }) => beat(c, params.id),
  });
  addRoute(routes, {
    ...common,
    method: "post",
    path: "/heartbeat",
    summary: "The same, with the name in the body",
    body: idSchema,
    answer: beatShape,
    handle: ({ c, body }) => beat(c, body.component_id),
  });
  addRoute(routes, {
    ...common,
    method: "delete",
    path: "/unregister/{id}",
    summary: "Forgets a process; its records stay",
    params: idParams,
    answer: goneShape,
    handle: ({ c, params }) => leave(c, params.id),
  });
  addRoute(routes, {
    ...common,
    method: "post",
    path: "/deregister",
    summary: "The same, with the name in the body",
    body: idSchema,
    answer: goneShape,
    handle: ({ c, body }) => leave(c, body.component_id),
  });
}

function registered(context: MdmContext, call: { c: Context; body: z.output<typeof registerSchema> }) {
  const { c, body } = call;
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
  return {
    status: firstTime ? "registered" as const : "updated" as const,
    component_id: component.componentId,
    cluster_name: context.secrets.clusterName,
    // A process that came back with its key, or lost it and showed the join token again, gets the same key.
    cluster_secret: component.nodeKeyHex,
    heartbeat_interval_sec: context.options.times.sdcHeartbeatMs / 1000,
    topology: topologyJson(context),
    message: firstTime ? "Welcome to the cluster" : "Welcome back",
  };
}

function topologyJson(context: MdmContext) {
  const components = allComponents(context).map((component) => componentView(context, component));
  return {
    cluster_name: context.secrets.clusterName,
    components,
    registered_components: components,
    ...topologyTree(context),
  };
}

/** Lets the process itself through, by its signature, or an operator. */
export async function requireSelf(context: MdmContext, call: { c: Context; id: string }): Promise<void> {
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
