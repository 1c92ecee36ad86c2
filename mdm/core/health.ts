/**
 * Words for how things are: of a process by the age of its heartbeat, of a group by its members, of a pool and the cluster by
 * its groups.
 *
 * @module
 */
import type { Liveness } from "@/shared/api/overview.ts";

/** Ages in ms at which a silent process is shown as stale and as down. */
export interface SilenceTimes {
  readonly staleAfterMs: number;
  readonly downAfterMs: number;
}

/** How a process is; `ageMs` is undefined before its first heartbeat. */
export function livenessOf(ageMs: number | undefined, times: SilenceTimes): Liveness {
  if (ageMs === undefined) return "never_seen";
  if (ageMs >= times.downAfterMs) return "down";
  return ageMs >= times.staleAfterMs ? "stale" : "up";
}

/** Word of the predecessor's API for a process. */
export function componentStatusOf(liveness: Liveness): "ACTIVE" | "STALE" | "DOWN" {
  switch (liveness) {
    case "up":
      return "ACTIVE";
    case "stale":
      return "STALE";
    case "down":
    case "never_seen":
      return "DOWN";
  }
}

/** State of an SDS or SDC in the predecessor's API. */
export type StateWord = "UP" | "DEGRADED" | "DOWN";

/** The word of a process: down when silent or absent, degraded when late. */
export function stateWordOf(liveness: Liveness): StateWord {
  if (liveness === "down" || liveness === "never_seen") return "DOWN";
  return liveness === "stale" ? "DEGRADED" : "UP";
}

/** The word of an SDS: degraded also when a device of it failed. */
export function sdsStateOf(liveness: Liveness, options: { hasFailedDevice: boolean }): StateWord {
  const word = stateWordOf(liveness);
  return word === "UP" && options.hasFailedDevice ? "DEGRADED" : word;
}

/** What people see of one group. */
export type PgState = "full" | "degraded" | "joining" | "unavailable";

/**
 * Who serves a group: its primary, heard lately under its listed start; an `heir`, another member that is, and which takes over
 * within seconds; or nobody.
 */
export type PgServer = "primary" | "heir" | "nobody";

/** State of a group. One that is being taken over has lost a copy, and its requests wait that long. */
export function pgStateOf(pg: { memberCount: number; copies: number; server: PgServer; joining: boolean }): PgState {
  if (pg.server === "nobody") return "unavailable";
  if (pg.server === "heir") return "degraded";
  if (pg.memberCount >= pg.copies) return "full";
  return pg.joining ? "joining" : "degraded";
}

/** How many groups are in each state. */
export type PgStateCounts = Readonly<Record<PgState, number>>;

/** Health of a pool. */
export function poolHealthOf(counts: PgStateCounts): "ok" | "degraded" | "failed" {
  if (counts.unavailable > 0) return "failed";
  return counts.degraded > 0 || counts.joining > 0 ? "degraded" : "ok";
}

/** Health of the cluster. */
export function clusterHealthOf(cluster: {
  poolHealths: readonly ("ok" | "degraded" | "failed")[];
  hasDevice: boolean;
  allSdsUp: boolean;
}): "empty" | "healthy" | "degraded" | "critical" {
  if (!cluster.hasDevice) return "empty";
  if (cluster.poolHealths.includes("failed")) return "critical";
  return cluster.poolHealths.includes("degraded") || !cluster.allSdsUp ? "degraded" : "healthy";
}

/** Health of the registry of processes: how they are together, and how many percent are heard. */
export interface RegistryHealth {
  readonly status: "healthy" | "warning" | "degraded" | "critical";
  readonly score: number;
}

/** Overall word and score, 0 to 100, of the registry: healthy with nobody inactive, warning up to half, then degraded. */
export function registryHealthOf(counts: { total: number; active: number }): RegistryHealth {
  if (counts.total === 0) return { status: "healthy", score: 100 };
  const inactive = counts.total - counts.active;
  const score = Math.round(counts.active * 1000 / counts.total) / 10;
  if (inactive === 0) return { status: "healthy", score };
  if (inactive === counts.total) return { status: "critical", score };
  return { status: inactive <= counts.total / 2 ? "warning" : "degraded", score };
}
