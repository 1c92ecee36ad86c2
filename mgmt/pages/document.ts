/**
 * `/openapi.json`: what MGMT answers to those who ask for JSON. The same addresses answer pages to browsers.
 *
 * @module
 */
import { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "zod";
import { severitySchema } from "@/shared/api/overview.ts";
import { describeRoute, serveDocument } from "@/shared/http/api.ts";
import { ALERT_STATES } from "@/mgmt/core/alerts.ts";
import { FIGURE_KINDS } from "@/mgmt/core/lists.ts";
import * as shapes from "@/mgmt/core/shapes.ts";

/** Of the document: that of the program. */
export const API_VERSION = "0.1.0";

/** An address that can be read as JSON. */
interface Readable {
  readonly path: string;
  readonly summary: string;
  readonly answer: z.ZodType;
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
}

const idParams = z.object({ id: z.int().positive() });

/** Every address that can be read as JSON. */
export const READABLE: readonly Readable[] = [
  { path: "/pd", summary: "Protection domains", answer: z.array(shapes.domainShape) },
  { path: "/pool", summary: "Storage pools", answer: z.array(shapes.poolShape) },
  {
    path: "/pool/{id}/health",
    summary: "Health of one pool",
    params: idParams,
    answer: shapes.poolShape.pick({ id: true, health: true }),
  },
  { path: "/sds", summary: "Storage servers", answer: z.array(shapes.sdsShape) },
  { path: "/sdc", summary: "Clients", answer: z.array(shapes.sdcShape) },
  { path: "/volume", summary: "Volumes", answer: z.array(shapes.volumeShape) },
  { path: "/status", summary: "The cluster in short", answer: shapes.statusShape },
  { path: "/metrics", summary: "Figures of the cluster", answer: shapes.clusterFiguresShape },
  {
    path: "/metrics/{kind}/{id}",
    summary: "Figures of one pool, volume, server or client, now and over time",
    params: idParams.extend({ kind: z.enum(FIGURE_KINDS) }),
    query: z.object({ span: z.enum(["hour", "day", "week"]).default("hour") }),
    answer: shapes.itemFiguresShape,
  },
  { path: "/health", summary: "Health of the cluster", answer: shapes.healthShape },
  {
    path: "/health/api/summary",
    summary: "Health, figures of the registry, alerts by severity",
    answer: shapes.summaryShape,
  },
  { path: "/health/api/components", summary: "Every registered process", answer: z.array(shapes.componentShape) },
  {
    path: "/alerts",
    summary: "Alerts that are not resolved, or those that a filter finds",
    query: z.object({
      state: z.enum(ALERT_STATES).optional(),
      severity: severitySchema.optional(),
      category: z.string().optional(),
      source: z.string().optional(),
    }),
    answer: z.array(shapes.alertShape),
  },
];

/** The document's own routes. */
export function documentRoutes(): OpenAPIHono {
  const routes = new OpenAPIHono();
  for (const route of READABLE) {
    describeRoute(routes, { method: "get", tag: "Reading", refusals: [503], ...route });
  }
  serveDocument(routes, {
    title: "PowerFlex Demo MGMT",
    version: API_VERSION,
    description:
      "What the dashboard answers to those who ask for JSON. Changes are forms with a token, made for browsers: " +
      "scripts make theirs at the MDM. Reading needs a session, but for health and alerts under POWERFLEX_AUTH=open.",
    security: {
      session: { type: "apiKey", in: "header", name: "Cookie", description: "The cookie of a sign-in" },
    },
  });
  return routes;
}
