/**
 * What MGMT and people ask this SDC: health, status, metrics, mappings (requirements of the predecessor, by those names).
 *
 * @module
 */
import { Hono } from "hono";
import type { MappedVolumes } from "@/sdc/mapped_volumes.ts";
import { mappingRows } from "@/sdc/http/control_routes.ts";
import type { AgentStatus } from "@/sdc/mdm/session_agent.ts";
import type { SdcStore } from "@/sdc/store/store.ts";
import type { Clock } from "@/shared/clock.ts";

/** Failures that `/io/errors` shows. */
export const SHOWN_FAILURES_MAX = 100;

/** The front ends, as far as they are counted. */
export interface FrontEndStatus {
  /** True while the NBD server accepts clients. */
  readonly nbdRunning: boolean;
  readonly nbdConnections: number;
  readonly deviceConnections: number;
}

/** What the routes show. */
export interface ManagementRouteParts {
  readonly volumes: MappedVolumes;
  readonly store: SdcStore;
  readonly clock: Clock;
  readonly startedAtMs: number;
  readonly ports: { readonly nbd: number; readonly control: number; readonly mgmt: number; readonly device: number };
  readonly agent: () => AgentStatus;
  readonly frontEnds: () => FrontEndStatus;
}

/** See the module comment. */
export function managementRoutes(parts: ManagementRouteParts): Hono {
  const { volumes, store, clock, agent, frontEnds, ports } = parts;
  const timestamp = () => new Date(clock.wallMs()).toISOString();
  const routes = new Hono();
  routes.get("/", (c) => c.json({ service: "sdc", message: "PowerFlex Demo data client" }));
  routes.get("/health", (c) => {
    const { nbdRunning } = frontEnds();
    const { mdmAnswers, identity } = agent();
    const stopped = volumes.all().filter(({ remote }) => remote.stopped !== undefined).length;
    return c.json({
      status: nbdRunning && mdmAnswers && identity !== undefined && stopped === 0 ? "healthy" : "degraded",
      component: "SDC",
      timestamp: timestamp(),
      nbd_server_running: nbdRunning,
      active_connections: connectionsOf(frontEnds()),
      mapped_volumes: volumes.list().length,
      mdm_reachable: mdmAnswers,
    });
  });
  routes.get("/status", (c) => {
    const totals = volumes.totals();
    const { identity, clusterName } = agent();
    return c.json({
      sdc_id: identity?.sdcId ?? null,
      cluster_name: clusterName ?? null,
      nbd_server_port: ports.nbd,
      control_port: ports.control,
      mgmt_port: ports.mgmt,
      device_port: ports.device,
      mapped_volumes: volumes.list().length,
      active_connections: connectionsOf(frontEnds()),
      total_reads: totals.reads,
      total_writes: totals.writes,
      total_bytes_read: totals.readBytes,
      total_bytes_written: totals.writtenBytes,
      total_errors: totals.errors,
      uptime_seconds: Math.floor((clock.monotonicMs() - parts.startedAtMs) / 1000),
    });
  });
  routes.get("/mappings", (c) => c.json({ mappings: mappingRows(volumes, clock) }));
  routes.get("/io/errors", (c) => c.json({ errors: store.recentFailures(SHOWN_FAILURES_MAX) }));
  return routes;
}

/** `/metrics` for who does not ask for Prometheus text. */
export function metricsDocument(parts: ManagementRouteParts) {
  const { volumes, frontEnds, clock } = parts;
  const totals = volumes.totals();
  const { nbdRunning } = frontEnds();
  return {
    io_operations: {
      total_reads: totals.reads,
      total_writes: totals.writes,
      pending_ios: volumes.all().reduce((sum, { remote }) => sum + remote.pendingCount, 0),
      retries: volumes.all().reduce((sum, { remote }) => sum + remote.retryCount, 0),
      errors: totals.errors,
    },
    throughput: {
      total_bytes_read: totals.readBytes,
      total_bytes_written: totals.writtenBytes,
      avg_read_size: totals.reads === 0 ? 0 : totals.readBytes / totals.reads,
      avg_write_size: totals.writes === 0 ? 0 : totals.writtenBytes / totals.writes,
    },
    connections: { active: connectionsOf(frontEnds()), nbd_server_running: nbdRunning },
    timestamp: new Date(clock.wallMs()).toISOString(),
  };
}

/** Clients of all front ends. */
export function connectionsOf(status: FrontEndStatus): number {
  return status.nbdConnections + status.deviceConnections;
}
