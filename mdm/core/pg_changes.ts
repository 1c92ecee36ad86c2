/**
 * Changes of one placement group's configuration (replication design, section 3.2). A member asks; the MDM decides here and
 * commits before it answers. But for `activate` (`activation.ts`) it never changes a configuration on its own timeout.
 *
 *   full ── remove_secondary, take_over ──► degraded ── add_member ──► full
 *
 * Every change raises the epoch, which fences whoever still acts under the old one. A request may be lost, repeated or late: the
 * guard makes that harmless, and a refusal carries the current configuration.
 *
 * | change | guard besides the epoch | new members | departed rows |
 * | --- | --- | --- | --- |
 * | remove_secondary | asker is members[0], the other is a member | without the other | the other |
 * | take_over | asker is another member | asker alone | all others |
 * | add_member | asker is members[0]; joiner registered, in a failure unit of its own, generations acknowledged; beyond full only towards the target | with the joiner | none of the joiner; none at all when full |
 * | hand_over, drained | asker is members[0], the other is a member | the same, the other first | as they were |
 * | hand_over, undrained | as above; the asker's device may have failed | the other alone | all others |
 * | bump | asker is members[0] | the same | as they were |
 *
 * Undrained, a write may have reached one secondary and not another: only the next primary stays, as after a take_over.
 *
 * @module
 */
import type { PgChange, PgMember } from "@/shared/api/pg.ts";
import type { DepartedCopy, PgRecord } from "@/mdm/core/placement_groups.ts";
import { unreachable } from "@/shared/errors.ts";
import { asId, type DeviceId, type Epoch, type Incarnation, sameIncarnation } from "@/shared/ids.ts";

/** The device on whose behalf a change is asked for. */
export interface Asker {
  readonly deviceId: DeviceId;
  readonly incarnation: Incarnation;
}

/** What the MDM knows beside the group itself, at the instant of the decision. */
export interface ChangeFacts {
  readonly mdmTerm: number;
  /** MDM time, in ms. */
  readonly nowMs: number;
  /** Newest registered start of a device; undefined if it never registered. */
  registeredIncarnation(deviceId: DeviceId): Incarnation | undefined;
  /** True for a device whose data never serves again (I22). */
  hasFailed(deviceId: DeviceId): boolean;
  /** Devices of equal text fail together (2.2). */
  failureUnit(deviceId: DeviceId): string;
  /** The joiner as a member, if it is registered. */
  memberOf(deviceId: DeviceId): PgMember | undefined;
  /** True if the device's SDS enforces all current mapping generations (6.4). */
  hasAcknowledgedMappings(deviceId: DeviceId): boolean;
}

/** Why a guard failed. */
export type ChangeRefusal =
  | "stale_epoch"
  | "not_primary"
  | "not_secondary"
  | "stale_incarnation"
  | "device_failed"
  | "not_a_member"
  | "already_a_member"
  | "group_is_full"
  | "joiner_not_registered"
  | "joiner_incarnation"
  | "same_failure_unit";

/** The next record, or why there is none. `not_yet`: the same request may succeed later. */
export type ChangeDecision =
  | { readonly kind: "changed"; readonly next: PgRecord }
  | { readonly kind: "refused"; readonly reason: ChangeRefusal }
  | { readonly kind: "not_yet"; readonly reason: "mapping_generations" };

/** The answer to `change`, asked for by `asker`. */
export function afterChange(
  pg: PgRecord,
  request: { change: PgChange; asker: Asker; facts: ChangeFacts },
): ChangeDecision {
  const { change, asker, facts } = request;
  if (change.epoch !== pg.epoch) return refused("stale_epoch");
  const problem = askerProblem(pg, { change, asker, facts });
  if (problem !== undefined) return refused(problem);
  switch (change.kind) {
    case "remove_secondary": {
      const gone = pg.members.slice(1).find((member) => member.deviceId === change.deviceId);
      if (gone === undefined) return refused("not_a_member");
      return changed(pg, { members: pg.members.filter((member) => member !== gone), facts });
    }
    case "take_over":
      return changed(pg, { members: pg.members.filter((member) => member.deviceId === asker.deviceId), facts });
    case "add_member":
      return afterAddMember(pg, { joiner: change.joiner, facts });
    case "hand_over": {
      const next = pg.members.slice(1).find((member) => member.deviceId === change.deviceId);
      if (next === undefined) return refused("not_a_member");
      const others = change.drained ? pg.members.filter((member) => member !== next) : [];
      return changed(pg, { members: [next, ...others], facts });
    }
    case "bump":
      return changed(pg, { members: pg.members, facts });
    default:
      return unreachable(change);
  }
}

/**
 * `pg` one epoch later with `members`: whoever left departs, unless its device failed; the rows of members are dropped, and all
 * rows once the group is full.
 */
export function withMembers(
  pg: PgRecord,
  next: { members: readonly PgMember[]; facts: Pick<ChangeFacts, "mdmTerm" | "nowMs" | "hasFailed"> },
): PgRecord {
  const { members, facts } = next;
  const stays = new Set(members.map((member) => member.deviceId));
  const left = pg.members.filter((member) => !stays.has(member.deviceId));
  const rows: DepartedCopy[] = [
    ...pg.departed,
    ...left.map((member) => ({ deviceId: member.deviceId, lastEpoch: pg.epoch, sinceMs: facts.nowMs })),
  ];
  const departed = members.length >= pg.copies
    ? []
    : rows.filter((row) => !stays.has(row.deviceId) && !facts.hasFailed(row.deviceId));
  return { ...pg, epoch: asId<Epoch>(pg.epoch + 1), mdmTerm: facts.mdmTerm, members, departed };
}

function askerProblem(
  pg: PgRecord,
  request: { change: PgChange; asker: Asker; facts: ChangeFacts },
): ChangeRefusal | undefined {
  const { change, asker, facts } = request;
  const index = pg.members.findIndex((member) =>
    member.deviceId === asker.deviceId && sameIncarnation(member.incarnation, asker.incarnation)
  );
  if (change.kind === "take_over") {
    if (index < 1) return "not_secondary";
  } else if (index !== 0) return "not_primary";
  // A request of a process that a newer start has replaced: nobody would serve what it asks for.
  const registered = facts.registeredIncarnation(asker.deviceId);
  if (registered === undefined || !sameIncarnation(registered, asker.incarnation)) return "stale_incarnation";
  const leaves = change.kind === "hand_over" && !change.drained;
  return facts.hasFailed(asker.deviceId) && !leaves ? "device_failed" : undefined;
}

function afterAddMember(
  pg: PgRecord,
  request: { joiner: { deviceId: DeviceId; incarnation: Incarnation }; facts: ChangeFacts },
): ChangeDecision {
  const { joiner, facts } = request;
  if (pg.members.some((member) => member.deviceId === joiner.deviceId)) return refused("already_a_member");
  // One more than that while the group moves: the joiner has its place in it, and somebody else has not.
  const moves = pg.members.length === pg.copies && pg.target.includes(joiner.deviceId);
  if (pg.members.length >= pg.copies && !moves) return refused("group_is_full");
  if (facts.hasFailed(joiner.deviceId)) return refused("device_failed");
  const member = facts.memberOf(joiner.deviceId);
  if (member === undefined) return refused("joiner_not_registered");
  if (!sameIncarnation(member.incarnation, joiner.incarnation)) return refused("joiner_incarnation");
  const unit = facts.failureUnit(joiner.deviceId);
  // I17: but for a member that the joiner replaces.
  const neighbours = pg.members.filter((other) => facts.failureUnit(other.deviceId) === unit);
  if (neighbours.some(({ deviceId }) => !moves || pg.target.includes(deviceId))) return refused("same_failure_unit");
  if (!facts.hasAcknowledgedMappings(joiner.deviceId)) return { kind: "not_yet", reason: "mapping_generations" };
  return changed(pg, { members: [...pg.members, member], facts });
}

function changed(pg: PgRecord, next: { members: readonly PgMember[]; facts: ChangeFacts }): ChangeDecision {
  return { kind: "changed", next: withMembers(pg, next) };
}

function refused(reason: ChangeRefusal): ChangeDecision {
  return { kind: "refused", reason };
}
