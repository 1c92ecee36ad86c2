/**
 * Where copies should be (replication design, section 2.2): which devices take part, and the target of every group, computed anew
 * when that changes. Who turns targets into configurations: `joins.ts` and `pg_orders.ts`.
 *
 * | device | takes part |
 * | --- | --- |
 * | registered and heard within `outAfterMs` | yes |
 * | failed, or silent for longer | no: it is *out*; when it is heard again it is in |
 * | of an SDS that an operator declared failed, or removes | no |
 *
 * @module
 */
import { type MdmContext, recordEvent } from "@/mdm/context.ts";
import type { PgRecord } from "@/mdm/core/placement_groups.ts";
import { placeGroups, type PlacementDevice, type Target } from "@/mdm/core/placement.ts";
import { Facts } from "@/mdm/operations/facts.ts";
import { placementOf } from "@/mdm/operations/pgs.ts";
import { type DeviceRow, devicesOfPool, listDevices, setDevicePlacement } from "@/mdm/store/devices.ts";
import { pgsOfPool, setTarget } from "@/mdm/store/pgs.ts";
import { listPools, type PoolRow } from "@/mdm/store/pools.ts";
import { sdsById } from "@/mdm/store/sds.ts";
import type { DeviceId } from "@/shared/ids.ts";

/** Computes the targets of the pools whose devices changed. Gives how many groups got another one. */
export function planTargets(context: MdmContext): number {
  noteWhoIsOut(context);
  let changed = 0;
  for (const pool of listPools(context.db)) {
    if (pool.pgCount === null) continue;
    const devices = placeable(context, pool);
    const key = JSON.stringify([pool.copies, devices]);
    if (context.live.targetKeys.get(pool.poolId) === key) continue;
    changed += retarget(context, { pool, devices });
    context.live.targetKeys.set(pool.poolId, key);
  }
  return changed;
}

/** True if copies are placed on the device. */
export function takesPart(context: MdmContext, device: DeviceRow): boolean {
  return device.state === "active" && device.start !== undefined && device.placement === "in" &&
    sdsById(context.db, device.sdsId)?.service === "in";
}

function noteWhoIsOut(context: MdmContext): void {
  const facts = new Facts(context);
  for (const device of listDevices(context.db)) {
    if (device.start === undefined) continue;
    const silentMs = facts.silentMs(device);
    if (device.placement === "in") {
      if (device.state !== "failed" && silentMs < context.options.times.outAfterMs) continue;
      context.db.transaction(() => {
        setDevicePlacement(context.db, device.deviceId, "out");
        noteOut(context, { device, silentMs });
      });
    } else if (facts.isLive(device)) setDevicePlacement(context.db, device.deviceId, "in");
  }
}

function noteOut(context: MdmContext, options: { device: DeviceRow; silentMs: number }): void {
  const { device, silentMs } = options;
  // That a device failed is an event of its own.
  if (device.state === "failed") return;
  const name = sdsById(context.db, device.sdsId)?.name ?? `SDS ${device.sdsId}`;
  recordEvent(context, {
    type: "sds_state_change",
    severity: "error",
    subject: name,
    message: `Device ${device.name} of ${name} is out: not heard for ${Math.floor(silentMs / 1000)} s; ` +
      `its copies are made again elsewhere`,
  });
}

function placeable(context: MdmContext, pool: PoolRow): PlacementDevice[] {
  const facts = new Facts(context);
  return devicesOfPool(context.db, pool.poolId).filter((device) => takesPart(context, device))
    .map((device) => placementOf(facts, device));
}

function retarget(context: MdmContext, options: { pool: PoolRow; devices: readonly PlacementDevice[] }): number {
  const { pool, devices } = options;
  // Nobody is left: wherever the copies were is as good as anything.
  if (devices.length === 0) return 0;
  const pgs = pgsOfPool(context.db, pool.poolId);
  const partaking = new Set(devices.map((device) => device.deviceId));
  const current = new Map(pgs.map((pg) => [pg.pgId, currentOf(context, { pg, partaking })]));
  const targets = placeGroups({ pgIds: pgs.map((pg) => pg.pgId), devices, copies: pool.copies, current });
  const changed = pgs.filter((pg) => !isSame(pg.target, targets.get(pg.pgId)!));
  context.db.transaction(() => {
    for (const pg of changed) setTarget(context.db, pg.pgId, targets.get(pg.pgId)!);
  });
  if (changed.length > 0) {
    context.log.info("Placed {count} groups of pool {pool} anew", {
      count: changed.length,
      pool: pool.name,
      devices: devices.length,
    });
  }
  return changed.length;
}

/** Where the group is or is going: a copy that may return by delta rather than one that nobody has begun to make. */
function currentOf(context: MdmContext, options: { pg: PgRecord; partaking: ReadonlySet<DeviceId> }): Target {
  const { pg, partaking } = options;
  const before = pg.target.length > 0 ? pg.target : pg.members.map((member) => member.deviceId);
  const joiner = context.live.joins.get(pg.pgId)?.deviceId;
  const holds = (deviceId: DeviceId) =>
    deviceId === joiner || pg.members.some((member) => member.deviceId === deviceId) ||
    pg.departed.some((row) => row.deviceId === deviceId);
  const returning = pg.departed.map((row) => row.deviceId).filter((deviceId) =>
    partaking.has(deviceId) && !before.includes(deviceId)
  );
  return before.filter((deviceId) => partaking.has(deviceId)).map((deviceId) =>
    holds(deviceId) ? deviceId : returning.shift() ?? deviceId
  );
}

function isSame(a: Target, b: Target): boolean {
  return a.length === b.length && a.every((deviceId, index) => deviceId === b[index]);
}
