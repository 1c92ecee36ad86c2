/**
 * Health of processes and pools, watched: a change of state becomes an event.
 *
 * @module
 */
import { type MdmContext, recordEvent } from "@/mdm/context.ts";
import { componentStatusOf, registryHealthOf } from "@/mdm/core/health.ts";
import { type PoolView, poolViews } from "@/mdm/operations/pool_views.ts";
import { beatAgeMs, livenessOfComponent } from "@/mdm/operations/processes.ts";
import { type ComponentRow, listComponents, setComponentStatus } from "@/mdm/store/components.ts";
import { listPools, type PoolRow } from "@/mdm/store/pools.ts";
import { sdsOfComponent } from "@/mdm/store/sds.ts";
import type { PoolId } from "@/shared/ids.ts";

/** Health of the registry as the predecessor's API shows it. */
export function registryHealth(context: MdmContext) {
  const components = listComponents(context.db);
  const active = components.filter((component) => isActive(context, component));
  const { status, score } = registryHealthOf({ total: components.length, active: active.length });
  const byType: Record<string, { total: number; active: number; inactive: number }> = {};
  for (const component of components) {
    const counts = byType[component.componentType] ??= { total: 0, active: 0, inactive: 0 };
    counts.total++;
    if (isActive(context, component)) counts.active++;
    else counts.inactive++;
  }
  const ages = components.map((component) => beatAgeMs(context, component.componentId) / 1000);
  return {
    status,
    score,
    total: components.length,
    active: active.length,
    inactive: components.length - active.length,
    byType,
    averageAgeSeconds: ages.length === 0 ? 0 : ages.reduce((sum, age) => sum + age, 0) / ages.length,
  };
}

function isActive(context: MdmContext, component: ComponentRow): boolean {
  return livenessOfComponent(context, component.componentId) === "up";
}

/** Records what changed since the last look: a process that fell silent or came back, a pool that lost or regained copies. */
export class HealthWatch {
  readonly #poolHealth = new Map<PoolId, PoolView["health"]>();

  /** One look. */
  look(context: MdmContext): void {
    for (const component of listComponents(context.db)) this.#lookAtComponent(context, component);
    // Just after a start of the MDM nobody has registered with it yet: that says nothing about the pools.
    if (context.clock.monotonicMs() - context.live.startedAtMs < context.options.times.memberHeardMs) return;
    const views = poolViews(context);
    for (const pool of listPools(context.db)) {
      const view = views.get(pool.poolId);
      if (view !== undefined) this.#lookAtPool(context, { pool, view });
    }
  }

  #lookAtComponent(context: MdmContext, component: ComponentRow): void {
    const status = componentStatusOf(livenessOfComponent(context, component.componentId));
    if (status === component.status) return;
    const ageMs = beatAgeMs(context, component.componentId);
    const sds = sdsOfComponent(context.db, component.componentId);
    context.db.transaction(() => {
      const lastHeartbeatAtMs = context.time.nowMs() - ageMs;
      setComponentStatus(context.db, component.componentId, { status, lastHeartbeatAtMs });
      recordEvent(context, {
        type: sds === undefined ? "component_state_change" : "sds_state_change",
        severity: status === "ACTIVE" ? "info" : status === "STALE" ? "warning" : "error",
        subject: sds?.name ?? component.componentId,
        message: status === "ACTIVE"
          ? `${component.componentType} ${component.componentId} is heard again`
          : `${component.componentType} ${component.componentId} is ${status}: not heard for ${
            Math.floor(ageMs / 1000)
          } s`,
      });
    });
  }

  #lookAtPool(context: MdmContext, options: { pool: PoolRow; view: PoolView }): void {
    const { pool, view } = options;
    const { full, total } = view.counts;
    const missing = total - full;
    const rebuild = context.live.rebuilds.get(pool.poolId);
    if (missing > 0 && rebuild === undefined) {
      context.live.rebuilds.set(pool.poolId, {
        startedAtMs: context.time.nowMs(),
        groupsTotal: missing,
        bytesCopied: 0,
      });
    } else if (missing > 0 && rebuild !== undefined) rebuild.groupsTotal = Math.max(rebuild.groupsTotal, missing);
    else context.live.rebuilds.delete(pool.poolId);
    const before = this.#poolHealth.get(pool.poolId) ?? "ok";
    this.#poolHealth.set(pool.poolId, view.health);
    if (before === view.health) return;
    recordEvent(context, {
      type: "pool_health_change",
      severity: view.health === "ok" ? "info" : view.health === "degraded" ? "warning" : "critical",
      subject: pool.name,
      message: `Pool ${pool.name} went from ${before} to ${view.health}: ${full} of ${total} groups have all copies`,
    });
    if (before === "ok") {
      const message = `Pool ${pool.name} makes ${missing} copies again`;
      recordEvent(context, { type: "rebuild_start", severity: "info", subject: pool.name, message });
    } else if (view.health === "ok") {
      const seconds = Math.round((context.time.nowMs() - (rebuild?.startedAtMs ?? context.time.nowMs())) / 1000);
      const message = `Pool ${pool.name} has all copies again, after ${seconds} s`;
      recordEvent(context, { type: "rebuild_complete", severity: "info", subject: pool.name, message });
    }
  }
}
