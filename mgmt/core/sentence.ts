/**
 * The one sentence that says how the cluster is: cause, effect, what happens about it. The worst thing wins:
 *
 *   groups that nobody serves > groups being taken over > groups that lack a copy > servers away > devices failed > space > all well
 *
 * @module
 */
import type { Overview, OverviewSds, PgCounts } from "@/shared/api/overview.ts";
import {
  allPgs,
  fullnessLevel,
  type Level,
  rebuildProgress,
  type SdsCondition,
  sdsCondition,
} from "@/mgmt/core/condition.ts";
import { counted, formatDuration, formatPercent, listed, numberWord } from "@/mgmt/core/format.ts";

/** How the cluster is. */
export interface Sentence {
  readonly level: Level;
  readonly text: string;
  /** Changes when the meaning changes, not with every second that passes: what screen readers announce. */
  readonly key: string;
}

/** The sentence for `overview`. */
export function clusterSentence(overview: Overview): Sentence {
  const empty = emptySentence(overview);
  if (empty) return empty;
  const pgs = allPgs(overview);
  const away = overview.sdss.filter((sds) => sdsCondition(sds) !== "up");
  const cause = causeOf(overview, away);
  const upCount = overview.sdss.length - away.length;
  const key = away.map((sds) => `${sds.name}=${sdsCondition(sds)}`).join(",");
  if (pgs.unavailable > 0) return unavailableSentence(pgs, { cause, key });
  if (pgs.takingOver > 0) return takeOverSentence(pgs, { cause, key });
  if (pgs.degraded + pgs.joining > 0) return degradedSentence(overview, { cause, key, away });
  const protection = protectionText(overview, pgs);
  if (cause !== undefined) {
    return { level: "warning", text: `${protection}, but ${lowerFirst(cause)}.`, key: `away:${key}` };
  }
  const fullest = fullestPool(overview);
  if (fullest) {
    const share = formatPercent(fullest.rawUsedBytes, fullest.rawCapacityBytes);
    const level = fullnessLevel(fullest.rawUsedBytes, fullest.rawCapacityBytes);
    return {
      level,
      text: `${protection}; pool ${fullest.name} is ${share} full.`,
      key: `full:${fullest.name}:${level}`,
    };
  }
  const servers = `${upCount} of ${counted(overview.sdss.length, "storage server")}`;
  return { level: "ok", text: `${protection}; ${servers} ${upCount === 1 ? "is" : "are"} up.`, key: "ok" };
}

function emptySentence({ pools, sdss, components }: Overview): Sentence | undefined {
  if (sdss.length === 0) {
    const waiting = components.filter((component) => component.componentType === "SDS").length;
    const text = waiting === 0
      ? "The cluster is empty: no storage server has joined yet."
      : `${counted(waiting, "storage server has", "storage servers have")} joined and ` +
        `${waiting === 1 ? "waits" : "wait"} to be added to a protection domain.`;
    return { level: "idle", text, key: `empty:${waiting}` };
  }
  if (pools.length > 0) return undefined;
  const text = `${counted(sdss.length, "storage server is", "storage servers are")} ready, but there is no pool yet.`;
  return { level: "idle", text, key: "no_pool" };
}

function unavailableSentence(pgs: PgCounts, facts: { cause: string | undefined; key: string }): Sentence {
  const effect = `${pgs.unavailable} of ${counted(pgs.total, "group")} cannot be served; ` +
    `reads and writes of ${pgs.unavailable === 1 ? "it" : "them"} wait until a copy is back.`;
  return { level: "critical", text: joined(facts.cause, effect), key: `unavailable:${facts.key}` };
}

function takeOverSentence(
  pgs: PgCounts & { readonly takingOver: number },
  facts: { cause: string | undefined; key: string },
): Sentence {
  const one = pgs.takingOver === 1;
  const effect = `${pgs.takingOver} of ${counted(pgs.total, "group")} ${one ? "is" : "are"} being taken over by ` +
    `${one ? "its" : "their"} other copy; reads and writes of ${one ? "it" : "them"} wait for some seconds.`;
  return { level: "warning", text: joined(facts.cause, effect), key: `taking_over:${facts.key}` };
}

function degradedSentence(
  overview: Overview,
  facts: { cause: string | undefined; key: string; away: readonly OverviewSds[] },
): Sentence {
  const pgs = allPgs(overview);
  const lacking = pgs.degraded + pgs.joining;
  const copies = Math.max(...overview.pools.map((pool) => pool.copies));
  const left = copies === 2 ? "one copy" : `fewer than ${numberWord(copies)} copies`;
  const effect = `${lacking} of ${counted(pgs.total, "group")} ${lacking === 1 ? "has" : "have"} ${left}; ` +
    `${recoveryText(overview, facts.away, lacking)}.`;
  const phase = pgs.joining > 0 ? "rebuilding" : "waiting";
  return { level: "warning", text: joined(facts.cause, effect), key: `degraded:${phase}:${facts.key}` };
}

function recoveryText(overview: Overview, away: readonly OverviewSds[], lacking: number): string {
  const they = lacking === 1 ? "it is" : "they are";
  const progress = rebuildProgress(overview);
  const underWay = progress !== undefined && (progress.joinsRunning > 0 || allPgs(overview).joining > 0);
  // Between two joins of a rebuild none may run; with every server there it goes on at once.
  if (progress && (underWay || (away.length === 0 && progress.groupsDone > 0))) {
    return `${they} being rebuilt, ${formatPercent(progress.groupsDone, progress.groupsTotal)} done`;
  }
  if (away.length === 0) return `${they} about to be rebuilt`;
  return away.length === 1
    ? `${they} rebuilt when it returns, or elsewhere if it stays away`
    : `${they} rebuilt when the servers return, or elsewhere if they stay away`;
}

/** Why something is wrong, as the start of a sentence; undefined when every server and device is well. */
function causeOf(overview: Overview, away: readonly OverviewSds[]): string | undefined {
  const servers = awayCause(away);
  const devices = failedDeviceCause(overview, away);
  if (servers === undefined || devices === undefined) return servers ?? devices;
  return `${servers}, and ${lowerFirst(devices)}`;
}

function awayCause(away: readonly OverviewSds[]): string | undefined {
  const [first, ...others] = away;
  if (first === undefined) return undefined;
  if (others.length === 0) return `SDS ${first.name} ${conditionText(first)}`;
  const conditions = new Set(away.map(sdsCondition));
  const names = listed(away.map((sds) => sds.name));
  const [only] = conditions;
  return conditions.size === 1
    ? `${away.length} storage servers ${PLURAL_CONDITION[only!]} (${names})`
    : `${away.length} storage servers are away (${names})`;
}

const PLURAL_CONDITION: Readonly<Record<SdsCondition, string>> = {
  up: "are up",
  silent: "are silent",
  stopped: "are stopped",
  marked_failed: "are marked as failed",
  never_seen: "have not been seen yet",
};

function conditionText(sds: OverviewSds): string {
  switch (sdsCondition(sds)) {
    case "up":
      return "is up";
    case "silent":
      return `has been silent for ${formatDuration(sds.lastBeatAgeMs ?? 0)}`;
    case "stopped":
      return "is stopped";
    case "marked_failed":
      return "is marked as failed";
    case "never_seen":
      return "has not been seen yet";
  }
}

/** Devices of the servers that are there: what an absent server has is absent with it. */
function failedDeviceCause(overview: Overview, away: readonly OverviewSds[]): string | undefined {
  const failed = overview.sdss.filter((sds) => !away.includes(sds)).flatMap((sds) =>
    sds.devices.filter((device) => device.state === "failed").map((device) => `${device.name} of ${sds.name}`)
  );
  if (failed.length === 0) return undefined;
  return failed.length === 1 ? `Device ${failed[0]} failed` : `${failed.length} devices failed (${listed(failed)})`;
}

function protectionText(overview: Overview, pgs: PgCounts): string {
  if (pgs.total === 0) return "There is no volume yet, so there is nothing to protect";
  const copies = Math.min(...overview.pools.filter((pool) => pool.pgs.total > 0).map((pool) => pool.copies));
  return `All ${counted(pgs.total, "group")} have ${numberWord(copies)} copies`;
}

function fullestPool(overview: Overview): Overview["pools"][number] | undefined {
  return overview.pools
    .filter((pool) => fullnessLevel(pool.rawUsedBytes, pool.rawCapacityBytes) !== "ok")
    .toSorted((a, b) => b.rawUsedBytes / b.rawCapacityBytes - a.rawUsedBytes / a.rawCapacityBytes)[0];
}

function joined(cause: string | undefined, effect: string): string {
  return cause === undefined ? effect : `${cause}: ${effect}`;
}

/** `Device x failed` → `device x failed`; names and abbreviations stay as they are. */
function lowerFirst(text: string): string {
  return /^[A-Z][a-z]/.test(text) ? text.charAt(0).toLowerCase() + text.slice(1) : text;
}
