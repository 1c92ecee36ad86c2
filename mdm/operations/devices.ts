/**
 * Devices: which an SDS has, what becomes of one that failed, and an operator's word about one that moved.
 *
 * @module
 */
import { type MdmContext, recordEvent } from "@/mdm/context.ts";
import { deviceCapacityBytes } from "@/mdm/core/capacity.ts";
import { confirmDeviceHost, deviceById, type DeviceRow, devicesOfSds, setDeviceState } from "@/mdm/store/devices.ts";
import { deleteDepartedOfDevice, pgEpoch } from "@/mdm/store/pgs.ts";
import { sdsById } from "@/mdm/store/sds.ts";
import type { AssignedDevice, PgRow } from "@/shared/api/sds.ts";
import { StorageError } from "@/shared/errors.ts";
import type { DeviceId, SdsId } from "@/shared/ids.ts";

/** The devices as their SDS is told of them. */
export function assignedDevices(context: MdmContext, sdsId: SdsId): AssignedDevice[] {
  return devicesOfSds(context.db, sdsId).map((device) => ({
    deviceId: device.deviceId,
    name: device.name,
    capacityBytes: device.claimedBytes,
    state: device.state,
  }));
}

/** What a device counts for, in bytes. */
export function capacityOf(device: DeviceRow): number {
  return deviceCapacityBytes(device.claimedBytes, device.offeredBytes);
}

/** Marks a device failed for good (I22): none of its copies returns by delta, it is never given one again. */
export function failDevice(context: MdmContext, device: DeviceRow, reason?: string): void {
  if (device.state === "failed") return;
  const name = sdsById(context.db, device.sdsId)?.name ?? `SDS ${device.sdsId}`;
  context.db.transaction(() => {
    setDeviceState(context.db, device.deviceId, "failed");
    deleteDepartedOfDevice(context.db, device.deviceId);
    recordEvent(context, {
      type: "device_failed",
      severity: "error",
      subject: `device-${device.deviceId}`,
      message: `Device ${device.name} of ${name} failed${
        reason === undefined ? "" : ` (${reason})`
      }; its copies are made again elsewhere`,
    });
  });
  context.tendGroupsSoon();
}

/** Takes the rows a device reported; one with an epoch above ours means that this database was rolled back. */
export function noteRows(
  context: MdmContext,
  options: { deviceId: DeviceId; rows: readonly PgRow[]; all: boolean },
): void {
  const { deviceId } = options;
  const life = context.live.device(deviceId);
  if (options.all) life.rows.clear();
  for (const row of options.rows) {
    life.rows.set(row.pgId, row);
    const epoch = pgEpoch(context.db, row.pgId);
    if (epoch === undefined || row.epoch <= epoch || context.live.refusedPgs.has(row.pgId)) continue;
    if (!context.guards.epochAhead) continue;
    context.live.refusedPgs.set(row.pgId, { deviceId, epoch: row.epoch });
    recordEvent(context, {
      type: "epoch_ahead",
      severity: "critical",
      subject: `pg-${row.pgId}`,
      message: `Device ${deviceId} reports epoch ${row.epoch} of group ${row.pgId}, this MDM knows ${epoch}: ` +
        `its database was rolled back, the group is not served`,
    });
  }
}

/**
 * An operator says that no older process of the device runs anywhere and that it may run where it tries to.
 *
 * @throws {StorageError} `not_found`, or `rule_broken` for a device that never registered.
 */
export function confirmHost(context: MdmContext, deviceId: DeviceId): { device_id: number; host_id: string } {
  const device = deviceById(context.db, deviceId);
  if (device === undefined) throw new StorageError("not_found", `Cannot confirm device ${deviceId}: there is none`);
  const hostId = context.live.device(deviceId).refusedHostId ?? device.start?.hostId;
  if (hostId === undefined) {
    throw new StorageError("rule_broken", `Cannot confirm the host of device ${deviceId}: it never registered`);
  }
  confirmDeviceHost(context.db, deviceId, hostId);
  return { device_id: deviceId, host_id: hostId };
}
