/**
 * `/pd`: protection domains; `/fault_set`: fault sets in them.
 *
 * @module
 */
import { Hono } from "hono";
import { z } from "zod";
import type { MdmContext } from "@/mdm/context.ts";
import { allDomains, createDomain, removeDomain, requireDomain } from "@/mdm/operations/domains.ts";
import { allFaultSets, createFaultSet } from "@/mdm/operations/fault_sets.ts";
import { EMPTY_POOL, poolViews } from "@/mdm/operations/pool_views.ts";
import { domainIdField, nameField } from "@/mdm/routes/fields.ts";
import { sdsWord } from "@/mdm/routes/sds.ts";
import { HEALTH_WORDS } from "@/mdm/routes/pools.ts";
import { poolsOfDomain } from "@/mdm/store/pools.ts";
import { sdsOfDomain } from "@/mdm/store/sds.ts";
import { parseBody, parseParams } from "@/shared/http/body.ts";

const createSchema = z.object({ name: nameField, description: z.string().max(1024).default("") });
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
const idParams = z.object({ id: domainIdField });

export function domainRoutes(context: MdmContext): Hono {
  const routes = new Hono();
  routes.post("/create", async (c) => {
    const domain = createDomain(context, await parseBody(c, createSchema));
    return c.json({ id: domain.domainId, name: domain.name });
  });
  routes.get("/list", (c) => c.json(allDomains(context).map(({ domainId }) => domainView(context, domainId))));
  routes.get("/:id", (c) => {
    const { id } = parseParams(c, idParams);
    const views = poolViews(context);
    return c.json({
      ...domainView(context, id),
      pools: poolsOfDomain(context.db, id).map(({ poolId, name }) => ({
        id: poolId,
        name,
        health: HEALTH_WORDS[(views.get(poolId) ?? EMPTY_POOL).health],
      })),
      sds_nodes: sdsOfDomain(context.db, id).map((sds) => ({
        id: sds.sdsId,
        name: sds.name,
        state: sdsWord(context, sds),
      })),
    });
  });
  routes.delete("/:id", (c) => {
    removeDomain(context, parseParams(c, idParams).id);
    return c.json({ status: "deleted" });
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

export function faultSetRoutes(context: MdmContext): Hono {
  const routes = new Hono();
  routes.post("/create", async (c) => {
    const { faultSetId, domainId, name } = createFaultSet(context, await parseBody(c, createFaultSetSchema));
    return c.json({ id: faultSetId, name, pd_id: domainId });
  });
  routes.get(
    "/list",
    (c) =>
      c.json(
        allFaultSets(context).map(({ faultSetId, domainId, name }) => ({ id: faultSetId, name, pd_id: domainId })),
      ),
  );
  return routes;
}
