/**
 * What MGMT and people ask this SDC: health, status, metrics, mappings (requirements of the predecessor, by those names), tables;
 * and a backup of its databases, for whom the node obeys (`shared/http/manager_auth.ts`).
 *
 * @module
 */
import { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "zod";
import type { MappedVolumes } from "@/sdc/mapped_volumes.ts";
import { mappingRows, mappingShape } from "@/sdc/http/mapping_rows.ts";
import { sdcTables } from "@/sdc/http/tables.ts";
import type { AgentStatus } from "@/sdc/mdm/session_agent.ts";
import type { SdcStore } from "@/sdc/store/store.ts";
import type { Clock } from "@/shared/clock.ts";
import { addRoute } from "@/shared/http/api.ts";
import { addBackupRoute, type BackupRouteParts } from "@/shared/http/backup_route.ts";
import { addTableRoutes } from "@/shared/http/table_routes.ts";

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
  readonly backups: BackupRouteParts;
}

const tag = "Management";

/** See the module comment. */
export function managementRoutes(parts: ManagementRouteParts): OpenAPIHono {
  const { volumes, store, clock } = parts;
  const routes = new OpenAPIHono();
  addRoute(routes, {
    method: "get",
    path: "/",
    tag,
    summary: "Says who answers",
    answer: z.object({ service: z.literal("sdc"), message: z.string() }),
    handle: () => ({ service: "sdc" as const, message: "PowerFlex Demo data client" }),
  });
  addHealth(routes, parts);
  addStatus(routes, parts);
  addRoute(routes, {
    method: "get",
    path: "/mappings",
    tag,
    summary: "Lists the mapped volumes",
    answer: z.object({ mappings: z.array(mappingShape) }),
    handle: () => ({ mappings: mappingRows(volumes, clock) }),
  });
  addRoute(routes, {
    method: "get",
    path: "/io/errors",
    tag,
    summary: "Lists the newest requests that failed",
    answer: z.object({ errors: z.array(z.record(z.string(), z.unknown())) }),
    handle: () => ({ errors: store.recentFailures(SHOWN_FAILURES_MAX).map((failure) => ({ ...failure })) }),
  });
  addTableRoutes(routes, { prefix: "", tables: sdcTables(volumes, store) });
  addBackupRoute(routes, { path: "/backup", ...parts.backups });
  return routes;
}

function addHealth(routes: OpenAPIHono, { volumes, clock, agent, frontEnds }: ManagementRouteParts): void {
  addRoute(routes, {
    method: "get",
    path: "/health",
    tag,
    summary: "Shows how this SDC is",
    answer: z.object({
      status: z.enum(["healthy", "degraded"]),
      component: z.literal("SDC"),
      timestamp: z.string(),
      nbd_server_running: z.boolean(),
      active_connections: z.int(),
      mapped_volumes: z.int(),
      mdm_reachable: z.boolean(),
    }),
    handle: () => {
      const { nbdRunning } = frontEnds();
      const { mdmAnswers, identity } = agent();
      const stopped = volumes.all().filter(({ remote }) => remote.stopped !== undefined).length;
      const isHealthy = nbdRunning && mdmAnswers && identity !== undefined && stopped === 0;
      return {
        status: isHealthy ? "healthy" as const : "degraded" as const,
        component: "SDC" as const,
        timestamp: new Date(clock.wallMs()).toISOString(),
        nbd_server_running: nbdRunning,
        active_connections: connectionsOf(frontEnds()),
        mapped_volumes: volumes.list().length,
        mdm_reachable: mdmAnswers,
      };
    },
  });
}

function addStatus(routes: OpenAPIHono, parts: ManagementRouteParts): void {
  const { volumes, clock, agent, frontEnds, ports } = parts;
  addRoute(routes, {
    method: "get",
    path: "/status",
    tag,
    summary: "Shows ports and totals of this SDC",
    answer: z.object({
      sdc_id: z.int().nullable(),
      cluster_name: z.string().nullable(),
      nbd_server_port: z.int(),
      control_port: z.int(),
      mgmt_port: z.int(),
      device_port: z.int(),
      mapped_volumes: z.int(),
      active_connections: z.int(),
      total_reads: z.int(),
      total_writes: z.int(),
      total_bytes_read: z.int(),
      total_bytes_written: z.int(),
      total_errors: z.int(),
      uptime_seconds: z.int(),
    }),
    handle: () => {
      const totals = volumes.totals();
      const { identity, clusterName } = agent();
      return {
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
      };
    },
  });
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
