/**
 * `/health` and `/metrics/cluster`: how processes and capacity are, in the predecessor's shapes.
 *
 * @module
 */
import { Hono } from "hono";
import { z } from "zod";
import type { MdmContext } from "@/mdm/context.ts";
import { gibOfBytes } from "@/mdm/core/capacity.ts";
import { allComponents, componentView, requireComponent } from "@/mdm/operations/discovery.ts";
import { registryHealth } from "@/mdm/operations/health.ts";
import { poolViews } from "@/mdm/operations/pool_views.ts";
import { beatAgeMs } from "@/mdm/operations/processes.ts";
import type { ComponentRow } from "@/mdm/store/components.ts";
import { listDomains } from "@/mdm/store/domains.ts";
import { listPools } from "@/mdm/store/pools.ts";
import { listSdcs } from "@/mdm/store/sdc.ts";
import { listSds } from "@/mdm/store/sds.ts";
import { listVolumes } from "@/mdm/store/volumes.ts";
import { parseParams } from "@/shared/http/body.ts";

const idParams = z.object({ id: z.string().min(1).max(128) });

export function healthRoutes(context: MdmContext): Hono {
  const routes = new Hono();
  routes.get("/", (c) => c.json(healthSummary(context)));
  routes.get(
    "/components",
    (c) => c.json(allComponents(context).map((component) => componentHealth(context, component))),
  );
  routes.get(
    "/status/:id",
    (c) => c.json(componentHealth(context, requireComponent(context, parseParams(c, idParams).id))),
  );
  routes.get("/metrics", (c) => {
    const health = registryHealth(context);
    return c.json({
      health_score: health.score,
      total_components: health.total,
      active_components: health.active,
      inactive_components: health.inactive,
      stale_components: health.inactive,
      availability_percentage: health.score,
      avg_heartbeat_age_seconds: Math.round(health.averageAgeSeconds * 1000) / 1000,
      by_type: health.byType,
    });
  });
  return routes;
}

/** Health of the registry, for `/health` and `/health/`. */
export function healthSummary(context: MdmContext) {
  const health = registryHealth(context);
  return {
    status: health.status,
    health_score: health.score,
    timestamp: new Date(context.time.nowMs()).toISOString(),
    components: { total: health.total, active: health.active, inactive: health.inactive },
    by_type: health.byType,
    heartbeat_timeout_seconds: context.options.times.staleAfterMs / 1000,
  };
}

function componentHealth(context: MdmContext, component: ComponentRow) {
  const view = componentView(context, component);
  const { metadata: _metadata, ...shown } = view;
  return {
    ...shown,
    seconds_since_heartbeat: Math.round(beatAgeMs(context, component.componentId)) / 1000,
    is_stale: view.status !== "ACTIVE",
  };
}

/** `/metrics/cluster`. */
export function clusterMetricsRoutes(context: MdmContext): Hono {
  const routes = new Hono();
  routes.get("/cluster", (c) => {
    const views = poolViews(context);
    const pools = listPools(context.db);
    const volumes = listVolumes(context.db);
    const totalBytes = pools.reduce((sum, pool) => sum + pool.limitBytes, 0);
    const usedBytes = pools.reduce((sum, pool) => sum + (views.get(pool.poolId)?.rawUsedBytes ?? 0) / pool.copies, 0);
    const health = registryHealth(context);
    return c.json({
      storage: {
        total_capacity_gb: gibOfBytes(totalBytes),
        used_capacity_gb: gibOfBytes(usedBytes),
        free_capacity_gb: gibOfBytes(Math.max(0, totalBytes - usedBytes)),
        utilization_percent: totalBytes === 0 ? 0 : Math.round(usedBytes * 10_000 / totalBytes) / 100,
      },
      volumes: {
        count: volumes.length,
        total_capacity_gb: gibOfBytes(volumes.reduce((sum, volume) => sum + volume.sizeBytes, 0)),
      },
      nodes: {
        sds: listSds(context.db).length,
        sdc: listSdcs(context.db).length,
        protection_domains: listDomains(context.db).length,
        pools: pools.length,
      },
      health: {
        components_total: health.total,
        active: health.active,
        inactive: health.inactive,
        health_percentage: health.score,
      },
    });
  });
  return routes;
}
