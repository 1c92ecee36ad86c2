/**
 * `/api/v1/events`, `/api/v1/backups`, `/api/v1/cleanup` and `/api/v1/tables`: what happened, copies of the database, clean-up,
 * and the tables that are computed.
 *
 * @module
 */
import { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "zod";
import type { MdmContext } from "@/mdm/context.ts";
import { backUp, backups } from "@/mdm/operations/backups.ts";
import { type CleanupCounts, removeOld, removeTestData } from "@/mdm/operations/cleanup.ts";
import { COMPUTED_VIEWS, type ComputedView } from "@/mdm/operations/computed_views.ts";
import { timeShape } from "@/mdm/routes/fields.ts";
import { eventsWhere } from "@/mdm/store/events.ts";
import { overviewEventSchema, severitySchema } from "@/shared/api/overview.ts";
import type { BackupFile } from "@/shared/backup.ts";
import { addRoute } from "@/shared/http/api.ts";

const tag = "Maintenance";

/** Rows of one answer at most. */
const ROWS_MAX = 1_000;

const limitField = z.coerce.number().int().min(1).max(ROWS_MAX).default(100);
const eventQuery = z.object({
  type: z.string().max(64).optional(),
  severity: severitySchema.optional(),
  subject: z.string().max(256).optional(),
  since_ms: z.coerce.number().int().min(0).optional(),
  before_id: z.coerce.number().int().min(1).optional(),
  limit: limitField,
});
const backupShape = z.object({ path: z.string(), size_bytes: z.int(), created_at: timeShape }).meta({ id: "Backup" });
const cleanedShape = z.object({
  status: z.literal("done"),
  volumes_deleted: z.int(),
  mappings_removed: z.int(),
  tokens_deleted: z.int(),
  events_deleted: z.int(),
}).meta({ id: "Cleaned" });
const VIEW_NAMES = Object.keys(COMPUTED_VIEWS) as [ComputedView, ...ComputedView[]]; // the table has entries
const rowShape = z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()]));

export function maintenanceRoutes(context: MdmContext): OpenAPIHono {
  const routes = new OpenAPIHono();
  addRoute(routes, {
    method: "get",
    path: "/events",
    tag,
    summary: "Lists events, newest first; before_id gives the next page",
    query: eventQuery,
    answer: z.array(overviewEventSchema),
    handle: ({ query }) => {
      const { since_ms: sinceMs, before_id: beforeId, ...filter } = query;
      return eventsWhere(context.db, { ...filter, sinceMs, beforeId });
    },
  });
  addRoute(routes, {
    method: "get",
    path: "/tables/{name}",
    tag,
    summary: "Shows a table that is computed",
    params: z.object({ name: z.enum(VIEW_NAMES) }),
    query: z.object({ offset: z.coerce.number().int().min(0).default(0), limit: limitField }),
    answer: z.object({ table: z.string(), offset: z.int(), rows: z.array(rowShape) }),
    handle: ({ params, query }) => {
      const rows = COMPUTED_VIEWS[params.name](context, query);
      return { table: params.name, offset: query.offset, rows };
    },
  });
  addBackups(routes, context);
  addCleanups(routes, context);
  return routes;
}

function addBackups(routes: OpenAPIHono, context: MdmContext): void {
  addRoute(routes, {
    method: "post",
    path: "/backups",
    tag,
    summary: "Backs the database up while the MDM runs",
    answer: z.object({ ...backupShape.shape, sha256: z.string() }),
    status: 201,
    refusals: [501],
    handle: async () => {
      const made = await backUp(context);
      return { ...backupJson(made), sha256: made.sha256 };
    },
  });
  addRoute(routes, {
    method: "get",
    path: "/backups",
    tag,
    summary: "Lists the backups, newest first",
    answer: z.array(backupShape),
    refusals: [501],
    handle: () => backups(context).map(backupJson),
  });
}

function addCleanups(routes: OpenAPIHono, context: MdmContext): void {
  addRoute(routes, {
    method: "post",
    path: "/cleanup/test_data",
    tag,
    summary: "Deletes volumes with their data, or all but the topology",
    body: z.object({
      /** Said by who means it. */
      confirm: z.literal(true, { error: "must be true: volumes and their data are deleted" }),
      /** Only volumes whose names begin so. Without it all of them, and tokens and events too. */
      name_prefix: z.string().max(128).default(""),
    }),
    answer: cleanedShape,
    refusals: [503],
    handle: async ({ body }) => cleanedJson(await removeTestData(context, { namePrefix: body.name_prefix })),
  });
  addRoute(routes, {
    method: "post",
    path: "/cleanup/old",
    tag,
    summary: "Deletes old events and tokens, and gives their space back",
    body: z.object({ older_than_days: z.number().min(0).max(3_650).default(7) }),
    answer: cleanedShape,
    handle: ({ body }) => cleanedJson(removeOld(context, { days: body.older_than_days })),
  });
}

function backupJson(file: Omit<BackupFile, "sha256">) {
  return { path: file.path, size_bytes: file.sizeBytes, created_at: new Date(file.createdAtMs).toISOString() };
}

function cleanedJson(counts: CleanupCounts) {
  return {
    status: "done" as const,
    volumes_deleted: counts.volumes,
    mappings_removed: counts.mappings,
    tokens_deleted: counts.tokens,
    events_deleted: counts.events,
  };
}
