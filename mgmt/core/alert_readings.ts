/**
 * The figures that alert rules look at, taken from what the MDM says of the cluster.
 *
 * @module
 */
import type { Overview, OverviewPool, OverviewSds } from "@/shared/api/overview.ts";
import { counted, formatPercent, listed } from "@/mgmt/core/format.ts";
import type { Metric, Reading } from "@/mgmt/core/alert_rules.ts";
import { type RateTable, volumeKey } from "@/mgmt/core/rates.ts";

/** How long each pool's rebuild has not moved; see {@linkcode withRebuildProgress}. */
export type RebuildIdle = ReadonlyMap<
  number,
  { readonly bytesCopied: number; readonly lacking: number; readonly sinceMs: number }
>;

/** Every figure of `overview` that a rule may ask for. */
export function readingsOf(
  overview: Overview,
  { rates, rebuildIdle }: { readonly rates: RateTable; readonly rebuildIdle: RebuildIdle },
): Reading[] {
  return [
    ...overview.sdss.flatMap(sdsReadings),
    ...overview.sdcs.filter((sdc) => sdc.lastBeatAgeMs !== null).map((sdc): Reading => ({
      sourceType: "SDC",
      sourceId: sdc.sdcId,
      sourceName: sdc.name,
      metric: "heartbeat_age_seconds",
      value: sdc.lastBeatAgeMs! / 1000,
      message:
        `Its heartbeats stopped: applications on it may have lost their volumes. Look at ${sdc.host}:${sdc.mgmtPort}`,
    })),
    ...overview.pools.flatMap((pool) => poolReadings(pool, { overview, rebuildIdle })),
    ...volumeReadings(overview, rates),
  ];
}

function sdsReadings(sds: OverviewSds): Reading[] {
  const reading = (metric: Metric, value: number, message: string): Reading => ({
    sourceType: "SDS",
    sourceId: sds.sdsId,
    sourceName: sds.name,
    metric,
    value,
    message,
  });
  const failed = sds.devices.filter((device) => device.state === "failed").map((device) => device.name);
  const readings = [
    reading(
      "failed_devices",
      failed.length,
      `${failed.length === 1 ? "Device" : "Devices"} ${listed(failed)} failed: replace ${
        failed.length === 1 ? "it, its" : "them, their"
      } copies are made again elsewhere`,
    ),
  ];
  if (sds.lastBeatAgeMs === null) return readings;
  const ageSeconds = sds.lastBeatAgeMs / 1000;
  const stopped = "It was stopped cleanly; its copies are not up to date until it runs again";
  const silent = `Its heartbeats stopped: look at ${sds.host}:${sds.mgmtPort}`;
  readings.push(reading("heartbeat_age_seconds", ageSeconds, sds.stopping ? stopped : silent));
  if (sds.stopping) readings.push(reading("stopped_seconds", ageSeconds, stopped));
  return readings;
}

function poolReadings(
  pool: OverviewPool,
  { overview, rebuildIdle }: { readonly overview: Overview; readonly rebuildIdle: RebuildIdle },
): Reading[] {
  const reading = (metric: Metric, value: number, message: string): Reading => ({
    sourceType: "POOL",
    sourceId: pool.poolId,
    sourceName: pool.name,
    metric,
    value,
    message,
  });
  const { total, degraded, joining, unavailable } = pool.pgs;
  const groups = counted(total, "group");
  const idle = rebuildIdle.get(pool.poolId);
  const used = pool.rawCapacityBytes <= 0 ? 0 : pool.rawUsedBytes / pool.rawCapacityBytes * 100;
  const share = formatPercent(pool.rawUsedBytes, pool.rawCapacityBytes);
  return [
    reading("capacity_used_percent", used, `${share} of its space is used: add a device or a server`),
    reading(
      "groups_lacking_copies",
      degraded + joining,
      `${degraded + joining} of ${groups} lack a copy; another failure could make them unavailable`,
    ),
    reading(
      "groups_unavailable",
      unavailable,
      `${unavailable} of ${groups} cannot be served: none of their copies answers`,
    ),
    reading(
      "rebuild_idle_seconds",
      idle && pool.rebuild && pool.rebuild.joinsRunning > 0 ? (overview.mdmTimeMs - idle.sinceMs) / 1000 : 0,
      "Its rebuild does not move: look at the servers that take part in it",
    ),
  ];
}

function volumeReadings({ volumes }: Overview, rates: RateTable): Reading[] {
  return volumes.flatMap(({ volumeId, name }) => {
    const rate = rates.get(volumeKey(volumeId));
    if (!rate) return [];
    const requests = rate.readsPerSecond + rate.writesPerSecond + rate.errorsPerSecond;
    const percent = requests === 0 ? 0 : rate.errorsPerSecond / requests * 100;
    return [{
      sourceType: "VOLUME" as const,
      sourceId: volumeId,
      sourceName: name,
      metric: "io_error_rate_percent" as const,
      value: percent,
      message: `${percent.toFixed(1)} % of its requests fail: look at the client's /io/errors and at its pool`,
    }];
  });
}

/** `idle` after another look: what moved begins to count anew, what needs no rebuild any more is forgotten. */
export function withRebuildProgress(idle: RebuildIdle, { pools, mdmTimeMs }: Overview): RebuildIdle {
  const next = new Map<number, { bytesCopied: number; lacking: number; sinceMs: number }>();
  for (const { poolId, pgs, rebuild } of pools) {
    if (!rebuild) continue;
    const lacking = pgs.degraded + pgs.joining + pgs.unavailable;
    const before = idle.get(poolId);
    const stands = before?.bytesCopied === rebuild.bytesCopied && before.lacking === lacking;
    next.set(poolId, { bytesCopied: rebuild.bytesCopied, lacking, sinceMs: stands ? before.sinceMs : mdmTimeMs });
  }
  return next;
}
