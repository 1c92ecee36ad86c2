/**
 * `/health`: how the registered processes are, in the predecessor's shapes.
 *
 * @module
 */
import { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "zod";
import type { MdmContext } from "@/mdm/context.ts";
import { allComponents, componentView, noteHeartbeat, requireComponent } from "@/mdm/operations/discovery.ts";
import { registryHealth } from "@/mdm/operations/health.ts";
import { beatAgeMs } from "@/mdm/operations/processes.ts";
import { componentShape, requireSelf } from "@/mdm/routes/discovery.ts";
import { componentTypeField, timeShape } from "@/mdm/routes/fields.ts";
import type { ComponentRow } from "@/mdm/store/components.ts";
import { addRoute } from "@/shared/http/api.ts";

const tag = "Health";

const idParams = z.object({ id: z.string().min(1).max(128) });
const byTypeShape = z.record(z.string(), z.object({ total: z.int(), active: z.int(), inactive: z.int() }));
const summaryShape = z.object({
  status: z.enum(["healthy", "warning", "degraded", "critical"]),
  health_score: z.number(),
  timestamp: timeShape,
  components: z.object({ total: z.int(), active: z.int(), inactive: z.int() }),
  by_type: byTypeShape,
  heartbeat_timeout_seconds: z.number(),
}).meta({ id: "Health" });
const figure = z.number().nonnegative();
const reportShape = z.object({ cpu_percent: figure, disk_usage_percent: figure, chunk_count: figure }).partial();
const { metadata: _metadata, ...shown } = componentShape.shape;
const componentHealthShape = z.object({
  ...shown,
  /** The word of older clients: ACTIVE, or INACTIVE for whatever else `status` says. */
  legacy_status: z.enum(["ACTIVE", "INACTIVE"]),
  seconds_since_heartbeat: z.number(),
  is_stale: z.boolean(),
  /** What the last heartbeat at `/health/heartbeat` told; null without one. */
  metrics: reportShape.nullable(),
}).meta({ id: "ComponentHealth" });
const metricsShape = z.object({
  health_score: z.number(),
  total_components: z.int(),
  active_components: z.int(),
  inactive_components: z.int(),
  stale_components: z.int(),
  availability_percentage: z.number(),
  avg_heartbeat_age_seconds: z.number(),
  by_type: byTypeShape,
}).meta({ id: "HealthMetrics" });
const overallShape = z.object({
  status: z.enum(["HEALTHY", "DEGRADED"]),
  timestamp: timeShape,
  total: z.int(),
  active: z.int(),
  stale: z.int(),
  by_type: byTypeShape,
}).meta({ id: "OverallHealth" });

export function healthRoutes(context: MdmContext): OpenAPIHono {
  const routes = new OpenAPIHono();
  addRoute(routes, {
    method: "get",
    path: "/",
    tag,
    summary: "Shows how the registered processes are",
    answer: summaryShape,
    handle: () => healthSummary(context),
  });
  addRoute(routes, {
    method: "get",
    path: "/components",
    tag,
    summary: "Lists how each process is",
    answer: z.array(componentHealthShape),
    handle: () => allComponents(context).map((component) => componentHealth(context, component)),
  });
  addRoute(routes, {
    method: "get",
    path: "/status/{id}",
    tag,
    summary: "Shows how one process is",
    params: idParams,
    answer: componentHealthShape,
    refusals: [404],
    handle: ({ params }) => componentHealth(context, requireComponent(context, params.id)),
  });
  addRoute(routes, {
    method: "get",
    path: "/status",
    tag,
    summary: "Shows how the processes are, in one word",
    answer: overallShape,
    handle: () => {
      const { total, active, inactive, byType } = registryHealth(context);
      const status = inactive === 0 ? "HEALTHY" as const : "DEGRADED" as const;
      return { status, timestamp: nowText(context), total, active, stale: inactive, by_type: byType };
    },
  });
  addRoute(routes, {
    method: "get",
    path: "/stale",
    tag,
    summary: "Lists the names of the processes that are silent",
    answer: z.array(z.string()),
    handle: () =>
      allComponents(context).filter((component) => componentView(context, component).status !== "ACTIVE")
        .map((component) => component.componentId),
  });
  addRoute(routes, {
    method: "get",
    path: "/metrics",
    tag,
    summary: "Shows the health of the registry in figures",
    answer: metricsShape,
    handle: () => registryMetrics(context),
  });
  return routes;
}

/** `/health/heartbeat`: stands outside the operator's guard, the process itself calls it. */
export function healthHeartbeatRoutes(context: MdmContext): OpenAPIHono {
  const routes = new OpenAPIHono();
  addRoute(routes, {
    method: "post",
    path: "/heartbeat",
    tag,
    summary: "Notes that a process lives, with figures of its host",
    body: z.object({
      node_id: z.string().min(1).max(128),
      node_type: componentTypeField.optional(),
      status: z.string().max(64).optional(),
      metrics: reportShape.optional(),
    }),
    answer: z.object({ status: z.literal("ok"), node_id: z.string(), timestamp: timeShape }),
    refusals: [403, 404],
    handle: async ({ c, body }) => {
      await requireSelf(context, { c, id: body.node_id });
      noteHeartbeat(context, body.node_id);
      const component = requireComponent(context, body.node_id);
      if (body.metrics !== undefined) context.live.noteReport(component.componentId, body.metrics);
      return { status: "ok" as const, node_id: body.node_id, timestamp: nowText(context) };
    },
  });
  return routes;
}

function nowText(context: MdmContext): string {
  return new Date(context.time.nowMs()).toISOString();
}

function healthSummary(context: MdmContext) {
  const health = registryHealth(context);
  return {
    status: health.status,
    health_score: health.score,
    timestamp: nowText(context),
    components: { total: health.total, active: health.active, inactive: health.inactive },
    by_type: health.byType,
    heartbeat_timeout_seconds: context.options.times.staleAfterMs / 1000,
  };
}

function registryMetrics(context: MdmContext) {
  const health = registryHealth(context);
  return {
    health_score: health.score,
    total_components: health.total,
    active_components: health.active,
    inactive_components: health.inactive,
    stale_components: health.inactive,
    availability_percentage: health.score,
    avg_heartbeat_age_seconds: Math.round(health.averageAgeSeconds * 1000) / 1000,
    by_type: health.byType,
  };
}

function componentHealth(context: MdmContext, component: ComponentRow) {
  const { metadata: _metadata, ...view } = componentView(context, component);
  const isActive = view.status === "ACTIVE";
  return {
    ...view,
    legacy_status: isActive ? "ACTIVE" as const : "INACTIVE" as const,
    seconds_since_heartbeat: Math.round(beatAgeMs(context, component.componentId)) / 1000,
    is_stale: !isActive,
    metrics: context.live.reportOf(component.componentId) ?? null,
  };
}
