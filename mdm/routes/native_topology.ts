/**
 * `/api/v1/domains`, `/pools`, `/sdss` and `/sdcs`: what volumes rest on, in the native form: sizes in bytes, documents as
 * `/api/v1/overview` has them.
 *
 * @module
 */
import { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "zod";
import type { MdmContext } from "@/mdm/context.ts";
import { createDomain, removeDomain, requireDomain } from "@/mdm/operations/domains.ts";
import { overviewOf } from "@/mdm/operations/overview.ts";
import { createPool, removePool, requirePool } from "@/mdm/operations/pools.ts";
import { scrubPool } from "@/mdm/operations/scrub.ts";
import { addSdc, requireSdc } from "@/mdm/operations/sdc.ts";
import { addSds, requireSds } from "@/mdm/operations/sds.ts";
import {
  bytesField,
  domainIdField,
  faultSetIdField,
  idField,
  nameField,
  poolIdField,
  sdcIdField,
  sdsIdField,
} from "@/mdm/routes/fields.ts";
import { devicesField } from "@/mdm/routes/sds.ts";
import {
  type Overview,
  overviewDomainSchema,
  overviewPoolSchema,
  overviewSdcSchema,
  overviewSdsSchema,
} from "@/shared/api/overview.ts";
import { assert } from "@/shared/errors.ts";
import { addRoute } from "@/shared/http/api.ts";

const tag = "Native: topology";

export function nativeTopologyRoutes(context: MdmContext): OpenAPIHono {
  const routes = new OpenAPIHono();
  addDomains(routes, context);
  addPools(routes, context);
  addSdss(routes, context);
  addSdcs(routes, context);
  return routes;
}

/** The one row of a list of the overview that has this id; it was looked for in the database before. */
function rowOf<List extends "domains" | "pools" | "sdss" | "sdcs">(
  context: MdmContext,
  key: { readonly list: List; readonly isIt: (row: Overview[List][number]) => boolean },
): Overview[List][number] {
  const rows: readonly Overview[List][number][] = overviewOf(context)[key.list];
  const row = rows.find(key.isIt);
  assert(row !== undefined, "the overview has every record");
  return row;
}

function addDomains(routes: OpenAPIHono, context: MdmContext): void {
  const params = z.object({ id: domainIdField });
  type Id = z.output<typeof domainIdField>;
  const shown = (id: Id) => {
    requireDomain(context, id);
    return rowOf(context, { list: "domains", isIt: ({ domainId }) => domainId === id });
  };
  addRoute(routes, {
    method: "get",
    path: "/domains",
    tag,
    summary: "Lists the protection domains",
    answer: z.array(overviewDomainSchema),
    handle: () => overviewOf(context).domains,
  });
  addRoute(routes, {
    method: "post",
    path: "/domains",
    tag,
    summary: "Creates a protection domain",
    body: z.object({ name: nameField, description: z.string().max(1024).default("") }),
    answer: overviewDomainSchema,
    status: 201,
    refusals: [409],
    handle: ({ body }) => shown(createDomain(context, body).domainId),
  });
  addRoute(routes, {
    method: "get",
    path: "/domains/{id}",
    tag,
    summary: "Shows a protection domain",
    params,
    answer: overviewDomainSchema,
    refusals: [404],
    handle: ({ params }) => shown(params.id),
  });
  addRoute(routes, {
    method: "delete",
    path: "/domains/{id}",
    tag,
    summary: "Deletes an empty protection domain; answers it as it was",
    params,
    answer: overviewDomainSchema,
    refusals: [400, 404],
    handle: ({ params }) => {
      const domain = shown(params.id);
      removeDomain(context, params.id);
      return domain;
    },
  });
}

function addPools(routes: OpenAPIHono, context: MdmContext): void {
  type Id = z.output<typeof poolIdField>;
  const shown = (id: Id) => {
    requirePool(context, id);
    return rowOf(context, { list: "pools", isIt: ({ poolId }) => poolId === id });
  };
  addRoute(routes, {
    method: "get",
    path: "/pools",
    tag,
    summary: "Lists the storage pools",
    answer: z.array(overviewPoolSchema),
    handle: () => overviewOf(context).pools,
  });
  addRoute(routes, {
    method: "post",
    path: "/pools",
    tag,
    summary: "Creates a storage pool",
    body: z.object({
      name: nameField,
      domainId: domainIdField,
      logicalLimitBytes: bytesField,
      protectionPolicy: z.enum(["two_copies", "erasure_coding"]).default("two_copies"),
      syncWrites: z.boolean().default(false),
    }),
    answer: overviewPoolSchema,
    status: 201,
    refusals: [404, 409, 501],
    handle: ({ body: { logicalLimitBytes, ...pool } }) =>
      shown(createPool(context, { ...pool, limitBytes: logicalLimitBytes }).poolId),
  });
  addRoute(routes, {
    method: "get",
    path: "/pools/{id}",
    tag,
    summary: "Shows a storage pool",
    params: z.object({ id: poolIdField }),
    answer: overviewPoolSchema,
    refusals: [404],
    handle: ({ params }) => shown(params.id),
  });
  addRoute(routes, {
    method: "post",
    path: "/pools/{id}/scrub",
    tag,
    summary: "Asks the SDSs of a pool to read, compare and mend all copies now",
    params: z.object({ id: poolIdField }),
    answer: z.object({ begun: z.array(z.string()), silent: z.array(z.string()) }),
    refusals: [404, 503],
    handle: ({ params }) => scrubPool(context, params.id),
  });
  addRoute(routes, {
    method: "delete",
    path: "/pools/{id}",
    tag,
    summary: "Deletes a storage pool that never had a volume; answers it as it was",
    params: z.object({ id: poolIdField }),
    answer: overviewPoolSchema,
    refusals: [400, 404],
    handle: ({ params }) => {
      const pool = shown(params.id);
      removePool(context, params.id);
      return pool;
    },
  });
}

function addSdss(routes: OpenAPIHono, context: MdmContext): void {
  type Id = z.output<typeof sdsIdField>;
  const shown = (id: Id) => {
    requireSds(context, id);
    return rowOf(context, { list: "sdss", isIt: ({ sdsId }) => sdsId === id });
  };
  addRoute(routes, {
    method: "get",
    path: "/sdss",
    tag,
    summary: "Lists the SDSs with their devices",
    answer: z.array(overviewSdsSchema),
    handle: () => overviewOf(context).sdss,
  });
  addRoute(routes, {
    method: "post",
    path: "/sdss",
    tag,
    summary: "Adds an SDS with its devices, on a registered process",
    body: z.object({
      name: nameField,
      domainId: domainIdField,
      capacityBytes: bytesField,
      devices: devicesField,
      poolId: poolIdField.optional(),
      faultSetId: faultSetIdField.optional(),
      clusterNodeId: idField().optional(),
    }),
    answer: overviewSdsSchema,
    status: 201,
    refusals: [400, 404, 409],
    handle: ({ body: { name, domainId, capacityBytes, devices, poolId, faultSetId, clusterNodeId } }) => {
      const claimed = { claimedBytes: capacityBytes, faultSetName: undefined };
      return shown(addSds(context, { name, domainId, devices, poolId, faultSetId, clusterNodeId, ...claimed }).sdsId);
    },
  });
  addRoute(routes, {
    method: "get",
    path: "/sdss/{id}",
    tag,
    summary: "Shows an SDS with its devices",
    params: z.object({ id: sdsIdField }),
    answer: overviewSdsSchema,
    refusals: [404],
    handle: ({ params }) => shown(params.id),
  });
}

function addSdcs(routes: OpenAPIHono, context: MdmContext): void {
  type Id = z.output<typeof sdcIdField>;
  const shown = (id: Id) => {
    requireSdc(context, id);
    return rowOf(context, { list: "sdcs", isIt: ({ sdcId }) => sdcId === id });
  };
  addRoute(routes, {
    method: "get",
    path: "/sdcs",
    tag,
    summary: "Lists the SDCs with their mappings",
    answer: z.array(overviewSdcSchema),
    handle: () => overviewOf(context).sdcs,
  });
  addRoute(routes, {
    method: "post",
    path: "/sdcs",
    tag,
    summary: "Adds an SDC, on a registered process",
    body: z.object({ name: nameField, clusterNodeId: idField().optional() }),
    answer: overviewSdcSchema,
    status: 201,
    refusals: [400, 404, 409],
    handle: ({ body: { name, clusterNodeId } }) => shown(addSdc(context, { name, clusterNodeId }).sdcId),
  });
  addRoute(routes, {
    method: "get",
    path: "/sdcs/{id}",
    tag,
    summary: "Shows an SDC with its mappings",
    params: z.object({ id: sdcIdField }),
    answer: overviewSdcSchema,
    refusals: [404],
    handle: ({ params }) => shown(params.id),
  });
}
