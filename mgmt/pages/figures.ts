/**
 * What scripts and people read: lists, figures over time, status, rebuilds. JSON where the request asks for it.
 *
 * @module
 */
import { Hono } from "hono";
import { z } from "zod";
import { StorageError } from "@/shared/errors.ts";
import { parseParams, parseQuery } from "@/shared/http/body.ts";
import { healthSummary } from "@/mgmt/core/health_summary.ts";
import {
  clusterFigures,
  domainList,
  FIGURE_KINDS,
  itemFigures,
  poolList,
  rateFigures,
  sdcList,
  sdsList,
  volumeList,
} from "@/mgmt/core/lists.ts";
import type { IoRates } from "@/mgmt/core/rates.ts";
import type { SnapshotSource } from "@/mgmt/core/monitoring.ts";
import { type MgmtParts, requireRole, Visit, wantsPage } from "@/mgmt/pages/context.ts";
import { requireSnapshot } from "@/mgmt/pages/health.ts";
import type { Overview } from "@/shared/api/overview.ts";
import type { SnapshotPoint } from "@/mgmt/store/snapshots.ts";
import { itemMetricsPage, SPANS } from "@/mgmt/views/metrics_pages.tsx";
import { mdmAnswerPage } from "@/mgmt/views/mdm_answer.tsx";

const LISTS: Readonly<Record<string, (overview: Overview) => unknown>> = {
  "/pd": domainList,
  "/pool": poolList,
  "/sds": sdsList,
  "/sdc": sdcList,
  "/volume": volumeList,
};
const itemParams = z.object({
  kind: z.enum(FIGURE_KINDS, "There are figures of pool, volume, sds and sdc"),
  id: z.coerce.number().int().positive().max(999_999_999),
});
const idParams = z.object({ id: z.coerce.number().int().positive().max(999_999_999) });
const spanQuery = z.object({ span: z.enum(["hour", "day", "week"]).default("hour") });

/** The routes. They come before the pages of the same paths. */
export function figureRoutes(parts: MgmtParts): Hono {
  const routes = new Hono();
  for (const [path, list] of Object.entries(LISTS)) {
    routes.get(
      path,
      (c, next) => wantsPage(c) ? next() : Promise.resolve(c.json(list(requireSnapshot(parts).overview))),
    );
  }
  routes.get("/status", (c) => {
    const snapshot = requireSnapshot(parts);
    if (wantsPage(c)) return c.redirect("/", 303);
    const view = parts.poller.view();
    return c.json({
      ...healthSummary(snapshot, view),
      cluster_name: snapshot.overview.clusterName,
      mdm_url: view.mdmUrl,
      ...clusterFigures(snapshot.overview, view.rates),
    });
  });
  routes.get("/metrics/:kind/:id", (c) => {
    requireRole(c, parts, "viewer");
    const { kind, id } = parseParams(c, itemParams);
    const { span } = parseQuery(c, spanQuery);
    const { overview } = requireSnapshot(parts);
    const { rates, nowMs } = parts.poller.view();
    const figures = itemFigures({ kind, id }, { overview, rates });
    if (!figures) throw new StorageError("not_found", `Cannot show figures of ${kind} ${id}: it is not there`);
    const { spanMs, longOnly } = SPANS[span];
    const source = { type: kind.toUpperCase() as SnapshotSource, id }; // the words of FIGURE_KINDS in capitals
    const points = parts.store.snapshots.series(source, { sinceMs: nowMs - spanMs, longOnly });
    if (wantsPage(c)) {
      return new Visit(c, parts).show(itemMetricsPage({ kind, id, name: figures.name }, { points, span }));
    }
    return c.json({ ...figures, timeline: points.map(timelinePoint) });
  });
  routes.get("/pool/:id{[0-9]{1,9}}/health", (c) => {
    const { id } = parseParams(c, idParams);
    const pool = poolList(requireSnapshot(parts).overview).find((item) => item.id === id);
    if (!pool) throw new StorageError("not_found", `Cannot show the health of pool ${id}: it is not there`);
    return wantsPage(c) ? c.redirect(`/pool/${id}`, 303) : c.json({ id, health: pool.health });
  });
  // The second path is the predecessor's.
  routes.on("GET", ["/rebuild/:id{[0-9]{1,9}}", "/rebuild/:id{[0-9]{1,9}}/status"], async (c) => {
    requireRole(c, parts, "viewer");
    const { id } = parseParams(c, idParams);
    const pool = requireSnapshot(parts).overview.pools.find(({ poolId }) => poolId === id);
    if (!pool) throw new StorageError("not_found", `Cannot show the rebuild of pool ${id}: it is not there`);
    const answer = await parts.mdm.operate({ method: "GET", path: `/rebuild/status/${id}` });
    if (!wantsPage(c)) {
      return Response.json(answer.kind === "ok" ? answer.value : answer, {
        status: answer.kind === "ok" ? 200 : answer.status,
      });
    }
    const parent = { title: "Rebuild", href: "/rebuild" };
    return new Visit(c, parts).show(mdmAnswerPage({ title: `Rebuild of ${pool.name}`, parent, answer }));
  });
  return routes;
}

function timelinePoint({ atMs, status, metrics }: SnapshotPoint) {
  const { usedBytes, capacityBytes, groupsFull, groupsTotal } = metrics;
  return {
    timestamp: new Date(atMs).toISOString(),
    status,
    used_bytes: usedBytes ?? null,
    capacity_bytes: capacityBytes ?? null,
    groups_full: groupsFull ?? null,
    groups_total: groupsTotal ?? null,
    // Rates are written down together or not at all.
    io: rateFigures(metrics.readsPerSecond === undefined ? undefined : metrics as IoRates),
  };
}
