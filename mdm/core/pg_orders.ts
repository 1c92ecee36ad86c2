/**
 * What a primary is asked to do with its group, so that members leave without anybody waiting for them (replication design,
 * sections 3.2, 5.5 and 8). The MDM only asks: the primary requests the change, under the epoch it serves.
 *
 * | member | is | order |
 * | --- | --- | --- |
 * | primary | stopping, another one stays | hand over to that one |
 * | secondary | stopping, or its device failed, another one stays | remove it |
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
}

/** How a member is, at one instant. */
export interface OrderFacts {
  /** Its process stops cleanly. */
  isStopping(member: PgMember): boolean;
  hasFailed(deviceId: DeviceId): boolean;
  /** Heard lately under its listed start, its device intact: it could lead. */
  isSound(member: PgMember): boolean;
}

/** The next order for the primary of `pg`; undefined if nobody has to leave. */
export function orderOf(pg: PgRecord, facts: OrderFacts): Order | undefined {
  if (pg.fresh || pg.members.length < 2) return undefined;
  const [primary, ...secondaries] = pg.members;
  const leaves = (member: PgMember) => facts.isStopping(member) || facts.hasFailed(member.deviceId);
  const heir = secondaries.find((member) => !leaves(member) && facts.isSound(member));
  // A primary whose device failed hands over by itself.
  if (facts.hasFailed(primary!.deviceId)) return undefined;
  if (facts.isStopping(primary!)) return heir && { kind: "hand_over", deviceId: heir.deviceId };
  const leaver = secondaries.find(leaves);
  return leaver && { kind: "remove_secondary", deviceId: leaver.deviceId };
}
