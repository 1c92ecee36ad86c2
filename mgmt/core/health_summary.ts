/**
 * Health as figures, in the words of the predecessor's JSON.
 *
 * @module
 */
import type { Liveness, Overview, OverviewComponent } from "@/shared/api/overview.ts";
import { TIMES } from "@/shared/constants.ts";
import { livenessWord } from "@/mgmt/core/condition.ts";
import type { ClusterView, Snapshot } from "@/mgmt/core/cluster_view.ts";
import { clusterSentence } from "@/mgmt/core/sentence.ts";

/** The cluster in few figures. */
export function healthSummary({ overview, takenAtMs }: Snapshot, { contact }: ClusterView) {
  const active = overview.components.filter(({ state }) => state === "up").length;
  const total = overview.components.length;
  return {
    status: contact.kind === "lost" ? "unknown" : overview.health,
    sentence: clusterSentence(overview).text,
    health_score: total === 0 ? 100 : Math.round(active / total * 1000) / 10,
    mdm_reachable: contact.kind !== "lost",
    timestamp: new Date(takenAtMs).toISOString(),
    components: { total, active, inactive: total - active },
  };
}

/** Figures of the registry. */
export function healthMetrics({ components }: Overview) {
  const count = (state: Liveness) => components.filter((component) => component.state === state).length;
  const ages = components.flatMap(({ lastBeatAgeMs }) => lastBeatAgeMs ?? []);
  const total = components.length;
  return {
    total_components: total,
    active_components: count("up"),
    inactive_components: total - count("up"),
    stale_components: count("stale"),
    availability_percentage: total === 0 ? 100 : Math.round(count("up") / total * 1000) / 10,
    avg_heartbeat_age_seconds: ages.length === 0
      ? 0
      : Math.round(ages.reduce((sum, age) => sum + age, 0) / ages.length / 100) / 10,
    heartbeat_timeout_seconds: TIMES.staleAfterMs / 1000,
  };
}

/** Every registered process. */
export function componentSummaries({ components, mdmTimeMs }: Overview) {
  return components.map((component: OverviewComponent) => {
    const { lastBeatAgeMs, state } = component;
    return {
      component_id: component.componentId,
      component_type: component.componentType,
      address: component.host,
      status: livenessWord(state),
      registered_at: new Date(component.registeredAtMs).toISOString(),
      last_heartbeat_at: lastBeatAgeMs === null ? null : new Date(mdmTimeMs - lastBeatAgeMs).toISOString(),
      seconds_since_heartbeat: lastBeatAgeMs === null ? null : Math.round(lastBeatAgeMs / 100) / 10,
      is_stale: state !== "up",
      ports: component.ports,
    };
  });
}
