/**
 * `/pool`: storage pools.
 *
 * @module
 */
import { Hono } from "hono";
import { z } from "zod";
import type { MdmContext } from "@/mdm/context.ts";
import { gibOfBytes } from "@/mdm/core/capacity.ts";
import { EMPTY_POOL, type PoolView, poolViews } from "@/mdm/operations/pool_views.ts";
import { allPools, createPool, requirePool } from "@/mdm/operations/pools.ts";
import { domainIdField, nameField, poolIdField, sizeGbField } from "@/mdm/routes/fields.ts";
import type { PoolRow } from "@/mdm/store/pools.ts";
import { provisionedBytes } from "@/mdm/store/volumes.ts";
import { CHUNK_BYTES } from "@/shared/constants.ts";
import { parseBody, parseParams } from "@/shared/http/body.ts";

/** Health in the predecessor's words. */
export const HEALTH_WORDS = { ok: "OK", degraded: "DEGRADED", failed: "FAILED" } as const;

const createSchema = z.object({
  name: nameField,
  pd_id: domainIdField,
  total_capacity_gb: sizeGbField,
  protection_policy: z.enum(["two_copies", "erasure_coding"]).default("two_copies"),
  durability: z.enum(["flush", "sync"]).default("flush"),
});
const idParams = z.object({ id: poolIdField });

export function poolRoutes(context: MdmContext): Hono {
  const routes = new Hono();
  routes.post("/create", async (c) => {
    const body = await parseBody(c, createSchema);
    const pool = createPool(context, {
      name: body.name,
      domainId: body.pd_id,
      limitBytes: body.total_capacity_gb,
      protectionPolicy: body.protection_policy,
      syncWrites: body.durability === "sync",
    });
    return c.json({ id: pool.poolId, name: pool.name });
  });
  routes.get("/list", (c) => {
    const views = poolViews(context);
    return c.json(
      allPools(context).map((pool) => poolJson(context, { pool, view: views.get(pool.poolId) ?? EMPTY_POOL })),
    );
  });
  routes.get("/:id", (c) => {
    const pool = requirePool(context, parseParams(c, idParams).id);
    const view = poolViews(context).get(pool.poolId) ?? EMPTY_POOL;
    const { total, full } = view.counts;
    return c.json({
      ...poolJson(context, { pool, view }),
      rebuild_state: full === total ? "idle" : view.counts.joining > 0 ? "in_progress" : "stalled",
      rebuild_progress_percent: progressPercent(context, { pool, missing: total - full }),
      chunk_size_mb: CHUNK_BYTES / 2 ** 20,
    });
  });
  routes.get("/:id/health", (c) => {
    const { poolId } = requirePool(context, parseParams(c, idParams).id);
    return c.json({ id: poolId, health: HEALTH_WORDS[(poolViews(context).get(poolId) ?? EMPTY_POOL).health] });
  });
  return routes;
}

function poolJson(context: MdmContext, options: { pool: PoolRow; view: PoolView }) {
  const { pool, view } = options;
  return {
    id: pool.poolId,
    name: pool.name,
    pd_id: pool.domainId,
    health: HEALTH_WORDS[view.health],
    total_capacity_gb: gibOfBytes(pool.limitBytes),
    used_capacity_gb: gibOfBytes(view.rawUsedBytes / pool.copies),
    reserved_capacity_gb: gibOfBytes(provisionedBytes(context.db, pool.poolId)),
    protection_policy: pool.protectionPolicy,
  };
}

function progressPercent(context: MdmContext, options: { pool: PoolRow; missing: number }): number {
  const total = context.live.rebuilds.get(options.pool.poolId)?.groupsTotal ?? 0;
  if (options.missing === 0 || total === 0) return options.missing === 0 ? 100 : 0;
  return Math.max(0, Math.round((1 - options.missing / total) * 1000) / 10);
}
