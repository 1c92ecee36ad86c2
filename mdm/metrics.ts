/**
 * What Prometheus reads of the MDM at `/metrics` and `/prometheus/metrics`, computed when it asks. A latency has a sample only
 * while there is IO.
 *
 * @module
 */
import { Gauge, Registry } from "prom-client";
import type { MdmContext } from "@/mdm/context.ts";
import { gibOfBytes } from "@/mdm/core/capacity.ts";
import type { IoRates } from "@/mdm/operations/metrics_window.ts";
import { overviewOf } from "@/mdm/operations/overview.ts";
import { poolSpace } from "@/mdm/operations/pool_space.ts";
import { requirePool } from "@/mdm/operations/pools.ts";
import type { Overview, OverviewPool, OverviewSds, OverviewVolume } from "@/shared/api/overview.ts";

const POOL_HEALTH = { ok: 2, degraded: 1, failed: 0 } as const;
const VOLUME_STATE = { available: 2, in_use: 2, creating: 1, deleting: 1, degraded: 1, unavailable: 0 } as const;
const GROUP_STATES = ["full", "degraded", "joining", "unavailable"] as const;

/** Gauges by name, with what they tell and the label that says of whom. */
const GAUGES = {
  powerflex_pool_total_capacity_gb: ["pool", "Limit of logical bytes, in GiB."],
  powerflex_pool_used_capacity_gb: ["pool", "Logical bytes used or reserved, in GiB."],
  powerflex_pool_free_capacity_gb: ["pool", "Logical bytes neither used nor reserved, in GiB."],
  powerflex_pool_health: ["pool", "2 = all copies there, 1 = some missing, 0 = some not served."],
  powerflex_pool_rebuild_progress_percent: ["pool", "Groups that have all copies again; 100 when none lacks one."],
  powerflex_pool_iops: ["pool", "Reads and writes per second, over 5 s."],
  powerflex_pool_bandwidth_mbps: ["pool", "Megabytes read and written per second, over 5 s."],
  powerflex_volume_size_gb: ["volume", "Size, in GiB."],
  powerflex_volume_state: ["volume", "2 = available or in use, 1 = being made or a copy missing, 0 = some not served."],
  powerflex_volume_iops: ["volume", "Reads and writes per second, over 5 s."],
  powerflex_volume_bandwidth_mbps: ["volume", "Megabytes read and written per second, over 5 s."],
  powerflex_volume_latency_ms: ["volume", "Mean time of an operation at its SDC, over 15 s."],
  powerflex_sds_capacity_gb: ["sds", "What its devices hold, in GiB."],
  powerflex_sds_used_capacity_gb: ["sds", "Bytes used on its devices, in GiB."],
  powerflex_sds_state: ["sds", "1 = heard lately."],
  powerflex_sds_iops: ["sds", "Reads and writes per second that it served as primary, over 5 s."],
  powerflex_sds_bandwidth_mbps: ["sds", "Megabytes read and written per second as primary, over 5 s."],
  powerflex_sds_latency_ms: ["sds", "Mean time of an operation that it served as primary, over 15 s."],
} as const;

type GaugeName = keyof typeof GAUGES;
type Gauges = Readonly<Record<GaugeName, Gauge>>;

/** A registry with the gauges of one MDM. */
export function mdmMetrics(context: MdmContext): Registry {
  const registry = new Registry();
  const registers = [registry];
  // Registered first, it is asked first: it fills in the others before they are.
  new Gauge({
    name: "powerflex_mdm_term",
    help: "Number of this start of the MDM.",
    registers,
    collect() {
      this.set(context.mdmTerm);
      fill(context, { gauges, groups, overview: overviewOf(context) });
    },
  });
  const gauges = Object.fromEntries(
    Object.entries(GAUGES).map(([name, [label, help]]) => [
      name,
      new Gauge({ name, help, labelNames: [label], registers }),
    ]),
  ) as Gauges; // built from the table that the type is made of
  const groups = new Gauge({
    name: "powerflex_pool_placement_groups",
    help: "Placement groups by state.",
    labelNames: ["pool", "state"],
    registers,
  });
  return registry;
}

function fill(context: MdmContext, parts: { gauges: Gauges; groups: Gauge; overview: Overview }): void {
  const { gauges, groups, overview } = parts;
  for (const gauge of [groups, ...Object.values(gauges)]) gauge.reset();
  for (const pool of overview.pools) {
    setAll(gauges, { labels: { pool: pool.name }, values: poolValues(context, pool) });
    for (const state of GROUP_STATES) groups.set({ pool: pool.name, state }, pool.pgs[state]);
  }
  for (const volume of overview.volumes) {
    setAll(gauges, { labels: { volume: volume.name }, values: volumeValues(context, volume) });
  }
  for (const sds of overview.sdss) setAll(gauges, { labels: { sds: sds.name }, values: sdsValues(context, sds) });
}

function setAll(
  gauges: Gauges,
  options: { labels: Record<string, string>; values: Partial<Record<GaugeName, number>> },
): void {
  const { labels, values } = options;
  for (const [name, value] of Object.entries(values)) gauges[name as GaugeName].set(labels, value);
}

function poolValues(context: MdmContext, pool: OverviewPool): Partial<Record<GaugeName, number>> {
  const { totalBytes, usedBytes, reservedBytes } = poolSpace(context, requirePool(context, pool.poolId));
  const missing = pool.pgs.total - pool.pgs.full;
  const groupsTotal = pool.rebuild?.groupsTotal ?? missing;
  const rates = context.metrics.rates(`pool/${pool.poolId}`);
  return {
    powerflex_pool_total_capacity_gb: gibOfBytes(totalBytes),
    powerflex_pool_used_capacity_gb: gibOfBytes(usedBytes + reservedBytes),
    powerflex_pool_free_capacity_gb: gibOfBytes(totalBytes - usedBytes - reservedBytes),
    powerflex_pool_health: POOL_HEALTH[pool.health],
    powerflex_pool_rebuild_progress_percent: missing === 0 ? 100 : Math.max(0, 100 * (1 - missing / groupsTotal)),
    powerflex_pool_iops: iopsOf(rates),
    powerflex_pool_bandwidth_mbps: bandwidthOf(rates),
  };
}

function volumeValues(context: MdmContext, volume: OverviewVolume): Partial<Record<GaugeName, number>> {
  const rates = context.metrics.rates(`volume/${volume.volumeId}`);
  return {
    powerflex_volume_size_gb: gibOfBytes(volume.sizeBytes),
    powerflex_volume_state: VOLUME_STATE[volume.state],
    powerflex_volume_iops: iopsOf(rates),
    powerflex_volume_bandwidth_mbps: bandwidthOf(rates),
    ...(rates.latencyMs !== null && { powerflex_volume_latency_ms: rates.latencyMs }),
  };
}

function sdsValues(context: MdmContext, sds: OverviewSds): Partial<Record<GaugeName, number>> {
  const sum = (field: "capacityBytes" | "usedBytes") => sds.devices.reduce((bytes, device) => bytes + device[field], 0);
  const rates = context.metrics.rates(`sds/${sds.sdsId}`);
  return {
    powerflex_sds_capacity_gb: gibOfBytes(sum("capacityBytes")),
    powerflex_sds_used_capacity_gb: gibOfBytes(sum("usedBytes")),
    powerflex_sds_state: sds.state === "up" ? 1 : 0,
    powerflex_sds_iops: iopsOf(rates),
    powerflex_sds_bandwidth_mbps: bandwidthOf(rates),
    ...(rates.latencyMs !== null && { powerflex_sds_latency_ms: rates.latencyMs }),
  };
}

function iopsOf(rates: IoRates): number {
  return rates.readIops + rates.writeIops;
}

function bandwidthOf(rates: IoRates): number {
  return (rates.readBytesPerSecond + rates.writtenBytesPerSecond) / 1e6;
}
