/**
 * Health, as a page for browsers and as JSON for scripts; without login under `POWERFLEX_AUTH=open`.
 *
 * @module
 */
import { Hono } from "hono";
import { StorageError } from "@/shared/errors.ts";
import { alertCounts } from "@/mgmt/core/alerts.ts";
import type { Snapshot } from "@/mgmt/core/cluster_view.ts";
import { componentSummaries, healthMetrics, healthSummary } from "@/mgmt/core/health_summary.ts";
import { clusterPage } from "@/mgmt/pages/cluster_page.ts";
import { type MgmtParts, Visit, wantsPage } from "@/mgmt/pages/context.ts";

/** The routes. */
export function healthRoutes(parts: MgmtParts): Hono {
  const routes = new Hono();
  const view = () => parts.poller.view();
  routes.get("/health", (c) => {
    if (wantsPage(c)) return new Visit(c, parts).show(clusterPage("/health", view())!);
    return c.json(healthSummary(requireSnapshot(parts), view()));
  });
  routes.get("/health/api/summary", (c) => {
    const snapshot = requireSnapshot(parts);
    return c.json({
      health_summary: healthSummary(snapshot, view()),
      health_metrics: healthMetrics(snapshot.overview),
      alert_counts: alertCounts(parts.alerts.open()),
    });
  });
  routes.get("/health/api/components", (c) => c.json(componentSummaries(requireSnapshot(parts).overview)));
  return routes;
}

/** What is known of the cluster. @throws {StorageError} `unavailable` while nothing is. */
export function requireSnapshot({ poller }: MgmtParts): Snapshot {
  const { snapshot, contact, mdmUrl } = poller.view();
  if (snapshot) return snapshot;
  const reason = contact.kind === "lost" ? contact.reason : "it was not asked yet";
  throw new StorageError(
    "unavailable",
    `Cannot tell the cluster's health: the MDM at ${mdmUrl} has not answered: ${reason}`,
  );
}
