/**
 * How the pools are: groups by state, health, bytes. The tallies of the groups are kept until a configuration changes, so that a
 * look at an idle cluster costs next to nothing.
 *
 * @module
 */
import type { MdmContext } from "@/mdm/context.ts";
import { type PgState, type PgStateCounts, pgStateOf, poolHealthOf } from "@/mdm/core/health.ts";
import { capacityOf } from "@/mdm/operations/devices.ts";
import { Facts } from "@/mdm/operations/facts.ts";
import { counterValue } from "@/mdm/store/cluster_config.ts";
import { type DeviceRow, listDevices } from "@/mdm/store/devices.ts";
import { pgById, type PgTally, tallyDevices, tallyPgs } from "@/mdm/store/pgs.ts";
import type { DeviceId, PoolId } from "@/shared/ids.ts";

interface Tallies {
  readonly configVersion: number;
  readonly pgs: readonly PgTally[];
  readonly devices: ReadonlyMap<DeviceId, { readonly pgCount: number; readonly primaryCount: number }>;
}

const cache = new WeakMap<MdmContext, Tallies>();

function tallies(context: MdmContext): Tallies {
  const configVersion = counterValue(context.db, "config_version");
  const known = cache.get(context);
  if (known?.configVersion === configVersion) return known;
  const made = { configVersion, pgs: tallyPgs(context.db), devices: tallyDevices(context.db) };
  cache.set(context, made);
  return made;
}

/** Groups of which a device is a member, and of which it is the primary. */
export function deviceTally(context: MdmContext, deviceId: DeviceId): { pgCount: number; primaryCount: number } {
  return tallies(context).devices.get(deviceId) ?? { pgCount: 0, primaryCount: 0 };
}

/** One pool at this instant. */
export interface PoolView {
  readonly counts: PgStateCounts & { readonly total: number; readonly takingOver: number };
  readonly health: "ok" | "degraded" | "failed";
  readonly devices: readonly DeviceRow[];
  readonly rawCapacityBytes: number;
  readonly rawUsedBytes: number;
}

/** Bytes used on a device, as it reported last. */
export function usedBytesOf(context: MdmContext, device: DeviceRow): number {
  return context.live.device(device.deviceId).usedBytes || device.usedBytes;
}

/** Views of the pools that have devices or groups, by pool. */
export function poolViews(context: MdmContext): Map<PoolId, PoolView> {
  const facts = new Facts(context);
  const devices = listDevices(context.db);
  const counts = new Map<PoolId, Record<PgState | "total" | "takingOver", number>>();
  const joining = joiningCounts(context);
  for (const tally of tallies(context).pgs) {
    const own = counts.get(tally.poolId) ?? { ...EMPTY };
    counts.set(tally.poolId, own);
    own.total += tally.count;
    const server = facts.serverOf(tally.members);
    if (server === "heir") own.takingOver += tally.count;
    const memberCount = tally.copies - tally.missingCopies;
    own[pgStateOf({ memberCount, copies: tally.copies, server, joining: false })] += tally.count;
  }
  for (const [poolId, own] of counts) {
    const moved = Math.min(joining.get(poolId) ?? 0, own.degraded);
    own.joining += moved;
    own.degraded -= moved;
  }
  const poolIds = new Set([...counts.keys(), ...devices.flatMap((device) => device.poolId ?? [])]);
  return new Map([...poolIds].map((poolId) => {
    const own = counts.get(poolId) ?? EMPTY;
    const held = devices.filter((device) => device.poolId === poolId);
    const working = held.filter((device) => device.state === "active");
    return [poolId, {
      counts: own,
      health: poolHealthOf(own),
      devices: held,
      rawCapacityBytes: working.reduce((sum, device) => sum + capacityOf(device), 0),
      rawUsedBytes: working.reduce((sum, device) => sum + usedBytesOf(context, device), 0),
    }];
  }));
}

/** A pool without devices and groups. */
const EMPTY = { full: 0, degraded: 0, joining: 0, unavailable: 0, total: 0, takingOver: 0 };
export const EMPTY_POOL: PoolView = { counts: EMPTY, health: "ok", devices: [], rawCapacityBytes: 0, rawUsedBytes: 0 };

/** Running joins by pool. */
export function joiningCounts(context: MdmContext): Map<PoolId, number> {
  const counts = new Map<PoolId, number>();
  for (const join of context.live.joins.all()) {
    const poolId = pgById(context.db, join.pgId)?.poolId;
    if (poolId !== undefined) counts.set(poolId, (counts.get(poolId) ?? 0) + 1);
  }
  return counts;
}
