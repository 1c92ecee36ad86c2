/**
 * Which copy is made next, and how (replication design, sections 3.8 and 3.10): who joins a group that lacks a copy, by delta or
 * in full, within the limits per SDS and the pace per pool.
 *
 * A join is for one epoch. When the epoch changes, whatever was planned is void and is decided anew.
 *
 * @module
 */
import type { PlacementDevice } from "@/mdm/core/placement.ts";
import { replacementFor } from "@/mdm/core/placement.ts";
import type { PgRecord } from "@/mdm/core/placement_groups.ts";
import type { DeviceId, SdsId } from "@/shared/ids.ts";

export type JoinMode = "delta" | "full";

/** A device that could join, at this instant. */
export interface JoinDevice extends PlacementDevice {
  readonly sdsId: SdsId;
  /** Registered, heard within {@linkcode JOINER_HEARD_BEATS}, not stopping, not failed. */
  readonly usable: boolean;
  /** When its newest start was heard last (MDM time, ms). */
  readonly heardAtMs: number;
  /** Copies are placed on it: it is neither out nor to be emptied. */
  readonly takesPart: boolean;
  /** Below the mark from which no new copy is begun on it. */
  readonly hasRoom: boolean;
  /** It returned too often of late: no join before this time (MDM time, ms). */
  readonly notBeforeMs: number;
}

/** A device that was not heard for this many beats is given no copy: its process may be gone already. */
export const JOINER_HEARD_BEATS = 1.5;

/** What the choice rests on. */
export interface JoinerFacts {
  readonly nowMs: number;
  readonly outAfterMs: number;
  /** Devices of the group's pool by id. */
  readonly devices: ReadonlyMap<DeviceId, JoinDevice>;
  /** Copies per device now, running joins included. */
  readonly counts: ReadonlyMap<DeviceId, number>;
  /** True if the device reported a row for the group: it still has the copy. */
  hasCopy(deviceId: DeviceId): boolean;
}

/** Who joins. `wait`: a copy that departed lately may come back, or nobody is there to join. */
export type JoinerDecision =
  | { readonly kind: "join"; readonly deviceId: DeviceId; readonly mode: JoinMode }
  | { readonly kind: "wait"; readonly reason: "departed_may_return" | "no_device" };

/**
 * The next joiner of `pg`, which has fewer members than copies. A departed copy returns when its process was heard since: what
 * was heard before says nothing of a process that has just died.
 */
export function joinerOf(pg: PgRecord, facts: JoinerFacts): JoinerDecision {
  const returning = pg.departed
    .filter((row) => {
      const device = facts.devices.get(row.deviceId);
      return device?.usable === true && device.heardAtMs >= row.sinceMs;
    })
    .toSorted((a, b) => b.lastEpoch - a.lastEpoch);
  const memberUnits = new Set(pg.members.map((member) => facts.devices.get(member.deviceId)?.failureUnit));
  for (const row of returning) {
    const device = facts.devices.get(row.deviceId)!;
    if (device.notBeforeMs > facts.nowMs || memberUnits.has(device.failureUnit)) continue;
    return { kind: "join", deviceId: row.deviceId, mode: facts.hasCopy(row.deviceId) ? "delta" : "full" };
  }
  const mayReturn = pg.departed.some((row) =>
    facts.nowMs - row.sinceMs < facts.outAfterMs && facts.devices.get(row.deviceId)?.takesPart === true
  );
  if (mayReturn) return { kind: "wait", reason: "departed_may_return" };
  const members = pg.members.flatMap((member) => facts.devices.get(member.deviceId) ?? []);
  // A member whose device is unknown here could share its failure unit with anybody.
  if (members.length < pg.members.length) return { kind: "wait", reason: "no_device" };
  const free = [...facts.devices.values()].filter((device) => mayTakeCopy(device, facts));
  const placed = pg.target.map((deviceId) => free.find((device) => device.deviceId === deviceId))
    .find((device) => device !== undefined && !memberUnits.has(device.failureUnit));
  if (placed !== undefined) return { kind: "join", deviceId: placed.deviceId, mode: "full" };
  const chosen = replacementFor(pg.pgId, { members, devices: free, counts: facts.counts });
  return chosen === undefined
    ? { kind: "wait", reason: "no_device" }
    : { kind: "join", deviceId: chosen.deviceId, mode: "full" };
}

/**
 * Who joins a group that has all its copies, because it has its place there and a member has not: the first such device of the
 * target. A failure unit may hold two copies for the time of a move, if one of them is the one that goes.
 */
export function moverOf(pg: PgRecord, facts: JoinerFacts): JoinerDecision {
  const isMember = (deviceId: DeviceId) => pg.members.some((member) => member.deviceId === deviceId);
  const stays = pg.members.filter((member) => pg.target.includes(member.deviceId));
  const units = new Set(stays.map((member) => facts.devices.get(member.deviceId)?.failureUnit));
  for (const deviceId of pg.target) {
    const device = facts.devices.get(deviceId);
    if (isMember(deviceId) || device === undefined || !mayTakeCopy(device, facts)) continue;
    if (!units.has(device.failureUnit)) return { kind: "join", deviceId, mode: "full" };
  }
  return { kind: "wait", reason: "no_device" };
}

function mayTakeCopy(device: JoinDevice, facts: JoinerFacts): boolean {
  return device.usable && device.takesPart && device.hasRoom && device.notBeforeMs <= facts.nowMs;
}

/**
 * How urgent a copy is (replication design, section 8): 1 one copy is left, 2 below target, 3 a member must leave its device,
 * 4 balance.
 */
export type JoinClass = 1 | 2 | 3 | 4;

/** Class of the next join of `pg`. */
export function joinClassOf(pg: PgRecord, facts: Pick<JoinerFacts, "devices">): JoinClass {
  if (pg.members.length < pg.copies) return pg.members.length === 1 ? 1 : 2;
  return pg.members.some((member) => facts.devices.get(member.deviceId)?.takesPart !== true) ? 3 : 4;
}

/** How many joins one SDS takes part in, by direction and mode. */
export interface JoinLoad {
  readonly fullIn: number;
  readonly fullOut: number;
  readonly deltaIn: number;
  readonly deltaOut: number;
}
export const NO_LOAD: JoinLoad = { fullIn: 0, fullOut: 0, deltaIn: 0, deltaOut: 0 };

/** Most joins at a time per SDS and direction. */
export interface JoinLimits {
  readonly fullPerSds: number;
  readonly deltaPerSds: number;
}

/** Running joins by SDS; grows as joins are planned. */
export class JoinLoads {
  readonly #loads = new Map<SdsId, JoinLoad>();

  /** True if one more join from `from` to `to` stays within `limits`. */
  admits(join: { from: SdsId; to: SdsId; mode: JoinMode }, limits: JoinLimits): boolean {
    const from = this.#loads.get(join.from) ?? NO_LOAD;
    const to = this.#loads.get(join.to) ?? NO_LOAD;
    if (join.mode === "full") return from.fullOut < limits.fullPerSds && to.fullIn < limits.fullPerSds;
    return from.deltaOut < limits.deltaPerSds && to.deltaIn < limits.deltaPerSds;
  }

  add(join: { from: SdsId; to: SdsId; mode: JoinMode }): void {
    const from = this.#loads.get(join.from) ?? NO_LOAD;
    this.#loads.set(
      join.from,
      join.mode === "full" ? { ...from, fullOut: from.fullOut + 1 } : { ...from, deltaOut: from.deltaOut + 1 },
    );
    const to = this.#loads.get(join.to) ?? NO_LOAD;
    this.#loads.set(
      join.to,
      join.mode === "full" ? { ...to, fullIn: to.fullIn + 1 } : { ...to, deltaIn: to.deltaIn + 1 },
    );
  }
}

/** Returns within this time before now count as flapping, in ms. */
export const FLAPPING_WINDOW_MS = 3_600_000;
/** Unplanned returns that join at once. */
export const FREE_RETURNS = 2;

/**
 * Time from which a device may join again after its unplanned departures (MDM times in ms, oldest first): the first two within an
 * hour at once, then each doubles the wait; an hour of good conduct forgets them.
 */
export function joinNotBefore(
  departuresMs: readonly number[],
  options: { nowMs: number; backoffMinMs: number; backoffMaxMs: number },
): number {
  const recent = departuresMs.filter((atMs) => options.nowMs - atMs < FLAPPING_WINDOW_MS);
  const last = recent.at(-1);
  if (last === undefined || recent.length <= FREE_RETURNS) return 0;
  const doublings = Math.min(recent.length - FREE_RETURNS - 1, 16);
  return last + Math.min(options.backoffMinMs * 2 ** doublings, options.backoffMaxMs);
}

/** Joins that a pool may begin now, so that maps are not invalidated in storms. */
export interface StartBudget {
  readonly left: number;
  /** Monotonic, in ms. */
  readonly atMs: number;
}

/** What `budget` has become at `nowMs`: it grows by `perSecond` up to half a second's worth, with which it begins. */
export function refilled(
  budget: StartBudget | undefined,
  options: { readonly nowMs: number; readonly perSecond: number },
): StartBudget {
  const { nowMs, perSecond } = options;
  const most = Math.max(1, perSecond / 2);
  const left = budget === undefined ? most : budget.left + (nowMs - budget.atMs) * perSecond / 1000;
  return { left: Math.min(most, left), atMs: nowMs };
}
