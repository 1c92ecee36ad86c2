/**
 * `/metrics/*` and `/pool/{id}/metrics`: capacity, state and IO of the cluster and its parts, in the predecessor's shapes.
 * Latency is measured where IO enters, at the SDCs, and of an SDS by itself: what it serves as primary.
 *
 * @module
 */
import { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "zod";
import type { MdmContext } from "@/mdm/context.ts";
import { gibOfBytes } from "@/mdm/core/capacity.ts";
import { stateWordOf } from "@/mdm/core/health.ts";
import { capacityOf } from "@/mdm/operations/devices.ts";
import { registryHealth } from "@/mdm/operations/health.ts";
import { type IoRates, SAMPLE_MS } from "@/mdm/operations/metrics_window.ts";
import { poolSpace, poolViewOf } from "@/mdm/operations/pool_space.ts";
import { usedBytesOf } from "@/mdm/operations/pool_views.ts";
import { requirePool } from "@/mdm/operations/pools.ts";
import { livenessOfComponent } from "@/mdm/operations/processes.ts";
import { requireSdc } from "@/mdm/operations/sdc.ts";
import { requireSds } from "@/mdm/operations/sds.ts";
import { volumeUsedBytes } from "@/mdm/operations/volume_views.ts";
import { requireVolume } from "@/mdm/operations/volumes.ts";
import { poolIdField, sdcIdField, sdsIdField, timeShape, volumeIdField } from "@/mdm/routes/fields.ts";
import { HEALTH_WORDS, healthWord } from "@/mdm/routes/pools.ts";
import { sdsWord, stateWordShape } from "@/mdm/routes/sds.ts";
import { stateWord, volumeWordShape } from "@/mdm/routes/volumes.ts";
import { devicesOfSds } from "@/mdm/store/devices.ts";
import { listDomains } from "@/mdm/store/domains.ts";
import { mappingsOfSdc } from "@/mdm/store/mappings.ts";
import { listPools } from "@/mdm/store/pools.ts";
import { listSdcs } from "@/mdm/store/sdc.ts";
import { listSds } from "@/mdm/store/sds.ts";
import { listVolumes } from "@/mdm/store/volumes.ts";
import { addRoute } from "@/shared/http/api.ts";
import type { PoolId, SdcId, SdsId, VolumeId } from "@/shared/ids.ts";

const tag = "Metrics";

const rateShape = {
  iops: z.number(),
  read_iops: z.number(),
  write_iops: z.number(),
  bandwidth_mbps: z.number(),
  read_bandwidth_mbps: z.number(),
  write_bandwidth_mbps: z.number(),
  /** Mean over 15 s; null when no operation ended in them. */
  latency_ms: z.number().nullable(),
};
const ioShape = { ...rateShape, window_seconds: z.number() };
const capacityShape = { total_capacity_gb: z.number(), used_capacity_gb: z.number(), free_capacity_gb: z.number() };
const clusterShape = z.object({
  storage: z.object({ ...capacityShape, utilization_percent: z.number() }),
  volumes: z.object({ count: z.int(), total_capacity_gb: z.number() }),
  nodes: z.object({ sds: z.int(), sdc: z.int(), protection_domains: z.int(), pools: z.int() }),
  health: z.object({
    components_total: z.int(),
    active: z.int(),
    inactive: z.int(),
    health_percentage: z.number(),
  }),
}).meta({ id: "ClusterMetrics" });
const poolShape = z.object({
  id: z.int(),
  name: z.string(),
  health: healthWord,
  ...capacityShape,
  reserved_capacity_gb: z.number(),
  utilization_percent: z.number(),
  ...ioShape,
}).meta({ id: "PoolMetrics" });
const volumeShape = z.object({
  id: z.int(),
  name: z.string(),
  state: volumeWordShape,
  size_gb: z.number(),
  used_capacity_gb: z.number(),
  ...ioShape,
}).meta({ id: "VolumeMetrics" });
const sdsShape = z.object({ id: z.int(), name: z.string(), state: stateWordShape, ...capacityShape, ...ioShape })
  .meta({ id: "SdsMetrics" });
const sdcShape = z.object({
  id: z.int(),
  name: z.string(),
  state: stateWordShape,
  mapped_volume_count: z.int(),
  ...ioShape,
}).meta({ id: "SdcMetrics" });
const timelineShape = z.object({
  interval_seconds: z.number(),
  count: z.int(),
  /** Oldest first. */
  samples: z.array(z.object({ timestamp: timeShape, used_capacity_gb: z.number(), ...rateShape })),
}).meta({ id: "Timeline" });

export function metricsRoutes(context: MdmContext): OpenAPIHono {
  const routes = new OpenAPIHono();
  addRoute(routes, {
    method: "get",
    path: "/cluster",
    tag,
    summary: "Shows capacity, counts and health of the cluster",
    answer: clusterShape,
    handle: () => clusterMetrics(context),
  });
  addRoute(routes, {
    method: "get",
    path: "/timeline",
    tag,
    summary: "Shows IO and capacity of the last five minutes, a sample each 5 s",
    answer: timelineShape,
    handle: () => timelineOf(context),
  });
  addPartMetrics(routes, context);
  return routes;
}

function addPartMetrics(routes: OpenAPIHono, context: MdmContext): void {
  const common = { method: "get", tag, refusals: [404] } as const;
  addRoute(routes, {
    ...common,
    path: "/pool/{id}",
    summary: "Shows capacity and IO of a pool",
    params: z.object({ id: poolIdField }),
    answer: poolShape,
    handle: ({ params }) => poolMetrics(context, params.id),
  });
  addRoute(routes, {
    ...common,
    path: "/volume/{id}",
    summary: "Shows size and IO of a volume",
    params: z.object({ id: volumeIdField }),
    answer: volumeShape,
    handle: ({ params }) => volumeMetrics(context, params.id),
  });
  addRoute(routes, {
    ...common,
    path: "/sds/{id}",
    summary: "Shows capacity and IO of an SDS",
    params: z.object({ id: sdsIdField }),
    answer: sdsShape,
    handle: ({ params }) => sdsMetrics(context, params.id),
  });
  addRoute(routes, {
    ...common,
    path: "/sdc/{id}",
    summary: "Shows mappings and IO of an SDC",
    params: z.object({ id: sdcIdField }),
    answer: sdcShape,
    handle: ({ params }) => sdcMetrics(context, params.id),
  });
}

/** Below `/pool`. */
export function poolMetricsRoutes(context: MdmContext): OpenAPIHono {
  const routes = new OpenAPIHono();
  addRoute(routes, {
    method: "get",
    path: "/{id}/metrics",
    tag,
    summary: "Shows capacity and IO of a pool",
    params: z.object({ id: poolIdField }),
    answer: poolShape,
    refusals: [404],
    handle: ({ params }) => poolMetrics(context, params.id),
  });
  return routes;
}

function poolMetrics(context: MdmContext, poolId: PoolId) {
  const pool = requirePool(context, poolId);
  const { totalBytes, usedBytes, reservedBytes } = poolSpace(context, pool);
  return {
    id: poolId,
    name: pool.name,
    health: HEALTH_WORDS[poolViewOf(context, poolId).health],
    ...capacityJson(totalBytes, usedBytes + reservedBytes),
    used_capacity_gb: gibOfBytes(usedBytes),
    reserved_capacity_gb: gibOfBytes(reservedBytes),
    utilization_percent: percent(usedBytes + reservedBytes, totalBytes),
    ...ioJson(context.metrics.rates(`pool/${poolId}`)),
  };
}

function volumeMetrics(context: MdmContext, volumeId: VolumeId) {
  const volume = requireVolume(context, volumeId);
  return {
    id: volumeId,
    name: volume.name,
    state: stateWord(context, { volume, view: poolViewOf(context, volume.poolId) }),
    size_gb: gibOfBytes(volume.sizeBytes),
    used_capacity_gb: gibOfBytes(volumeUsedBytes(context, volume) ?? 0),
    ...ioJson(context.metrics.rates(`volume/${volumeId}`)),
  };
}

function sdsMetrics(context: MdmContext, sdsId: SdsId) {
  const sds = requireSds(context, sdsId);
  const devices = devicesOfSds(context.db, sdsId);
  const totalBytes = devices.reduce((sum, device) => sum + capacityOf(device), 0);
  const usedBytes = devices.reduce((sum, device) => sum + usedBytesOf(context, device), 0);
  return {
    id: sdsId,
    name: sds.name,
    state: sdsWord(context, sds),
    ...capacityJson(totalBytes, usedBytes),
    ...ioJson(context.metrics.rates(`sds/${sdsId}`)),
  };
}

function sdcMetrics(context: MdmContext, sdcId: SdcId) {
  const sdc = requireSdc(context, sdcId);
  const state = stateWordOf(livenessOfComponent(context, sdc.componentId));
  return {
    id: sdcId,
    name: sdc.name,
    state,
    mapped_volume_count: mappingsOfSdc(context.db, sdcId).length,
    ...ioJson(context.metrics.rates(`sdc/${sdcId}`)),
  };
}

function clusterMetrics(context: MdmContext) {
  const pools = listPools(context.db);
  const volumes = listVolumes(context.db);
  const spaces = pools.map((pool) => poolSpace(context, pool));
  const totalBytes = spaces.reduce((sum, space) => sum + space.totalBytes, 0);
  const usedBytes = spaces.reduce((sum, space) => sum + space.usedBytes + space.reservedBytes, 0);
  const health = registryHealth(context);
  return {
    storage: { ...capacityJson(totalBytes, usedBytes), utilization_percent: percent(usedBytes, totalBytes) },
    volumes: {
      count: volumes.length,
      total_capacity_gb: gibOfBytes(volumes.reduce((sum, volume) => sum + volume.sizeBytes, 0)),
    },
    nodes: {
      sds: listSds(context.db).length,
      sdc: listSdcs(context.db).length,
      protection_domains: listDomains(context.db).length,
      pools: pools.length,
    },
    health: {
      components_total: health.total,
      active: health.active,
      inactive: health.inactive,
      health_percentage: health.score,
    },
  };
}

function timelineOf(context: MdmContext) {
  const points = context.metrics.timeline();
  return {
    interval_seconds: SAMPLE_MS / 1000,
    count: points.length,
    samples: points.map((point) => ({
      timestamp: new Date(point.atMs).toISOString(),
      used_capacity_gb: gibOfBytes(point.usedBytes),
      ...rateJson(point),
    })),
  };
}

function capacityJson(totalBytes: number, usedBytes: number) {
  return {
    total_capacity_gb: gibOfBytes(totalBytes),
    used_capacity_gb: gibOfBytes(usedBytes),
    free_capacity_gb: gibOfBytes(Math.max(0, totalBytes - usedBytes)),
  };
}

function percent(part: number, whole: number): number {
  return whole === 0 ? 0 : Math.round(part * 10_000 / whole) / 100;
}

function rateJson(rates: IoRates) {
  const { readIops, writeIops, readBytesPerSecond, writtenBytesPerSecond } = rates;
  const [readMbps, writeMbps] = [readBytesPerSecond / 1e6, writtenBytesPerSecond / 1e6];
  return {
    iops: readIops + writeIops,
    read_iops: readIops,
    write_iops: writeIops,
    bandwidth_mbps: readMbps + writeMbps,
    read_bandwidth_mbps: readMbps,
    write_bandwidth_mbps: writeMbps,
    latency_ms: rates.latencyMs,
  };
}

function ioJson(rates: IoRates) {
  return { ...rateJson(rates), window_seconds: SAMPLE_MS / 1000 };
}
