/**
 * Alerts: conditions that hold now and that somebody should know of. Those of the MDM, and those that follow from its figures.
 *
 * @module
 */
import type { Overview, Severity } from "@/shared/api/overview.ts";
import { allPgs, CLIENT_SILENT_AFTER_MS, fullnessLevel, sdsCondition } from "@/mgmt/core/condition.ts";
import { counted, formatDuration, formatPercent } from "@/mgmt/core/format.ts";

/** One alert. */
export interface Alert {
  /** Stays the same as long as the condition holds. */
  readonly key: string;
  readonly severity: Severity;
  /** What it is about, such as `sds-2`. */
  readonly subject: string;
  readonly message: string;
  /** When the condition began, in ms of MDM time; undefined where it cannot be told. */
  readonly sinceMs: number | undefined;
}

const SEVERITY_ORDER: readonly Severity[] = ["critical", "error", "warning", "info"];

/** All alerts of `overview`, worst first. */
export function alertsOf(overview: Overview): readonly Alert[] {
  const alerts: Alert[] = [
    ...overview.alerts,
    ...groupAlerts(overview),
    ...sdsAlerts(overview),
    ...sdcAlerts(overview),
    ...capacityAlerts(overview),
  ];
  return alerts.toSorted((a, b) => SEVERITY_ORDER.indexOf(a.severity) - SEVERITY_ORDER.indexOf(b.severity));
}

/** How many alerts there are of each severity. */
export function alertCounts(alerts: readonly Alert[]): Readonly<Record<Severity, number>> {
  const counts = { info: 0, warning: 0, error: 0, critical: 0 };
  for (const { severity } of alerts) counts[severity]++;
  return counts;
}

function groupAlerts(overview: Overview): Alert[] {
  const { total, unavailable } = allPgs(overview);
  const alerts: Alert[] = [];
  if (unavailable > 0) {
    alerts.push({
      key: "groups_unavailable",
      severity: "critical",
      subject: overview.clusterName,
      message: `${unavailable} of ${counted(total, "group")} cannot be served: none of their copies answers`,
      sinceMs: undefined,
    });
  }
  for (const pool of overview.pools) {
    const lacking = pool.pgs.degraded + pool.pgs.joining;
    if (lacking === 0) continue;
    alerts.push({
      key: `pool_degraded:${pool.poolId}`,
      severity: "warning",
      subject: pool.name,
      message: `${lacking} of ${
        counted(pool.pgs.total, "group")
      } lack a copy; another failure could make them unavailable`,
      sinceMs: pool.rebuild?.startedAtMs,
    });
  }
  return alerts;
}

function sdsAlerts(overview: Overview): Alert[] {
  return overview.sdss.flatMap((sds) => {
    const alerts: Alert[] = sds.devices.filter((device) => device.state === "failed").map((device) => ({
      key: `device_failed:${device.deviceId}`,
      severity: "error",
      subject: sds.name,
      message: `Device ${device.name} failed: replace it, its copies are made again elsewhere`,
      sinceMs: undefined,
    }));
    const condition = sdsCondition(sds);
    const sinceMs = overview.mdmTimeMs - (sds.lastBeatAgeMs ?? 0);
    if (condition === "silent") {
      alerts.push({
        key: `sds_silent:${sds.sdsId}`,
        severity: sds.state === "down" ? "critical" : "warning",
        subject: sds.name,
        message: `No heartbeat for ${formatDuration(sds.lastBeatAgeMs ?? 0)}: look at ${sds.host}:${sds.mgmtPort}`,
        sinceMs,
      });
    } else if (condition === "stopped") {
      const message = "It was stopped cleanly; its copies are not up to date until it runs again";
      alerts.push({ key: `sds_stopped:${sds.sdsId}`, severity: "warning", subject: sds.name, message, sinceMs });
    }
    return alerts;
  });
}

function sdcAlerts(overview: Overview): Alert[] {
  return overview.sdcs
    .filter((sdc) => sdc.lastBeatAgeMs !== null && sdc.lastBeatAgeMs >= CLIENT_SILENT_AFTER_MS)
    .map((sdc) => ({
      key: `sdc_silent:${sdc.sdcId}`,
      severity: sdc.state === "down" ? "error" : "warning",
      subject: sdc.name,
      message: `No heartbeat for ${formatDuration(sdc.lastBeatAgeMs!)}: applications on it may have lost their volumes`,
      sinceMs: overview.mdmTimeMs - sdc.lastBeatAgeMs!,
    }));
}

function capacityAlerts(overview: Overview): Alert[] {
  return overview.pools.flatMap((pool) => {
    const level = fullnessLevel(pool.rawUsedBytes, pool.rawCapacityBytes);
    if (level === "ok") return [];
    return [{
      key: `pool_full:${pool.poolId}`,
      severity: level,
      subject: pool.name,
      message: `${
        formatPercent(pool.rawUsedBytes, pool.rawCapacityBytes)
      } of its space is used: add a device or a server`,
      sinceMs: undefined,
    }];
  });
}
