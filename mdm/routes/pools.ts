/**
 * `/pool`: storage pools.
 *
 * @module
 */
import { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "zod";
import type { MdmContext } from "@/mdm/context.ts";
import { gibOfBytes } from "@/mdm/core/capacity.ts";
import { poolSpace, poolViewOf } from "@/mdm/operations/pool_space.ts";
import { EMPTY_POOL, type PoolView, poolViews } from "@/mdm/operations/pool_views.ts";
import { allPools, createPool, removePool, requirePool } from "@/mdm/operations/pools.ts";
import { domainIdField, namedShape, nameField, poolIdField, sizeGbField, statusShape } from "@/mdm/routes/fields.ts";
import type { PoolRow } from "@/mdm/store/pools.ts";
import { CHUNK_BYTES } from "@/shared/constants.ts";
import { addRoute } from "@/shared/http/api.ts";

const tag = "Storage pools";

/** Health in the predecessor's words. */
export const HEALTH_WORDS = { ok: "OK", degraded: "DEGRADED", failed: "FAILED" } as const;
export const healthWord = z.enum(["OK", "DEGRADED", "FAILED"]);

const createSchema = z.object({
  name: nameField,
  pd_id: domainIdField,
  total_capacity_gb: sizeGbField,
  protection_policy: z.enum(["two_copies", "erasure_coding"]).default("two_copies"),
  durability: z.enum(["flush", "sync"]).default("flush"),
});
const idParams = z.object({ id: poolIdField });
const poolShape = z.object({
  id: z.int(),
  name: z.string(),
  pd_id: z.int(),
  health: healthWord,
  total_capacity_gb: z.number(),
  used_capacity_gb: z.number(),
  reserved_capacity_gb: z.number(),
  protection_policy: z.enum(["two_copies"]),
}).meta({ id: "Pool" });
const poolDetailShape = z.object({
  ...poolShape.shape,
  rebuild_state: z.enum(["idle", "in_progress", "stalled"]),
  rebuild_progress_percent: z.number(),
  chunk_size_mb: z.int(),
}).meta({ id: "PoolDetail" });

export function poolRoutes(context: MdmContext): OpenAPIHono {
  const routes = new OpenAPIHono();
  addRoute(routes, {
    method: "post",
    path: "/create",
    tag,
    summary: "Creates a storage pool",
    body: createSchema,
    answer: namedShape,
    refusals: [404, 409, 501],
    handle: ({ body }) => {
      const pool = createPool(context, {
        name: body.name,
        domainId: body.pd_id,
        limitBytes: body.total_capacity_gb,
        protectionPolicy: body.protection_policy,
        syncWrites: body.durability === "sync",
      });
      return { id: pool.poolId, name: pool.name };
    },
  });
  addRoute(routes, {
    method: "get",
    path: "/list",
    tag,
    summary: "Lists the storage pools",
    answer: z.array(poolShape),
    handle: () => {
      const views = poolViews(context);
      return allPools(context).map((pool) => poolJson(context, { pool, view: views.get(pool.poolId) ?? EMPTY_POOL }));
    },
  });
  addRoute(routes, {
    method: "get",
    path: "/{id}",
    tag,
    summary: "Shows a storage pool",
    params: idParams,
    answer: poolDetailShape,
    refusals: [404],
    handle: ({ params }) => poolDetail(context, requirePool(context, params.id)),
  });
  addRoute(routes, {
    method: "delete",
    path: "/{id}",
    tag,
    summary: "Deletes a storage pool that never had a volume",
    params: idParams,
    answer: statusShape("deleted"),
    refusals: [400, 404],
    handle: ({ params }) => {
      removePool(context, params.id);
      return { status: "deleted" as const };
    },
  });
  addRoute(routes, {
    method: "get",
    path: "/{id}/health",
    tag,
    summary: "Shows how a storage pool is",
    params: idParams,
    answer: z.object({ id: z.int(), health: healthWord }),
    refusals: [404],
    handle: ({ params }) => {
      const { poolId } = requirePool(context, params.id);
      return { id: poolId, health: HEALTH_WORDS[poolViewOf(context, poolId).health] };
    },
  });
  return routes;
}

function poolJson(context: MdmContext, options: { pool: PoolRow; view: PoolView }) {
  const { pool, view } = options;
  const space = poolSpace(context, pool);
  return {
    id: pool.poolId,
    name: pool.name,
    pd_id: pool.domainId,
    health: HEALTH_WORDS[view.health],
    total_capacity_gb: gibOfBytes(space.totalBytes),
    used_capacity_gb: gibOfBytes(space.usedBytes),
    reserved_capacity_gb: gibOfBytes(space.reservedBytes),
    protection_policy: pool.protectionPolicy,
  };
}

function poolDetail(context: MdmContext, pool: PoolRow) {
  const view = poolViewOf(context, pool.poolId);
  const { total, full } = view.counts;
  const state: z.output<typeof poolDetailShape>["rebuild_state"] = full === total
    ? "idle"
    : view.counts.joining > 0
    ? "in_progress"
    : "stalled";
  return {
    ...poolJson(context, { pool, view }),
    rebuild_state: state,
    rebuild_progress_percent: progressPercent(context, { pool, missing: total - full }),
    chunk_size_mb: CHUNK_BYTES / 2 ** 20,
  };
}

function progressPercent(context: MdmContext, options: { pool: PoolRow; missing: number }): number {
  const total = context.live.rebuilds.get(options.pool.poolId)?.groupsTotal ?? 0;
  if (options.missing === 0 || total === 0) return options.missing === 0 ? 100 : 0;
  return Math.max(0, Math.round((1 - options.missing / total) * 1000) / 10);
}
