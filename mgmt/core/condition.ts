/**
 * What is wrong with single parts of the cluster, and the words for it. Everything that judges (the sentence, the alerts, the
 * badges in tables) judges by these functions, so that pages never contradict one another.
 *
 * @module
 */
import type { Liveness, Overview, OverviewDevice, OverviewPool, OverviewSds, PgCounts } from "@/shared/api/overview.ts";
import { TIMES } from "@/shared/constants.ts";
import { formatDuration } from "@/mgmt/core/format.ts";

/** How good or bad something is. `idle`: nothing to judge. `unknown`: no figures. */
export type Level = "ok" | "warning" | "critical" | "idle" | "unknown";

/** A word for people, with its level: colour and icon follow the level. */
export interface Badge {
  readonly level: Level;
  readonly word: string;
}

/** Silence of an SDS after which people are told: three of its beats. */
export const SDS_SILENT_AFTER_MS = 3 * TIMES.sdsHeartbeatMs;
/** Used share of a pool or device, in percent, from which people are told. */
export const FULL_WARNING_PERCENT = 80;
/** Used share in percent from which it is urgent. */
export const FULL_CRITICAL_PERCENT = 95;

/** What an SDS is doing, as far as heartbeats tell. */
export type SdsCondition = "up" | "silent" | "stopped" | "marked_failed" | "never_seen";

/** The condition of `sds`. */
export function sdsCondition(sds: OverviewSds): SdsCondition {
  if (sds.markedFailed) return "marked_failed";
  if (sds.lastBeatAgeMs === null || sds.state === "never_seen") return "never_seen";
  if (sds.stopping) return "stopped";
  return sds.state !== "up" || sds.lastBeatAgeMs >= SDS_SILENT_AFTER_MS ? "silent" : "up";
}

/** Badge of an SDS. */
export function sdsBadge(sds: OverviewSds): Badge {
  switch (sdsCondition(sds)) {
    case "up":
      return sds.devices.some((device) => device.state === "failed")
        ? { level: "warning", word: "Up, device failed" }
        : { level: "ok", word: "Up" };
    case "silent": {
      const word = `Silent for ${formatDuration(sds.lastBeatAgeMs ?? 0)}`;
      return { level: sds.state === "up" || sds.state === "stale" ? "warning" : "critical", word };
    }
    case "stopped":
      return { level: "warning", word: "Stopped" };
    case "marked_failed":
      return { level: "critical", word: "Marked failed" };
    case "never_seen":
      return { level: "idle", word: "Not seen yet" };
  }
}

/** Badge of a process that beats each 10 s, or of any process in the registry. */
export function livenessBadge(state: Liveness): Badge {
  switch (state) {
    case "up":
      return { level: "ok", word: "Up" };
    case "stale":
      return { level: "warning", word: "Stale" };
    case "down":
      return { level: "critical", word: "Down" };
    case "never_seen":
      return { level: "idle", word: "Not seen yet" };
  }
}

const LIVENESS_WORDS: Readonly<Record<Liveness, string>> = {
  up: "ACTIVE",
  stale: "STALE",
  down: "DOWN",
  never_seen: "DOWN",
};

/** A process's state in the predecessor's words. */
export function livenessWord(state: Liveness): string {
  return LIVENESS_WORDS[state];
}

/** Badge of a pool. */
export function poolBadge(pool: OverviewPool): Badge {
  if (pool.health === "failed") return { level: "critical", word: "Not served in part" };
  if (pool.health === "degraded") return { level: "warning", word: pool.pgs.joining > 0 ? "Rebuilding" : "Degraded" };
  if (pool.pgs.total === 0) return { level: "idle", word: "Empty" };
  return { level: "ok", word: "OK" };
}

/** Badge of a volume. */
export function volumeBadge(state: Overview["volumes"][number]["state"]): Badge {
  switch (state) {
    case "available":
      return { level: "idle", word: "Not mapped" };
    case "in_use":
      return { level: "ok", word: "In use" };
    case "degraded":
      return { level: "warning", word: "Copy missing" };
    case "unavailable":
      return { level: "critical", word: "Not served in part" };
    case "creating":
      return { level: "idle", word: "Being created" };
    case "deleting":
      return { level: "idle", word: "Being deleted" };
  }
}

/** Badge of a device. */
export function deviceBadge(device: OverviewDevice): Badge {
  if (device.state === "failed") return { level: "critical", word: "Failed" };
  if (device.state === "new") return { level: "idle", word: "New" };
  const fullness = fullnessLevel(device.usedBytes, device.capacityBytes);
  return fullness === "ok" ? { level: "ok", word: "Active" } : { level: fullness, word: "Nearly full" };
}

/** Level of a used share. */
export function fullnessLevel(usedBytes: number, capacityBytes: number): "ok" | "warning" | "critical" {
  if (capacityBytes <= 0) return "ok";
  const percent = usedBytes / capacityBytes * 100;
  if (percent >= FULL_CRITICAL_PERCENT) return "critical";
  return percent >= FULL_WARNING_PERCENT ? "warning" : "ok";
}

/** Groups of all pools together. */
export function allPgs(overview: Overview): PgCounts & { readonly takingOver: number } {
  const sum = { total: 0, full: 0, degraded: 0, joining: 0, unavailable: 0, takingOver: 0 };
  for (const { pgs } of overview.pools) {
    sum.total += pgs.total;
    sum.full += pgs.full;
    sum.degraded += pgs.degraded;
    sum.joining += pgs.joining;
    sum.unavailable += pgs.unavailable;
    sum.takingOver += pgs.takingOver ?? 0;
  }
  return sum;
}

/** How far the rebuilds of all pools have come, in groups; undefined when nothing lacks a copy. */
export function rebuildProgress(overview: Overview): RebuildProgress | undefined {
  const pools = overview.pools.filter((pool) => pool.rebuild !== null);
  if (pools.length === 0) return undefined;
  const progress = { groupsTotal: 0, groupsDone: 0, joinsRunning: 0, bytesCopied: 0, startedAtMs: Infinity };
  for (const { pgs, rebuild } of pools) {
    const lacking = pgs.degraded + pgs.joining + pgs.unavailable;
    // A reading between two of the MDM's own notes may show more than the noted peak.
    const groupsTotal = Math.max(rebuild!.groupsTotal, lacking);
    progress.groupsTotal += groupsTotal;
    progress.groupsDone += groupsTotal - lacking;
    progress.joinsRunning += rebuild!.joinsRunning;
    progress.bytesCopied += rebuild!.bytesCopied;
    progress.startedAtMs = Math.min(progress.startedAtMs, rebuild!.startedAtMs);
  }
  return progress;
}

/** Rebuilds of all pools together. */
export interface RebuildProgress {
  readonly groupsTotal: number;
  readonly groupsDone: number;
  readonly joinsRunning: number;
  readonly bytesCopied: number;
  readonly startedAtMs: number;
}
