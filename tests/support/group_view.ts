/**
 * What an MDM says of the groups of a real cluster, for tests that harm it.
 *
 * @module
 */
import { z } from "zod";
import { sleep, systemClock } from "@/shared/clock.ts";

const groupSchema = z.object({
  pg_id: z.number(),
  epoch: z.number(),
  copies: z.number(),
  loss_generation: z.number(),
  state: z.enum(["full", "degraded", "down"]),
  members: z.array(z.object({ sds_name: z.string() })),
  join: z.object({ mode: z.enum(["delta", "full"]), sds_name: z.string() }).nullable(),
});
/** A placement group as the MDM shows it. */
export type GroupView = z.output<typeof groupSchema>;

const healthSchema = z.object({ health: z.string() });

const POLL_MS = 100;
const CALL_MS_MAX = 5000;

/** Where an MDM answers, and as whom it is asked. */
export interface MdmAddress {
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** All groups. @throws {Error} without an answer. */
export async function groupsOf(mdm: MdmAddress): Promise<GroupView[]> {
  return z.array(groupSchema).parse(await ask(mdm, "/api/v1/pgs"));
}

/** The cluster's health in one word. @throws {Error} without an answer. */
export async function healthOf(mdm: MdmAddress): Promise<string> {
  return healthSchema.parse(await ask(mdm, "/api/v1/overview")).health;
}

/** The SDS that is primary of most groups. */
export async function busiestOf(mdm: MdmAddress): Promise<string> {
  const counts = new Map<string, number>();
  for (const { members } of await groupsOf(mdm)) {
    const name = members[0]!.sds_name;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts].sort(([, a], [, b]) => b - a)[0]![0];
}

/** Milliseconds until every group has all its copies and the MDM says healthy. @throws {Error} after `limitMs`. */
export async function untilHealthy(mdm: MdmAddress, limitMs: number): Promise<number> {
  let last = "the MDM did not answer";
  return await until({ limitMs, problem: () => `After ${limitMs} ms ${last}` }, async () => {
    const groups = await groupsOf(mdm);
    const health = await healthOf(mdm);
    last = `the cluster is ${health}: ${summaryOf(groups)}`;
    return health === "healthy" && groups.every(({ state }) => state === "full");
  });
}

/** Milliseconds until `isSo` says so; its errors count as no. @throws {Error} with `problem()` after `limitMs`. */
export async function until(
  { limitMs, problem }: { readonly limitMs: number; readonly problem: () => string },
  isSo: () => Promise<boolean>,
): Promise<number> {
  const startedMs = systemClock.monotonicMs();
  while (systemClock.monotonicMs() - startedMs < limitMs) {
    if (await isSo().catch(() => false)) return Math.round(systemClock.monotonicMs() - startedMs);
    await sleep(systemClock, POLL_MS);
  }
  throw new Error(problem());
}

async function ask({ url, headers = {} }: MdmAddress, path: string): Promise<unknown> {
  const answer = await fetch(url + path, { headers: { ...headers }, signal: AbortSignal.timeout(CALL_MS_MAX) });
  return await answer.json();
}

function summaryOf(groups: readonly GroupView[]): string {
  const states = new Map<string, number>();
  for (const { state, join } of groups) {
    const word = join ? `${state}, joining by ${join.mode}` : state;
    states.set(word, (states.get(word) ?? 0) + 1);
  }
  return [...states].map(([word, count]) => `${count} ${word}`).join(", ");
}
