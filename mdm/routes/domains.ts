/**
 * `/pd`: protection domains; `/fault_set`: fault sets in them.
 *
 * @module
 */
import { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "zod";
import type { MdmContext } from "@/mdm/context.ts";
import { allDomains, createDomain, removeDomain, requireDomain } from "@/mdm/operations/domains.ts";
import { allFaultSets, createFaultSet } from "@/mdm/operations/fault_sets.ts";
import { EMPTY_POOL, poolViews } from "@/mdm/operations/pool_views.ts";
import { domainIdField, namedShape, nameField, statusShape } from "@/mdm/routes/fields.ts";
import { HEALTH_WORDS, healthWord } from "@/mdm/routes/pools.ts";
import { sdsWord, stateWordShape } from "@/mdm/routes/sds.ts";
import { poolsOfDomain } from "@/mdm/store/pools.ts";
import { sdsOfDomain } from "@/mdm/store/sds.ts";
import { addRoute } from "@/shared/http/api.ts";

const tag = "Protection domains";

const createSchema = z.object({ name: nameField, description: z.string().max(1024).default("") });
const idParams = z.object({ id: domainIdField });
const domainShape = z.object({
  id: z.int(),
  name: z.string(),
  description: z.string(),
  pool_count: z.int(),
  sds_count: z.int(),
}).meta({ id: "ProtectionDomain" });
const domainDetailShape = z.object({
  ...domainShape.shape,
  pools: z.array(z.object({ id: z.int(), name: z.string(), health: healthWord })),
  sds_nodes: z.array(z.object({ id: z.int(), name: z.string(), state: stateWordShape })),
}).meta({ id: "ProtectionDomainDetail" });

export function domainRoutes(context: MdmContext): OpenAPIHono {
  const routes = new OpenAPIHono();
  addRoute(routes, {
    method: "post",
    path: "/create",
    tag,
    summary: "Creates a protection domain",
    body: createSchema,
    answer: namedShape,
    refusals: [409],
    handle: ({ body }) => {
      const domain = createDomain(context, body);
      return { id: domain.domainId, name: domain.name };
    },
  });
  addRoute(routes, {
    method: "get",
    path: "/list",
    tag,
    summary: "Lists the protection domains",
    answer: z.array(domainShape),
    handle: () => allDomains(context).map(({ domainId }) => domainView(context, domainId)),
  });
  addRoute(routes, {
    method: "get",
    path: "/{id}",
    tag,
    summary: "Shows a protection domain with what it holds",
    params: idParams,
    answer: domainDetailShape,
    refusals: [404],
    handle: ({ params }) => domainDetail(context, params.id),
  });
  addRoute(routes, {
    method: "delete",
    path: "/{id}",
    tag,
    summary: "Deletes an empty protection domain",
    params: idParams,
    answer: statusShape("deleted"),
    refusals: [400, 404],
    handle: ({ params }) => {
      removeDomain(context, params.id);
      return { status: "deleted" as const };
    },
  });
  return routes;
}

function domainView(context: MdmContext, domainId: z.output<typeof domainIdField>) {
  const domain = requireDomain(context, domainId);
  return {
    id: domain.domainId,
    name: domain.name,
    description: domain.description,
    pool_count: poolsOfDomain(context.db, domainId).length,
    sds_count: sdsOfDomain(context.db, domainId).length,
  };
}

function domainDetail(context: MdmContext, domainId: z.output<typeof domainIdField>) {
  const views = poolViews(context);
  return {
    ...domainView(context, domainId),
    pools: poolsOfDomain(context.db, domainId).map(({ poolId, name }) => ({
      id: poolId,
      name,
      health: HEALTH_WORDS[(views.get(poolId) ?? EMPTY_POOL).health],
    })),
    sds_nodes: sdsOfDomain(context.db, domainId).map((sds) => ({
      id: sds.sdsId,
      name: sds.name,
      state: sdsWord(context, sds),
    })),
  };
}

const createFaultSetSchema = z.object({
  name: nameField,
  pd_id: domainIdField.optional(),
  protection_domain_id: domainIdField.optional(),
}).transform((value, issues) => {
  const domainId = value.pd_id ?? value.protection_domain_id;
  if (domainId !== undefined) return { name: value.name, domainId };
  issues.addIssue({ code: "custom", path: ["pd_id"], message: "is required" });
  return z.NEVER;
});
const faultSetShape = z.object({ id: z.int(), name: z.string(), pd_id: z.int() }).meta({ id: "FaultSet" });

export function faultSetRoutes(context: MdmContext): OpenAPIHono {
  const routes = new OpenAPIHono();
  addRoute(routes, {
    method: "post",
    path: "/create",
    tag,
    summary: "Creates a fault set: SDSs that fail together",
    body: createFaultSetSchema,
    answer: faultSetShape,
    refusals: [404, 409],
    handle: ({ body }) => {
      const { faultSetId, domainId, name } = createFaultSet(context, body);
      return { id: faultSetId, name, pd_id: domainId };
    },
  });
  addRoute(routes, {
    method: "get",
    path: "/list",
    tag,
    summary: "Lists the fault sets",
    answer: z.array(faultSetShape),
    handle: () =>
      allFaultSets(context).map(({ faultSetId, domainId, name }) => ({ id: faultSetId, name, pd_id: domainId })),
  });
  return routes;
}
