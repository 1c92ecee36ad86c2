/**
 * Copies that were replaced are deleted on the MDM's explicit order, never because a device is not mentioned somewhere (I18).
 *
 * A copy goes when its group has all copies, every member is heard, and the device is neither a member, nor departed, nor joining.
 * The order carries the next epoch: whatever is a member later has stored at least that, and what joins is kept too (replication
 * design, section 9, row 35).
 *
 * @module
 */
import type { MdmContext } from "@/mdm/context.ts";
import { Facts } from "@/mdm/operations/facts.ts";
import { isSound } from "@/mdm/operations/pg_orders.ts";
import { devicesOfSds, listDevices } from "@/mdm/store/devices.ts";
import { memberPgIds, pgById } from "@/mdm/store/pgs.ts";
import { sdsById } from "@/mdm/store/sds.ts";
import type { PgDrop } from "@/shared/api/sds.ts";
import { asId, type DeviceId, type Epoch, type SdsId } from "@/shared/ids.ts";

/** Time between two looks for copies that were replaced, in ms. */
const LOOK_MS = 2_000;

/** Looks for copies to delete, and tells their SDSs. Gives how many devices hold some. */
export function planDrops(context: MdmContext): number {
  const nowMs = context.clock.monotonicMs();
  if (nowMs - context.live.dropsAtMs < LOOK_MS) return context.live.drops.size;
  context.live.dropsAtMs = nowMs;
  const facts = new Facts(context);
  const drops = new Map<DeviceId, PgDrop[]>();
  for (const device of listDevices(context.db)) {
    const found = facts.isUsable(device) ? dropsOf(context, { deviceId: device.deviceId, facts }) : [];
    if (found.length === 0) continue;
    drops.set(device.deviceId, found);
    const sds = sdsById(context.db, device.sdsId);
    if (sds !== undefined && !context.live.drops.has(device.deviceId)) context.outbox.notice(sds);
  }
  context.live.drops = drops;
  return drops.size;
}

/** Copies that an SDS is to delete: looked at again, since a join of one may have been planned meanwhile. */
export function dropsFor(context: MdmContext, sdsId: SdsId): PgDrop[] {
  if (context.live.drops.size === 0) return [];
  const facts = new Facts(context);
  return devicesOfSds(context.db, sdsId).flatMap(({ deviceId }) => context.live.drops.get(deviceId) ?? [])
    .filter((drop) => mayDrop(context, { drop, facts }));
}

function dropsOf(context: MdmContext, options: { deviceId: DeviceId; facts: Facts }): PgDrop[] {
  const { deviceId, facts } = options;
  const held = new Set(memberPgIds(context.db, deviceId));
  const others = [...context.live.device(deviceId).rows.keys()].filter((pgId) => !held.has(pgId));
  return others.flatMap((pgId) => {
    const pg = pgById(context.db, pgId);
    if (pg === undefined) return [];
    const drop = { deviceId, pgId, belowEpoch: asId<Epoch>(pg.epoch + 1) };
    return mayDrop(context, { drop, facts }) ? [drop] : [];
  });
}

function mayDrop(context: MdmContext, options: { drop: PgDrop; facts: Facts }): boolean {
  const { drop, facts } = options;
  const pg = pgById(context.db, drop.pgId);
  if (pg === undefined || pg.epoch + 1 !== drop.belowEpoch || context.live.refusedPgs.has(pg.pgId)) return false;
  if (pg.fresh || pg.members.length < pg.copies || context.live.joins.get(pg.pgId)?.deviceId === drop.deviceId) {
    return false;
  }
  const isNamed = [...pg.members, ...pg.departed].some((copy) => copy.deviceId === drop.deviceId);
  return !isNamed && pg.members.every((member) => isSound(facts, member));
}
