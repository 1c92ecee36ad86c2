/**
 * Which member of a group that nobody serves goes on alone (replication design, section 3.9).
 *
 * A candidate is a member of the current configuration that registered with a new start, an intact device and a complete copy.
 *
 * - *Continuous*: the host was not restarted and its files are synced, or the last process stopped cleanly under the listed
 *   start. It has every acknowledged write. It is activated as soon as every member has registered a newer start whose lock
 *   proves the old process dead; else `graceMs` after its registration; the only member at once.
 * - *Discontinuous*: unflushed writes may be gone. It waits up to `coldWaitMs` for somebody better, as long as there may be one,
 *   and then raises the loss generation.
 *
 * Two restarted members are never compared and merged in place.
 *
 * @module
 */
import type { PgMember } from "@/shared/api/pg.ts";
import { withMembers } from "@/mdm/core/pg_changes.ts";
import type { PgRecord } from "@/mdm/core/placement_groups.ts";
import type { DeviceId } from "@/shared/ids.ts";

/** A newer start of a member's device than the listed one. */
export interface RestartFacts {
  /** The device under its newest start. */
  readonly member: PgMember;
  /** Time since this start registered, in ms. */
  readonly registeredForMs: number;
  /** The lock of the superblock, or an operator, says that the listed process is gone. */
  readonly provesDeath: boolean;
  /** The listed process stopped cleanly. */
  readonly stoppedCleanly: boolean;
  /** The start-up sync of the device's files succeeded. */
  readonly synced: boolean;
  /** The device is readable and was heard lately. */
  readonly usable: boolean;
  /** Its copy of this group is complete; under a fresh configuration a missing one counts. */
  readonly complete: boolean;
}

/** What is known of one member. */
export interface MemberFacts {
  /** False: its device failed. */
  readonly healthy: boolean;
  /** Time since it was heard under its listed start, or since the MDM started, in ms. */
  readonly silentMs: number;
  readonly restart: RestartFacts | undefined;
}

/** The times of the rule, in ms. */
export interface ActivationTimes {
  readonly memberHeardMs: number;
  readonly graceMs: number;
  readonly coldWaitMs: number;
}

/** Who goes on, or what is waited for. */
export type ActivationDecision =
  | { readonly kind: "activate"; readonly member: PgMember; readonly unflushedLost: boolean }
  | { readonly kind: "wait"; readonly reason: WaitReason };
export type WaitReason = "a_member_lives" | "no_candidate" | "grace" | "cold_wait" | "confirmation";

/** Decides for one group; `facts` has an entry for every member. */
export function activationOf(
  pg: PgRecord,
  options: { facts: ReadonlyMap<DeviceId, MemberFacts>; times: ActivationTimes },
): ActivationDecision {
  const { times } = options;
  const members = pg.members.map((listed) => ({ listed, facts: options.facts.get(listed.deviceId) ?? UNKNOWN }));
  const lives = members.some(({ facts }) =>
    facts.healthy && facts.restart === undefined && facts.silentMs < times.memberHeardMs
  );
  if (lives) return { kind: "wait", reason: "a_member_lives" };
  const candidates = members.flatMap(({ listed, facts }) => {
    const restart = facts.restart;
    if (!facts.healthy || !restart?.usable || !restart.complete) return [];
    return [{ listed, restart, continuous: isContinuous(listed, restart) }];
  });
  const best = candidates.find((candidate) => candidate.continuous) ?? candidates[0];
  if (best === undefined) return { kind: "wait", reason: "no_candidate" };
  const alone = members.length === 1;
  const allStopped = members.every(({ facts }) => !facts.healthy || facts.restart?.provesDeath === true);
  if (!allStopped) {
    if (alone) return { kind: "wait", reason: "confirmation" };
    if (best.restart.registeredForMs < times.graceMs) return { kind: "wait", reason: "grace" };
  }
  if (!best.continuous && best.restart.registeredForMs < times.coldWaitMs) {
    const mayImprove = members.some(({ listed, facts }) => facts.healthy && mayBeContinuous(listed, facts.restart));
    if (mayImprove) return { kind: "wait", reason: "cold_wait" };
  }
  return { kind: "activate", member: best.restart.member, unflushedLost: !best.continuous };
}

/** `pg` with `member` alone, one epoch later; the others depart. */
export function afterActivation(
  pg: PgRecord,
  options: {
    member: PgMember;
    unflushedLost: boolean;
    facts: { mdmTerm: number; nowMs: number; hasFailed(deviceId: DeviceId): boolean };
  },
): PgRecord {
  const next = withMembers(pg, { members: [options.member], facts: options.facts });
  return { ...next, lossGeneration: pg.lossGeneration + (options.unflushedLost ? 1 : 0) };
}

/** Nothing is known of the member since the MDM started. */
const UNKNOWN: MemberFacts = { healthy: true, silentMs: Number.POSITIVE_INFINITY, restart: undefined };

/** True while a better candidate than a discontinuous one may still come of the member. */
function mayBeContinuous(listed: PgMember, restart: RestartFacts | undefined): boolean {
  return restart === undefined || (isContinuous(listed, restart) && !restart.usable);
}

function isContinuous(listed: PgMember, restart: RestartFacts): boolean {
  return (listed.bootId === restart.member.bootId && restart.synced) || restart.stoppedCleanly;
}
