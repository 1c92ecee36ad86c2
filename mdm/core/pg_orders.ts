/**
 * What a primary is asked to do with its group, so that members leave without anybody waiting for them (replication design,
 * sections 3.2, 5.5 and 8). The MDM only asks: the primary requests the change, under the epoch it serves.
 *
 * | member | is | order |
 * | --- | --- | --- |
 * | primary | leaving (stopping, or failed by an operator), another one stays | hand over to that one |
 * | secondary | leaving, or its device failed, another one stays | remove it |
 * | secondary | superfluous: the group has all copies without it | remove it |
 * | primary | superfluous | hand over, then it is a secondary |
 * | primary | not the first of the target, which is a member | hand over to that one; paced |
 *
 * @module
 */
import type { PgMember } from "@/shared/api/pg.ts";
import type { PgRecord } from "@/mdm/core/placement_groups.ts";
import type { DeviceId } from "@/shared/ids.ts";

/** An order without the group's name. */
export interface Order {
  readonly kind: "hand_over" | "remove_secondary";
  readonly deviceId: DeviceId;
  /** It only evens out: it may wait for its turn. */
  readonly paced: boolean;
}

/** How a member is, at one instant. */
export interface OrderFacts {
  /** Its process stops cleanly, or an operator declared its SDS failed. */
  isLeaving(member: PgMember): boolean;
  hasFailed(deviceId: DeviceId): boolean;
  /** Heard lately under its listed start, its device intact: it could lead. */
  isSound(member: PgMember): boolean;
}

/** The next order for the primary of `pg`; undefined if everything is as it should be, or nothing can be done now. */
export function orderOf(pg: PgRecord, facts: OrderFacts): Order | undefined {
  if (pg.fresh || pg.members.length < 2) return undefined;
  const [primary, ...secondaries] = pg.members;
  // A primary whose device failed hands over by itself.
  if (facts.hasFailed(primary!.deviceId)) return undefined;
  const leaves = (member: PgMember) => facts.isLeaving(member) || facts.hasFailed(member.deviceId);
  const heir = secondaries.find((member) => !leaves(member) && facts.isSound(member));
  if (facts.isLeaving(primary!)) return heir && handOver(heir);
  const leaver = secondaries.find(leaves);
  if (leaver !== undefined) return removal(leaver);
  // What evens out needs everybody: otherwise the copy that is good would go for one that is about to.
  if (!pg.members.every((member) => facts.isSound(member))) return undefined;
  return orderTowardsTarget(pg);
}

function orderTowardsTarget(pg: PgRecord): Order | undefined {
  const { members, target } = pg;
  const placed = members.filter((member) => target.includes(member.deviceId));
  if (members.length > pg.copies) {
    const superfluous = members.slice(1).find((member) => !placed.includes(member));
    if (superfluous !== undefined) return removal(superfluous);
    return placed[0] === members[0] ? removal(members.at(-1)!) : handOver(placed[0]!);
  }
  if (placed.length < members.length || members[0]!.deviceId === target[0]) return undefined;
  const first = members.find((member) => member.deviceId === target[0]);
  return first && { ...handOver(first), paced: true };
}

function handOver(heir: PgMember): Order {
  return { kind: "hand_over", deviceId: heir.deviceId, paced: false };
}

function removal(member: PgMember): Order {
  return { kind: "remove_secondary", deviceId: member.deviceId, paced: false };
}
