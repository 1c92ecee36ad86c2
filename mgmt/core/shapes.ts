/**
 * Shapes of MGMT's JSON answers, for its OpenAPI document; a test holds the answers against them.
 *
 * @module
 */
import { z } from "zod";
import { severitySchema } from "@/shared/api/overview.ts";
import { ALERT_STATES } from "@/mgmt/core/alerts.ts";

const id = z.int();
const time = z.string().describe("ISO 8601");
const gib = z.number().describe("GiB");
const io = z.strictObject({
  read_iops: z.number(),
  write_iops: z.number(),
  iops: z.number(),
  read_bandwidth_mbps: z.number().describe("MiB/s"),
  write_bandwidth_mbps: z.number(),
  bandwidth_mbps: z.number(),
  errors_per_second: z.number(),
}).nullable().describe("Null while no rate is known");
const counts = z.strictObject({ total: z.int(), active: z.int(), inactive: z.int() });

export const domainShape = z.strictObject({ id, name: z.string(), pool_count: z.int(), sds_count: z.int() });
export const poolShape = z.strictObject({
  id,
  name: z.string(),
  pd_id: id,
  health: z.enum(["OK", "DEGRADED", "FAILED"]),
  total_capacity_gb: gib,
  used_capacity_gb: gib,
  reserved_capacity_gb: gib,
  protection_policy: z.string(),
  rebuild_state: z.enum(["idle", "in_progress", "stalled"]),
});
export const sdsShape = z.strictObject({
  id,
  name: z.string(),
  state: z.enum(["UP", "DEGRADED", "DOWN"]),
  component_id: z.string().nullable(),
  protection_domain_id: id,
  total_capacity_gb: gib,
  used_capacity_gb: gib,
  devices: z.string().describe("Names, separated by commas"),
  ip_address: z.string(),
  port: z.int(),
});
export const sdcShape = z.strictObject({
  id,
  name: z.string(),
  component_id: z.string().nullable(),
  mapped_volume_count: z.int(),
  mapped_volumes: z.array(
    z.strictObject({ volume_id: id, access_mode: z.enum(["readWrite", "readOnly"]), mapped_at: time }),
  ),
});
export const volumeShape = z.strictObject({
  id,
  name: z.string(),
  state: z.string(),
  size_gb: gib,
  used_capacity_gb: gib.nullable(),
  pool_id: id,
  provisioning: z.enum(["thin", "thick"]),
  mapping_count: z.int(),
});
const timeline = z.array(z.strictObject({
  timestamp: time,
  status: z.string(),
  used_bytes: z.number().nullable(),
  capacity_bytes: z.number().nullable(),
  groups_full: z.number().nullable(),
  groups_total: z.number().nullable(),
  io,
}));
export const itemFiguresShape = z.union(
  [poolShape, volumeShape, sdsShape, sdcShape].map((shape) => shape.extend({ io, timeline })),
);
export const clusterFiguresShape = z.strictObject({
  storage: z.strictObject({
    total_capacity_gb: gib,
    used_capacity_gb: gib,
    free_capacity_gb: gib,
    utilization_percent: z.number(),
  }),
  volumes: z.strictObject({ count: z.int(), total_capacity_gb: gib }),
  nodes: z.strictObject({ sds: z.int(), sdc: z.int(), protection_domains: z.int(), pools: z.int() }),
  health: z.strictObject({
    components_total: z.int(),
    active: z.int(),
    inactive: z.int(),
    health_percentage: z.number(),
  }),
  io,
});
export const healthShape = z.strictObject({
  status: z.enum(["empty", "healthy", "degraded", "critical", "unknown"]),
  sentence: z.string(),
  health_score: z.number(),
  mdm_reachable: z.boolean(),
  timestamp: time,
  components: counts,
});
export const statusShape = healthShape.extend({
  cluster_name: z.string(),
  mdm_url: z.string(),
  ...clusterFiguresShape.shape,
});
export const summaryShape = z.strictObject({
  health_summary: healthShape,
  health_metrics: z.strictObject({
    total_components: z.int(),
    active_components: z.int(),
    inactive_components: z.int(),
    stale_components: z.int(),
    availability_percentage: z.number(),
    avg_heartbeat_age_seconds: z.number(),
    heartbeat_timeout_seconds: z.number(),
  }),
  alert_counts: z.strictObject({ info: z.int(), warning: z.int(), error: z.int(), critical: z.int() }),
});
export const componentShape = z.strictObject({
  component_id: z.string(),
  component_type: z.enum(["MDM", "SDS", "SDC", "MGMT"]),
  address: z.string(),
  status: z.enum(["ACTIVE", "STALE", "DOWN"]),
  registered_at: time,
  last_heartbeat_at: time.nullable(),
  seconds_since_heartbeat: z.number().nullable(),
  is_stale: z.boolean(),
  ports: z.record(z.string(), z.int()),
});
export const alertShape = z.strictObject({
  id,
  severity: severitySchema,
  category: z.string(),
  source: z.string(),
  message: z.string(),
  state: z.enum(ALERT_STATES),
  since: time,
  acknowledged_by: z.string().nullable(),
  suppressed_until: time.nullable(),
  resolved_at: time.nullable(),
  resolved_by: z.string().nullable().describe("A user, or `system` for what ended by itself"),
});
