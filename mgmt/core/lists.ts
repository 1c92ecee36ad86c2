/**
 * Lists and figures of the cluster as JSON, in the predecessor's words: GB means GiB, ids are numbers.
 *
 * @module
 */
import type { Overview, OverviewPool, OverviewSds, OverviewVolume } from "@/shared/api/overview.ts";
import { sdsCondition } from "@/mgmt/core/condition.ts";
import { healthMetrics } from "@/mgmt/core/health_summary.ts";
import { poolRates } from "@/mgmt/core/monitoring.ts";
import { CLUSTER_KEY, type IoRates, type RateTable, sdcKey, sdsKey, volumeKey } from "@/mgmt/core/rates.ts";

const GIB = 2 ** 30;
const MIB = 2 ** 20;
const gib = (bytes: number) => Math.round(bytes / GIB * 1e6) / 1e6;
const HEALTH_WORDS = { ok: "OK", degraded: "DEGRADED", failed: "FAILED" } as const;

/** `/pd`. */
export function domainList({ domains, pools, sdss }: Overview) {
  return domains.map(({ domainId, name }) => ({
    id: domainId,
    name,
    pool_count: pools.filter((pool) => pool.domainId === domainId).length,
    sds_count: sdss.filter((sds) => sds.domainId === domainId).length,
  }));
}

/** `/pool`. */
export function poolList({ pools, volumes }: Overview) {
  return pools.map((pool) => poolItem(pool, volumes));
}

/** Counts as the MDM's `/pool/list` does: thick volumes reserve their size, thin ones use what is written. */
function poolItem(pool: OverviewPool, volumes: readonly OverviewVolume[]) {
  const sum = (wanted: OverviewVolume["provisioning"], bytesOf: (volume: OverviewVolume) => number) =>
    volumes.filter(({ poolId, provisioning }) => poolId === pool.poolId && provisioning === wanted)
      .reduce((total, volume) => total + bytesOf(volume), 0);
  return {
    id: pool.poolId,
    name: pool.name,
    pd_id: pool.domainId,
    health: HEALTH_WORDS[pool.health],
    total_capacity_gb: gib(pool.logicalLimitBytes),
    used_capacity_gb: gib(sum("thin", ({ sizeBytes, usedBytes }) => Math.min(sizeBytes, usedBytes ?? 0))),
    reserved_capacity_gb: gib(sum("thick", ({ sizeBytes }) => sizeBytes)),
    protection_policy: pool.protectionPolicy,
    rebuild_state: pool.rebuild === null ? "idle" : pool.rebuild.joinsRunning > 0 ? "in_progress" : "stalled",
  };
}

/** `/sds`. */
export function sdsList({ sdss }: Overview) {
  return sdss.map(sdsItem);
}

function sdsItem(sds: OverviewSds) {
  const sum = (valueOf: (device: OverviewSds["devices"][number]) => number) =>
    sds.devices.reduce((total, device) => total + valueOf(device), 0);
  const isDown = sds.state === "down" || sds.state === "never_seen" || sdsCondition(sds) === "stopped";
  const hasFailedDevice = sds.devices.some((device) => device.state === "failed");
  return {
    id: sds.sdsId,
    name: sds.name,
    state: isDown ? "DOWN" : hasFailedDevice || sds.state === "stale" ? "DEGRADED" : "UP",
    component_id: sds.componentId,
    protection_domain_id: sds.domainId,
    total_capacity_gb: gib(sum((device) => device.capacityBytes)),
    used_capacity_gb: gib(sum((device) => device.usedBytes)),
    devices: sds.devices.map(({ name }) => name).join(","),
    ip_address: sds.host,
    port: sds.dataPort,
  };
}

/** `/sdc`. */
export function sdcList({ sdcs }: Overview) {
  return sdcs.map((sdc) => ({
    id: sdc.sdcId,
    name: sdc.name,
    component_id: sdc.componentId,
    mapped_volume_count: sdc.mappings.length,
    mapped_volumes: sdc.mappings.map(({ volumeId, accessMode, mappedAtMs }) => ({
      volume_id: volumeId,
      access_mode: accessMode,
      mapped_at: new Date(mappedAtMs).toISOString(),
    })),
  }));
}

/** `/volume`. */
export function volumeList({ volumes }: Overview) {
  return volumes.map(volumeItem);
}

function volumeItem(volume: OverviewVolume) {
  return {
    id: volume.volumeId,
    name: volume.name,
    state: volume.state === "unavailable" ? "DEGRADED" : volume.state.toUpperCase(),
    size_gb: gib(volume.sizeBytes),
    used_capacity_gb: volume.usedBytes === null ? null : gib(volume.usedBytes),
    pool_id: volume.poolId,
    provisioning: volume.provisioning,
    mapping_count: volume.mappings.length,
  };
}

/** `/metrics`. */
export function clusterFigures(overview: Overview, rates: RateTable) {
  const { pools, volumes, sdss, sdcs, domains } = overview;
  const sum = (valueOf: (pool: OverviewPool) => number) => pools.reduce((total, pool) => total + valueOf(pool), 0);
  const totalBytes = sum((pool) => pool.rawCapacityBytes);
  const usedBytes = sum((pool) => pool.rawUsedBytes);
  const health = healthMetrics(overview);
  return {
    storage: {
      total_capacity_gb: gib(totalBytes),
      used_capacity_gb: gib(usedBytes),
      free_capacity_gb: gib(Math.max(0, totalBytes - usedBytes)),
      utilization_percent: totalBytes === 0 ? 0 : Math.round(usedBytes / totalBytes * 10_000) / 100,
    },
    volumes: {
      count: volumes.length,
      total_capacity_gb: gib(volumes.reduce((all, { sizeBytes }) => all + sizeBytes, 0)),
    },
    nodes: { sds: sdss.length, sdc: sdcs.length, protection_domains: domains.length, pools: pools.length },
    health: {
      components_total: health.total_components,
      active: health.active_components,
      inactive: health.inactive_components,
      health_percentage: health.availability_percentage,
    },
    io: rateFigures(rates.get(CLUSTER_KEY)),
  };
}

/** Kinds of things that have figures of their own. */
export const FIGURE_KINDS = ["pool", "volume", "sds", "sdc"] as const;
export type FigureKind = typeof FIGURE_KINDS[number];

/** `/metrics/{kind}/{id}` without its timeline; undefined when it is not there. */
export function itemFigures(
  { kind, id }: { readonly kind: FigureKind; readonly id: number },
  { overview, rates }: { readonly overview: Overview; readonly rates: RateTable },
) {
  switch (kind) {
    case "pool": {
      const pool = overview.pools.find(({ poolId }) => poolId === id);
      return pool && { ...poolItem(pool, overview.volumes), io: rateFigures(poolRates(id, overview, rates)) };
    }
    case "volume": {
      const volume = overview.volumes.find(({ volumeId }) => volumeId === id);
      return volume && { ...volumeItem(volume), io: rateFigures(rates.get(volumeKey(id))) };
    }
    case "sds": {
      const sds = overview.sdss.find(({ sdsId }) => sdsId === id);
      return sds && { ...sdsItem(sds), io: rateFigures(rates.get(sdsKey(id))) };
    }
    case "sdc": {
      const sdc = sdcList(overview).find((item) => item.id === id);
      return sdc && { ...sdc, io: rateFigures(rates.get(sdcKey(id))) };
    }
  }
}

/** Operations and MiB per second; null while no rate is known. */
export function rateFigures(rates: IoRates | undefined) {
  if (!rates) return null;
  const round = (value: number) => Math.round(value * 100) / 100;
  return {
    read_iops: round(rates.readsPerSecond),
    write_iops: round(rates.writesPerSecond),
    iops: round(rates.readsPerSecond + rates.writesPerSecond),
    read_bandwidth_mbps: round(rates.readBytesPerSecond / MIB),
    write_bandwidth_mbps: round(rates.writtenBytesPerSecond / MIB),
    bandwidth_mbps: round((rates.readBytesPerSecond + rates.writtenBytesPerSecond) / MIB),
    errors_per_second: round(rates.errorsPerSecond),
  };
}
