/**
 * Which devices hold which placement groups (replication design, section 2.2): weighted rendezvous hashing, no two copies in one
 * failure unit (I17), then balance of copies and of primaries, with as little movement as that needs.
 *
 * @module
 */
import { assert } from "@/shared/errors.ts";
import type { DeviceId, PgId } from "@/shared/ids.ts";
import { deviceScore } from "@/shared/placement.ts";

/** A device that may hold copies. */
export interface PlacementDevice {
  readonly deviceId: DeviceId;
  /** Devices of equal text fail together: fault set or SDS. */
  readonly failureUnit: string;
  /** Usable capacity; 0 takes none. */
  readonly weight: number;
}

/** Devices of one group, the primary first. */
export type Target = readonly DeviceId[];

/** A device above this part of its share gives groups away. */
export const SHARE_TOLERANCE = 1.1;

/** What is placed on what. */
export interface PlacementRequest {
  readonly pgIds: readonly PgId[];
  readonly devices: readonly PlacementDevice[];
  readonly copies: number;
  /** The placement so far: kept but for what the devices of today require. */
  readonly current?: ReadonlyMap<PgId, Target>;
}

/** A target for each group, with fewer than `copies` devices when there are fewer failure units. */
export function placeGroups(request: PlacementRequest): Map<PgId, Target> {
  const usable = request.devices.filter((device) => device.weight > 0);
  const devices = new Map(usable.map((device) => [device.deviceId, device]));
  const shares = sharesOf(usable, { pgCount: request.pgIds.length, copies: request.copies });
  const scores = new ScoreCache();
  const held = new Set(request.current === undefined ? devices.keys() : [...request.current.values()].flat());
  const added = new Set([...devices.keys()].filter((deviceId) => !held.has(deviceId)));
  const work: Work = { scores, added, devices, shares, counts: new Map(), primaries: new Map(), targets: new Map() };
  for (const pgId of request.pgIds) {
    const kept = (request.current?.get(pgId) ?? []).filter((deviceId) => devices.has(deviceId));
    work.targets.set(pgId, filledTarget(pgId, { kept, devices: usable, copies: request.copies, scores }));
  }
  recount(work);
  letNewDevicesWin(work);
  balanceCopies(work);
  balancePrimaries(work);
  return work.targets;
}

/**
 * The device that makes the missing copy of one group: the best scored below its share, else the emptiest; undefined if no
 * failure unit is free.
 */
export function replacementFor(
  pgId: PgId,
  options: {
    members: readonly PlacementDevice[];
    devices: readonly PlacementDevice[];
    /** Copies per device now. */
    counts: ReadonlyMap<DeviceId, number>;
  },
): PlacementDevice | undefined {
  const taken = new Set(options.members.map((member) => member.failureUnit));
  const admissible = options.devices.filter((device) => device.weight > 0 && !taken.has(device.failureUnit));
  if (admissible.length === 0) return undefined;
  const count = (device: PlacementDevice) => options.counts.get(device.deviceId) ?? 0;
  const weights = admissible.reduce((sum, device) => sum + device.weight, 0);
  const copies = admissible.reduce((sum, device) => sum + count(device), 0) + 1;
  const within = admissible.filter((device) => count(device) < (copies * device.weight / weights) * SHARE_TOLERANCE);
  if (within.length > 0) return bestFirst(pgId, { devices: within, scores: new ScoreCache() })[0];
  return admissible.reduce((least, device) =>
    count(device) / device.weight < count(least) / least.weight ? device : least
  );
}

/** Copies that each device should hold, as a fraction: by weight, but at most one copy of a group per failure unit. */
export function sharesOf(
  devices: readonly PlacementDevice[],
  options: { pgCount: number; copies: number },
): Map<DeviceId, number> {
  const unitWeights = new Map<string, number>();
  for (const device of devices) {
    unitWeights.set(device.failureUnit, (unitWeights.get(device.failureUnit) ?? 0) + device.weight);
  }
  const unitShares = new Map<string, number>();
  const open = new Map(unitWeights);
  let left = options.pgCount * Math.min(options.copies, unitWeights.size);
  // A unit that would hold more than one copy of a group is capped, and the rest is shared out again.
  for (let capped = true; capped;) {
    capped = false;
    const weights = [...open.values()].reduce((sum, weight) => sum + weight, 0);
    for (const [unit, weight] of open) {
      if (left * weight / weights <= options.pgCount) continue;
      unitShares.set(unit, options.pgCount);
      open.delete(unit);
      left -= options.pgCount;
      capped = true;
      break;
    }
    if (!capped) { for (const [unit, weight] of open) unitShares.set(unit, left * weight / weights); }
  }
  return new Map(devices.map((device) => {
    const ofUnit = device.weight / unitWeights.get(device.failureUnit)!;
    return [device.deviceId, unitShares.get(device.failureUnit)! * ofUnit];
  }));
}

/** Scores that were computed once: balancing looks at the same ones again and again. */
class ScoreCache {
  readonly #scores = new Map<DeviceId, Map<PgId, number>>();

  of(pgId: PgId, device: PlacementDevice): number {
    let own = this.#scores.get(device.deviceId);
    if (own === undefined) this.#scores.set(device.deviceId, own = new Map());
    let score = own.get(pgId);
    if (score === undefined) own.set(pgId, score = deviceScore(pgId, device));
    return score;
  }
}

interface Work {
  readonly scores: ScoreCache;
  /** Devices that no current target names. */
  readonly added: ReadonlySet<DeviceId>;
  readonly devices: ReadonlyMap<DeviceId, PlacementDevice>;
  readonly shares: ReadonlyMap<DeviceId, number>;
  readonly counts: Map<DeviceId, number>;
  readonly primaries: Map<DeviceId, number>;
  readonly targets: Map<PgId, Target>;
}

function bestFirst(
  pgId: PgId,
  options: { devices: readonly PlacementDevice[]; scores: ScoreCache },
): PlacementDevice[] {
  return options.devices.map((device) => ({ device, score: options.scores.of(pgId, device) }))
    .sort((a, b) => b.score - a.score || a.device.deviceId - b.device.deviceId)
    .map(({ device }) => device);
}

function filledTarget(
  pgId: PgId,
  options: { kept: readonly DeviceId[]; devices: readonly PlacementDevice[]; copies: number; scores: ScoreCache },
): Target {
  const unitOf = new Map(options.devices.map((device) => [device.deviceId, device.failureUnit]));
  const units = new Set<string>();
  const target: DeviceId[] = [];
  // Two that were placed apart share a unit when fault sets have changed: the first stays.
  for (const deviceId of options.kept.slice(0, options.copies)) {
    const unit = unitOf.get(deviceId)!;
    if (units.has(unit)) continue;
    units.add(unit);
    target.push(deviceId);
  }
  for (const device of bestFirst(pgId, options)) {
    if (target.length >= options.copies) break;
    if (units.has(device.failureUnit)) continue;
    units.add(device.failureUnit);
    target.push(device.deviceId);
  }
  return target;
}

function recount(work: Work): void {
  for (const deviceId of work.devices.keys()) {
    work.counts.set(deviceId, 0);
    work.primaries.set(deviceId, 0);
  }
  for (const target of work.targets.values()) {
    for (const deviceId of target) add(work.counts, deviceId, 1);
    if (target[0] !== undefined) add(work.primaries, target[0], 1);
  }
}

/** Gives a device that is new in this placement the groups in which it beats a holder, up to its share. */
function letNewDevicesWin(work: Work): void {
  for (const addedId of work.added) {
    const device = work.devices.get(addedId)!;
    const won = [...work.targets].flatMap(([pgId, target]) => {
      const loser = weakestHolder(work, { pgId, target, device });
      return loser === undefined ? [] : [{ pgId, ...loser }];
    }).sort((a, b) => b.gain - a.gain || a.pgId - b.pgId);
    for (const { pgId, deviceId } of won) {
      if (work.counts.get(device.deviceId)! + 1 > work.shares.get(device.deviceId)!) break;
      replace(work, { pgId, from: deviceId, to: device.deviceId });
    }
  }
}

/** The holder of a group that `device` beats by most and may replace without sharing a failure unit with another. */
function weakestHolder(
  work: Work,
  options: { pgId: PgId; target: Target; device: PlacementDevice },
): { deviceId: DeviceId; gain: number } | undefined {
  const { pgId, target, device } = options;
  const own = work.scores.of(pgId, device);
  let weakest: { deviceId: DeviceId; gain: number } | undefined;
  for (const deviceId of target) {
    if (!isAdmissible(work, { target, from: deviceId, to: device.deviceId })) continue;
    const gain = own - work.scores.of(pgId, work.devices.get(deviceId)!);
    if (gain > 0 && (weakest === undefined || gain > weakest.gain)) weakest = { deviceId, gain };
  }
  return weakest;
}

function isAdmissible(work: Work, move: { target: Target; from: DeviceId; to: DeviceId }): boolean {
  const unit = work.devices.get(move.to)!.failureUnit;
  return move.target.every((deviceId) =>
    deviceId !== move.to && (deviceId === move.from || work.devices.get(deviceId)!.failureUnit !== unit)
  );
}

function replace(work: Work, move: { pgId: PgId; from: DeviceId; to: DeviceId }): void {
  const target = work.targets.get(move.pgId)!;
  assert(isAdmissible(work, { target, ...move }), "no two members of a group share a failure unit (I17)");
  work.targets.set(move.pgId, target.map((deviceId) => deviceId === move.from ? move.to : deviceId));
  add(work.counts, move.from, -1);
  add(work.counts, move.to, 1);
  if (target[0] === move.from) {
    add(work.primaries, move.from, -1);
    add(work.primaries, move.to, 1);
  }
}

/** Moves one group at a time from a device above its tolerance to the emptiest that may take it. */
function balanceCopies(work: Work): void {
  const load = (deviceId: DeviceId, extra = 0) => (work.counts.get(deviceId)! + extra) / work.shares.get(deviceId)!;
  // What has to move goes to a device that was added, as long as it is below its share: the others keep what they have.
  const rank = (deviceId: DeviceId) => work.added.has(deviceId) && load(deviceId) < 1 ? 0 : 1;
  for (;;) {
    const byLoad = [...work.devices.keys()].sort((a, b) => rank(a) - rank(b) || load(a) - load(b) || a - b);
    const move = byLoad.toReversed().filter((from) => load(from) > SHARE_TOLERANCE).map((from) => {
      for (const to of byLoad) {
        if (load(to, 1) >= load(from)) continue;
        const pgId = bestMove(work, { from, to });
        if (pgId !== undefined) return { pgId, from, to };
      }
      return undefined;
    }).find((found) => found !== undefined);
    if (move === undefined) return;
    replace(work, move);
  }
}

/** The group of `from` in which `to` scores highest. */
function bestMove(work: Work, move: { from: DeviceId; to: DeviceId }): PgId | undefined {
  const device = work.devices.get(move.to)!;
  let best: { pgId: PgId; score: number } | undefined;
  for (const [pgId, target] of work.targets) {
    if (!target.includes(move.from) || !isAdmissible(work, { target, ...move })) continue;
    const score = work.scores.of(pgId, device);
    if (best === undefined || score > best.score) best = { pgId, score };
  }
  return best?.pgId;
}

/** Swaps the order within groups until no device is primary of more than its tolerance; no data moves. */
function balancePrimaries(work: Work): void {
  const shareSum = [...work.shares.values()].reduce((sum, share) => sum + share, 0);
  const load = (deviceId: DeviceId, extra = 0) =>
    (work.primaries.get(deviceId)! + extra) * shareSum / (work.shares.get(deviceId)! * work.targets.size);
  for (;;) {
    const fullest = [...work.devices.keys()].sort((a, b) => load(b) - load(a) || a - b);
    let swap: { pgId: PgId; to: DeviceId } | undefined;
    for (const from of fullest) {
      if (load(from) <= SHARE_TOLERANCE) break;
      for (const [pgId, target] of work.targets) {
        if (target[0] !== from) continue;
        for (const to of target.slice(1)) {
          if (load(to, 1) < load(from) && (swap === undefined || load(to) < load(swap.to))) swap = { pgId, to };
        }
      }
      if (swap !== undefined) break;
    }
    if (swap === undefined) return;
    const { pgId, to } = swap;
    const target = work.targets.get(pgId)!;
    add(work.primaries, target[0]!, -1);
    add(work.primaries, to, 1);
    work.targets.set(pgId, [to, ...target.filter((deviceId) => deviceId !== to)]);
  }
}

function add(counts: Map<DeviceId, number>, deviceId: DeviceId, delta: number): void {
  counts.set(deviceId, (counts.get(deviceId) ?? 0) + delta);
}
