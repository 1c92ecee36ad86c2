/**
 * Times of the cluster's protocols as settings (defaults in `shared/constants.ts`). All processes of a cluster get the same
 * ones: a lease that one SDS counts shorter than its peers would end too early for them.
 *
 * @module
 */
import { CLOCK_RATE_ERROR, TIMES } from "@/shared/constants.ts";
import { duration, type Setting } from "@/shared/settings/declare.ts";

/** Name of one time. */
export type TimeName = keyof typeof TIMES;

/** All times, in milliseconds. */
export type Times = Readonly<Record<TimeName, number>>;

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

interface TimeLimits {
  readonly about: string;
  readonly min: number;
  readonly max: number;
}

const LIMITS: Readonly<Record<TimeName, TimeLimits>> = {
  heartbeatMs: { about: "Time between two heartbeats of a pair of SDSs.", min: 10, max: 60_000 },
  leaseMs: { about: "How long a primary may serve after it last heard from a secondary.", min: 50, max: 600_000 },
  graceMs: { about: "How long a secondary waits for a silent primary before it takes over.", min: 100, max: HOUR_MS },
  replicationTimeoutMs: {
    about: "How long a primary waits for a secondary's answer before it has it removed.",
    min: 100,
    max: 600_000,
  },
  linkRetryMs: { about: "Time between two attempts to open a replication link.", min: 10, max: 60_000 },
  sdsHeartbeatMs: { about: "Time between two heartbeats of an SDS to the MDM.", min: 50, max: 60_000 },
  sdcHeartbeatMs: { about: "Time between two heartbeats of an SDC to the MDM.", min: 50, max: 600_000 },
  staleAfterMs: { about: "Silence after which a component is shown as STALE.", min: 1_000, max: DAY_MS },
  downAfterMs: { about: "Silence after which a component is shown as DOWN.", min: 1_000, max: DAY_MS },
  outAfterMs: {
    about: "Silence of an SDS after which its copies are made again elsewhere.",
    min: 1_000,
    max: 30 * DAY_MS,
  },
  coldWaitMs: {
    about: "How long a group waits for all its stopped members before it starts with one of them.",
    min: 0,
    max: DAY_MS,
  },
  tokenTtlMs: { about: "Life of an IO token.", min: 1_000, max: HOUR_MS },
  tokenRenewMs: { about: "Age at which an SDC renews its session token.", min: 500, max: HOUR_MS },
  mdmOutageGraceMs: {
    about: "How long tokens stay valid at an SDS that does not reach the MDM, counted from their last contact.",
    min: 0,
    max: DAY_MS,
  },
  mdmSilentMs: { about: "Silence of the MDM after which an SDS takes it for away.", min: 500, max: HOUR_MS },
  memberHeardMs: {
    about: "A member that the MDM heard within this time counts as alive when a group is started.",
    min: 500,
    max: HOUR_MS,
  },
  ioGiveUpMs: {
    about: "How long an SDC resends a request before it fails it; 0 = for ever.",
    min: 0,
    max: 30 * DAY_MS,
  },
  intentClearMs: { about: "Time between two rounds that clear write intents.", min: 100, max: HOUR_MS },
  flushTimeoutMs: { about: "How long a flush may take before the device counts as failed.", min: 1_000, max: HOUR_MS },
  stopMs: { about: "How long a clean stop hands over, drains and syncs before it closes.", min: 100, max: 600_000 },
  joinBackoffMinMs: { about: "First wait after a failed join.", min: 100, max: HOUR_MS },
  joinBackoffMaxMs: { about: "Longest wait after failed joins.", min: 100, max: DAY_MS },
};

/** `outAfterMs` → `POWERFLEX_OUT_AFTER_MS`. */
export function timeVariable(name: TimeName): string {
  return `POWERFLEX_${name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

function timeSettings(): Readonly<Record<TimeName, Setting<number>>> {
  const settings: Partial<Record<TimeName, Setting<number>>> = {};
  for (const [name, limits] of Object.entries(LIMITS) as [TimeName, TimeLimits][]) {
    settings[name] = duration(timeVariable(name), { ...limits, fallback: TIMES[name] });
  }
  return settings as Record<TimeName, Setting<number>>; // LIMITS has every name, by its type
}

/** One setting per time. */
export const TIME_SETTINGS = timeSettings();

/** What is wrong between the times, one sentence each, naming the settings, their values and what to change. */
export function timeProblems(times: Times): string[] {
  const shown = (name: TimeName) => `${timeVariable(name)} (${times[name]} ms)`;
  const problems: string[] = [];
  const leaseOverMs = times.leaseMs * (1 + CLOCK_RATE_ERROR) / (1 - CLOCK_RATE_ERROR);
  if (times.graceMs < leaseOverMs + times.leaseMs / 3) {
    problems.push(
      `${shown("graceMs")} must exceed ${
        shown("leaseMs")
      } by at least a third and 2 %, so that a primary's lease is over ` +
        `before another takes over: raise the first`,
    );
  }
  const orders: readonly [TimeName, number, TimeName, string][] = [
    ["leaseMs", 3, "heartbeatMs", "two lost heartbeats must not end a lease"],
    ["staleAfterMs", 2, "sdsHeartbeatMs", "one lost heartbeat must not make an SDS stale"],
    ["staleAfterMs", 2, "sdcHeartbeatMs", "one lost heartbeat must not make an SDC stale"],
    ["downAfterMs", 1, "staleAfterMs", "a component is stale before it is down"],
    ["outAfterMs", 1, "staleAfterMs", "a component is stale before its copies are made again"],
    ["tokenTtlMs", 1.5, "tokenRenewMs", "a token must be renewed well before it expires"],
    ["mdmSilentMs", 2, "sdsHeartbeatMs", "one lost heartbeat must not make the MDM count as away"],
    ["joinBackoffMaxMs", 1, "joinBackoffMinMs", "waits grow from the first to the longest"],
  ];
  for (const [larger, factor, smaller, reason] of orders) {
    if (times[larger] < factor * times[smaller]) {
      const multiple = factor === 1 ? "" : `${factor} times `;
      problems.push(`${shown(larger)} must be at least ${multiple}${shown(smaller)}: ${reason}`);
    }
  }
  return problems;
}
