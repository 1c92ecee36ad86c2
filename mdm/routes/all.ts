/**
 * The MDM's HTTP API: every path, who may call it, and its OpenAPI document at `/openapi.json`.
 *
 * | below | for | form |
 * | --- | --- | --- |
 * | `/api/v1` | operators, MGMT | native |
 * | `/internal/v1` | SDSs and SDCs | native |
 * | all others | operators, MGMT, processes that register | names and shapes of the predecessor, over the same operations |
 *
 * @module
 */
import { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "zod";
import type { MdmContext } from "@/mdm/context.ts";
import { mdmMetrics } from "@/mdm/metrics.ts";
import { requireOperator } from "@/mdm/routes/access.ts";
import { clusterRoutes } from "@/mdm/routes/cluster.ts";
import { discoveryRoutes } from "@/mdm/routes/discovery.ts";
import { domainRoutes, faultSetRoutes } from "@/mdm/routes/domains.ts";
import { healthHeartbeatRoutes, healthRoutes } from "@/mdm/routes/health.ts";
import { internalRoutes } from "@/mdm/routes/internal.ts";
import { ioRoutes, tokenRoutes, volumeIoRoutes } from "@/mdm/routes/io.ts";
import { maintenanceRoutes } from "@/mdm/routes/maintenance.ts";
import { metricsRoutes, poolMetricsRoutes } from "@/mdm/routes/metrics.ts";
import { nativeRoutes } from "@/mdm/routes/native.ts";
import { nativeTopologyRoutes } from "@/mdm/routes/native_topology.ts";
import { nativeVolumeRoutes } from "@/mdm/routes/native_volumes.ts";
import { poolRoutes } from "@/mdm/routes/pools.ts";
import { nativeRebuildRoutes, rebuildRoutes } from "@/mdm/routes/rebuild.ts";
import { sdcRoutes } from "@/mdm/routes/sdc.ts";
import { sdsRoutes } from "@/mdm/routes/sds.ts";
import { snapshotRoutes } from "@/mdm/routes/snapshots.ts";
import { volumeRoutes } from "@/mdm/routes/volumes.ts";
import { SDC_IO_BODY_BYTES_MAX } from "@/shared/api/sdc_io.ts";
import { addRoute, type ApiInfo, describePlainRoute, serveDocument } from "@/shared/http/api.ts";
import { describeCommonRoutes, installCommonRoutes } from "@/shared/http/app.ts";
import { NODE_HEADER } from "@/shared/http/node_auth.ts";
import type { Logger } from "@/shared/log.ts";

/** Largest request body: data to write; a registration with the rows of some ten thousand groups is smaller. */
const BODY_BYTES_MAX = SDC_IO_BODY_BYTES_MAX;

/** Version of the API: that of the product. */
export const API_VERSION = "0.1.0";

const INFO: ApiInfo = {
  title: "PowerFlex Demo MDM",
  version: API_VERSION,
  description: "The metadata manager: topology, volumes, plans and tokens, discovery, health. GB in names means GiB.",
  security: {
    operator: { type: "http", scheme: "bearer", description: "The token of operator.token; none under open access" },
    node: {
      type: "apiKey",
      in: "header",
      name: NODE_HEADER,
      description: "A component names itself here and signs the request in X-PowerFlex-Signature",
    },
  },
};

/** All routes of one MDM. */
export function mdmRoutes(context: MdmContext, log: Logger): OpenAPIHono {
  const app = new OpenAPIHono({ strict: false });
  const metrics = mdmMetrics(context);
  const common = { log, random: context.random, bodyBytesMax: BODY_BYTES_MAX };
  app.use("/metrics", requireOperator(context));
  app.use("/prometheus/metrics", requireOperator(context));
  installCommonRoutes(app, { ...common, metrics, notReady: () => undefined });
  describeCommonRoutes(app, { metrics: true });
  app.get(
    "/prometheus/metrics",
    async (c) => c.body(await metrics.metrics(), 200, { "Content-Type": metrics.contentType }),
  );
  describePlainRoute(app, {
    method: "get",
    path: "/prometheus/metrics",
    tag: "Common",
    summary: "The same as /metrics",
    contentType: "text/plain",
  });
  serveDocument(app, INFO);
  addRoute(app, {
    method: "get",
    path: "/",
    tag: "Common",
    summary: "Says who answers",
    answer: z.object({ service: z.literal("mdm"), message: z.string(), cluster: z.string() }),
    handle: () => {
      const { clusterName: cluster } = context.secrets;
      return { service: "mdm" as const, message: "PowerFlex Demo metadata manager", cluster };
    },
  });
  app.route("/internal/v1", internalRoutes(context));
  app.route("/discovery", discoveryRoutes(context));
  app.route("/health", healthHeartbeatRoutes(context));
  app.route("/", operatorRoutes(context));
  return app;
}

function operatorRoutes(context: MdmContext): OpenAPIHono {
  const routes = new OpenAPIHono();
  routes.use(requireOperator(context));
  routes.route("/health", healthRoutes(context));
  routes.route("/pd", domainRoutes(context));
  routes.route("/fault_set", faultSetRoutes(context));
  routes.route("/pool", poolRoutes(context));
  routes.route("/pool", poolMetricsRoutes(context));
  routes.route("/rebuild", rebuildRoutes(context));
  routes.route("/sds", sdsRoutes(context));
  routes.route("/sdc", sdcRoutes(context));
  routes.route("/vol", volumeRoutes(context));
  routes.route("/vol", volumeIoRoutes(context));
  routes.route("/snapshot", snapshotRoutes(context));
  routes.route("/io", ioRoutes(context));
  routes.route("/token", tokenRoutes(context));
  routes.route("/cluster", clusterRoutes(context));
  routes.route("/metrics", metricsRoutes(context));
  routes.route("/api/v1", nativeRoutes(context));
  routes.route("/api/v1", nativeTopologyRoutes(context));
  routes.route("/api/v1/volumes", nativeVolumeRoutes(context));
  routes.route("/api/v1", maintenanceRoutes(context));
  routes.route("/api/v1/rebuild", nativeRebuildRoutes(context));
  return routes;
}
