/**
 * Devices that their SDS cannot open. One whose data is lost is failed at once, so that its copies are made elsewhere without
 * waiting for it to count as away; one that may come back is an event, and waits.
 *
 * @module
 */
import { type MdmContext, recordEvent } from "@/mdm/context.ts";
import { failDevice } from "@/mdm/operations/devices.ts";
import { Facts } from "@/mdm/operations/facts.ts";
import type { DeviceRow } from "@/mdm/store/devices.ts";
import type { SdsRow } from "@/mdm/store/sds.ts";
import type { BrokenDevice } from "@/shared/api/sds.ts";

/** Takes what a heartbeat says. A device that is heard is open somewhere: then it is only a copy of its folder that is broken. */
export function noteBrokenDevices(
  context: MdmContext,
  report: {
    readonly sds: SdsRow;
    readonly rows: ReadonlyMap<number, DeviceRow>;
    readonly broken: readonly BrokenDevice[];
  },
): void {
  if (report.broken.length === 0) return;
  const facts = new Facts(context);
  for (const { deviceId, reason, lost } of report.broken) {
    const row = report.rows.get(deviceId);
    if (row === undefined || row.state === "failed" || facts.isLive(row)) continue;
    const life = context.live.device(row.deviceId);
    if (lost) failDevice(context, row, reason);
    else if (life.brokenReason !== reason) {
      life.brokenReason = reason;
      recordEvent(context, {
        type: "device_unavailable",
        severity: "error",
        subject: `device-${row.deviceId}`,
        message: `Device ${row.name} of ${report.sds.name} cannot be opened: ${reason}`,
      });
    }
  }
}
