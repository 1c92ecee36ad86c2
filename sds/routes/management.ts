/**
 * The management plane of an SDS: health, totals, devices and groups, read-only.
 *
 * @module
 */
import { Hono } from "hono";
import type { ReplicaDevice } from "@/sds/replication/replica_device.ts";

/** What the management plane shows. */
export interface ManagementFacts {
  readonly sdsId: number | undefined;
  readonly componentId: string;
  readonly uptimeMs: number;
  /** Milliseconds since the MDM last answered. */
  readonly mdmSilentMs: number;
  readonly devices: readonly { readonly device: ReplicaDevice; readonly name: string }[];
  readonly brokenDevices: readonly { readonly deviceId: number; readonly reason: string }[];
  readonly totals: {
    readonly reads: number;
    readonly writes: number;
    readonly readBytes: number;
    readonly writtenBytes: number;
  };
}

export function managementRoutes(facts: () => ManagementFacts): Hono {
  const routes = new Hono();
  const health = () => {
    const now = facts();
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
  };
  routes.get("/mgmt/health", (c) => c.json(health()));
  routes.get("/health", (c) => c.json(health()));
  routes.get("/mgmt/stats", (c) => {
    const { totals } = facts();
    return c.json({
      total_io_operations: totals.reads + totals.writes,
      total_bytes_read: totals.readBytes,
      total_bytes_written: totals.writtenBytes,
    });
  });
  routes.get("/mgmt/devices", (c) => c.json(facts().devices.map(({ device, name }) => deviceView(device, name))));
  routes.get(
    "/mgmt/groups",
    (c) =>
      c.json(
        facts().devices.flatMap(({ device }) =>
          [...device.groups.values()].map((group) => ({
            pg_id: group.pgId,
            device_id: device.deviceId,
            role: group.role,
            epoch: group.epoch,
            serving: group.primary?.mayServe() ?? false,
            complete: group.storage?.complete ?? false,
            chunks: group.storage?.chunkCount ?? 0,
            members: group.config?.members.map((member) => member.deviceId) ?? [],
            joining: group.primary?.join?.deviceId ?? null,
          }))
        ),
      ),
  );
  return routes;
}

function deviceView(device: ReplicaDevice, name: string) {
  const totals = device.store.totals();
  return {
    id: device.deviceId,
    name,
    total_bytes: totals.capacityBytes,
    used_bytes: totals.usedBytes,
    free_bytes: totals.capacityBytes - totals.usedBytes,
    dirty_bytes: totals.dirtyBytes,
    status: device.store.failed === undefined ? "ONLINE" : "FAILED",
    incarnation: device.incarnation.counter,
    primary_groups: device.servingCount,
  };
}
