/**
 * The management plane of an SDS: health, totals, devices, copies and tables for anybody who reaches the port; stop and backup for
 * whom the node obeys (`shared/http/manager_auth.ts`).
 *
 * @module
 */
import { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "zod";
import { addReplicaRoutes } from "@/sds/routes/replicas.ts";
import type { ReplicaDevice } from "@/sds/replication/replica_device.ts";
import { addBackupRoute, type BackupRouteParts } from "@/shared/http/backup_route.ts";
import { addRoute } from "@/shared/http/api.ts";
import { requireManager } from "@/shared/http/manager_auth.ts";
import { addTableRoutes, type NodeTable } from "@/shared/http/table_routes.ts";
import type { NodeId, VolumeId } from "@/shared/ids.ts";

/** What the management plane shows. */
export interface ManagementFacts {
  readonly sdsId: number | undefined;
  readonly componentId: string;
  readonly uptimeMs: number;
  /** Milliseconds since the MDM last answered. */
  readonly mdmSilentMs: number;
  readonly devices: readonly ShownDevice[];
  readonly brokenDevices: readonly { readonly deviceId: number; readonly reason: string }[];
  /** Devices that were added here and that the MDM has not given an id. */
  readonly waitingDevices: readonly { readonly name: string; readonly path: string; readonly capacityBytes: number }[];
  readonly totals: {
    readonly reads: number;
    readonly writes: number;
    readonly readBytes: number;
    readonly writtenBytes: number;
    readonly errors: number;
  };
  readonly tokensConsumed: number;
  readonly pendingAcks: number;
  volumeOfNode(nodeId: NodeId): VolumeId | undefined;
}

/** An open device with its folder. */
export interface ShownDevice {
  readonly device: ReplicaDevice;
  readonly name: string;
  readonly path: string;
}

/** What the routes act on. */
export interface ManagementParts {
  facts(): ManagementFacts;
  readonly tables: Readonly<Record<string, NodeTable>>;
  readonly backups: BackupRouteParts;
  /** Asks for a clean stop; returns at once. */
  stop(): void;
}

const tag = "Management";
const deviceStatus = z.enum(["ONLINE", "DEGRADED", "FAILED", "MAINTENANCE"]);
const healthShape = z.object({
  sds_id: z.int().nullable(),
  component_id: z.string(),
  status: z.enum(["HEALTHY", "DEGRADED", "CRITICAL"]),
  online_devices: z.int(),
  total_devices: z.int(),
  total_replicas: z.int(),
  active_replicas: z.int(),
  uptime_seconds: z.int(),
  /** Seconds since the MDM last answered one; null before the first. */
  last_heartbeat_sent: z.number().nullable(),
}).meta({ id: "SdsHealth" });
const deviceShape = z.object({
  id: z.int().nullable(),
  name: z.string(),
  path: z.string(),
  total_bytes: z.int(),
  used_bytes: z.int(),
  free_bytes: z.int(),
  dirty_bytes: z.int(),
  status: deviceStatus,
  error_count: z.int(),
  incarnation: z.int().nullable(),
  primary_groups: z.int(),
}).meta({ id: "Device" });
const statsShape = z.object({
  total_io_operations: z.int(),
  total_bytes_read: z.int(),
  total_bytes_written: z.int(),
  total_errors: z.int(),
  tokens_consumed: z.int(),
  pending_acks: z.int(),
}).meta({ id: "SdsStats" });

export function managementRoutes(parts: ManagementParts): OpenAPIHono {
  const { facts } = parts;
  const routes = new OpenAPIHono();
  for (const path of ["/mgmt/health", "/health"]) {
    addRoute(routes, {
      method: "get",
      path,
      tag,
      summary: "Shows how this SDS is",
      answer: healthShape,
      handle: () => healthOf(facts()),
    });
  }
  addRoute(routes, {
    method: "get",
    path: "/mgmt/stats",
    tag,
    summary: "Shows totals since the process started",
    answer: statsShape,
    handle: () => statsOf(facts()),
  });
  addRoute(routes, {
    method: "get",
    path: "/mgmt/devices",
    tag,
    summary: "Lists the devices",
    answer: z.array(deviceShape),
    handle: () => devicesOf(facts()),
  });
  addReplicaRoutes(routes, facts);
  addTableRoutes(routes, { prefix: "/mgmt", tables: parts.tables });
  addBackupRoute(routes, { path: "/mgmt/backup", ...parts.backups });
  routes.use("/mgmt/shutdown", requireManager(parts.backups.access));
  addRoute(routes, {
    method: "post",
    path: "/mgmt/shutdown",
    tag,
    summary: "Stops this SDS cleanly: it hands its groups over, syncs, and exits",
    answer: z.object({ status: z.literal("stopping") }),
    handle: () => {
      parts.stop();
      return { status: "stopping" as const };
    },
  });
  return routes;
}

function healthOf(now: ManagementFacts): z.output<typeof healthShape> {
  const online = now.devices.filter(({ device }) => device.store.failed === undefined).length;
  const total = now.devices.length + now.brokenDevices.length;
  const groups = now.devices.flatMap(({ device }) => [...device.groups.values()]);
  return {
    sds_id: now.sdsId ?? null,
    component_id: now.componentId,
    status: online === 0 ? "CRITICAL" : online < 0.8 * total ? "DEGRADED" : "HEALTHY",
    online_devices: online,
    total_devices: total,
    total_replicas: groups.filter((group) => group.storage !== undefined).length,
    active_replicas: groups.filter((group) => group.role !== "none").length,
    uptime_seconds: Math.floor(now.uptimeMs / 1000),
    last_heartbeat_sent: Number.isFinite(now.mdmSilentMs) ? Math.round(now.mdmSilentMs) / 1000 : null,
  };
}

/** The totals under the predecessor's names. */
export function statsOf({ totals, tokensConsumed, pendingAcks }: ManagementFacts): z.output<typeof statsShape> {
  return {
    total_io_operations: totals.reads + totals.writes,
    total_bytes_read: totals.readBytes,
    total_bytes_written: totals.writtenBytes,
    total_errors: totals.errors,
    tokens_consumed: tokensConsumed,
    pending_acks: pendingAcks,
  };
}

/** Open devices, then those that could not be opened, then those that wait for the MDM. */
function devicesOf(now: ManagementFacts): z.output<typeof deviceShape>[] {
  const closed = { used_bytes: 0, free_bytes: 0, dirty_bytes: 0, incarnation: null, primary_groups: 0 };
  return [
    ...now.devices.map(({ device, name, path }) => {
      const totals = device.store.totals();
      const hasFailed = device.store.failed !== undefined;
      return {
        id: device.deviceId,
        name,
        path,
        total_bytes: totals.capacityBytes,
        used_bytes: totals.usedBytes,
        free_bytes: totals.capacityBytes - totals.usedBytes,
        dirty_bytes: totals.dirtyBytes,
        status: hasFailed ? "FAILED" as const : totals.damagedBlockCount > 0 ? "DEGRADED" as const : "ONLINE" as const,
        error_count: hasFailed ? 1 : totals.damagedBlockCount,
        incarnation: device.incarnation.counter,
        primary_groups: device.servingCount,
      };
    }),
    ...now.brokenDevices.map(({ deviceId, reason }) => ({
      id: deviceId,
      name: `device ${deviceId}`,
      path: reason,
      total_bytes: 0,
      ...closed,
      status: "FAILED" as const,
      error_count: 1,
    })),
    ...now.waitingDevices.map(({ name, path, capacityBytes }) => ({
      id: null,
      name,
      path,
      total_bytes: capacityBytes,
      ...closed,
      status: "MAINTENANCE" as const,
      error_count: 0,
    })),
  ];
}
