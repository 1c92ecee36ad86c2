/**
 * Rounds of kill -9 on random processes of a demo under one load that knows every byte. The load goes on over all rounds, those that
 * kill everything included: its requests are sent again until they are answered, and its mirror stays exact.
 *
 * @module
 */
import { SeededRandom } from "@/tests/sim/seeded_random.ts";
import type { FaultCluster } from "@/tests/support/fault_cluster.ts";
import type { VerifiedLoad } from "@/tests/support/verified_load.ts";

/** What a round kills. `supervisor`: every process and the supervisor with them. */
export type KillKind = "sds" | "sdc" | "mdm" | "mgmt" | "two sds" | "sds and mdm" | "all sds" | "supervisor";

/** One round, as it went. */
export interface KillRound {
  readonly kind: KillKind;
  readonly names: readonly string[];
  /** Longest time that a request took from the kill until the cluster was whole again. */
  readonly stallMs: number;
}

/** How often each kind comes, of their sum. */
const WEIGHTS: Readonly<Record<KillKind, number>> = {
  "sds": 8,
  "sdc": 3,
  "mdm": 3,
  "mgmt": 1,
  "two sds": 2,
  "sds and mdm": 2,
  "all sds": 1,
  "supervisor": 1,
};
/** Kills of one SDS, or of none: what the time of a failover is promised for. */
const FAILOVERS: readonly KillKind[] = ["sds", "mdm", "mgmt"];
const HEALTHY_MS_MAX = 120_000;
/** The load goes on for this long after the kill, at most twice of it, before the cluster is asked. */
const AFTER_MS = 1000;

/** Settings under which an SDS that is killed over and over returns at once, as one that is killed twice an hour does. */
export const RETURN_AT_ONCE = { POWERFLEX_JOIN_BACKOFF_MIN_MS: "100", POWERFLEX_JOIN_BACKOFF_MAX_MS: "1000" };

/** Kills as round `index` of `seed` says, waits until all is whole, and checks a flush. @throws what the load met. */
export async function killRound(
  cluster: FaultCluster,
  options: { readonly load: VerifiedLoad; readonly seed: string; readonly index: number },
): Promise<KillRound> {
  const { load } = options;
  const random = new SeededRandom(`${options.seed}/${options.index}`);
  const kind = random.weighted(WEIGHTS);
  const names = namesOf(kind, { cluster, random });
  await load.runFor(random.integer(0, 500));
  load.takeLongestMs();
  if (kind === "supervisor") {
    await cluster.killAll();
    await cluster.start();
  } else {
    const before = names.map((name) => cluster.pidOf(name));
    await Promise.all(names.map((name) => cluster.kill(name)));
    await Promise.all(names.map((name, index) => cluster.restarted(name, before[index]!)));
  }
  await load.runFor(AFTER_MS + random.integer(0, AFTER_MS));
  await cluster.healthy(HEALTHY_MS_MAX);
  await load.flush();
  return { kind, names, stallMs: load.takeLongestMs() };
}

function namesOf(kind: KillKind, options: { cluster: FaultCluster; random: SeededRandom }): string[] {
  const { cluster, random } = options;
  const sds = cluster.state.sds.map(({ name }) => ({ name, order: random.fraction() }))
    .sort((a, b) => a.order - b.order).map(({ name }) => name);
  switch (kind) {
    case "sds":
      return sds.slice(0, 1);
    case "two sds":
      return sds.slice(0, 2);
    case "all sds":
      return sds;
    case "sds and mdm":
      return [...sds.slice(0, 1), "mdm"];
    case "sdc":
      return ["sdc-1"];
    case "mdm":
    case "mgmt":
      return [kind];
    case "supervisor":
      return cluster.names();
  }
}

/** Middle, 99th hundredth and largest of the stalls of failovers, in ms, and the largest of the other rounds. */
export interface StallFigures {
  readonly failovers: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly others: number;
  readonly othersMaxMs: number;
}

/** Figures of `rounds`. */
export function stallFigures(rounds: readonly KillRound[]): StallFigures {
  const stalls = (isFailover: boolean) =>
    rounds.filter(({ kind }) => FAILOVERS.includes(kind) === isFailover).map(({ stallMs }) => stallMs)
      .sort((a, b) => a - b);
  const failovers = stalls(true);
  const others = stalls(false);
  return {
    failovers: failovers.length,
    p50Ms: percentile(failovers, 0.5),
    p99Ms: percentile(failovers, 0.99),
    maxMs: failovers.at(-1) ?? 0,
    others: others.length,
    othersMaxMs: others.at(-1) ?? 0,
  };
}

/** The value of ascending `sorted` that `fraction` of them do not exceed; 0 of none. */
export function percentile(sorted: readonly number[], fraction: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * fraction) - 1)] ?? 0;
}
