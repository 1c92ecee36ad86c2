/**
 * Bad blocks that SDSs found on their devices: told as events when there are more of them than before.
 *
 * @module
 */
import { type MdmContext, recordEvent } from "@/mdm/context.ts";
import type { DeviceRow } from "@/mdm/store/devices.ts";
import { sdsById } from "@/mdm/store/sds.ts";
import type { RepairCounts } from "@/shared/api/sds.ts";

/** Takes what a heartbeat says of one device. */
export function noteRepairs(
  context: MdmContext,
  report: { readonly row: DeviceRow; readonly repairs: RepairCounts },
): void {
  const { row, repairs } = report;
  const life = context.live.device(row.deviceId);
  const before = life.repairs;
  life.repairs = repairs;
  // Nearly every beat: nothing to tell, nothing to look up.
  if ((Object.keys(repairs) as (keyof RepairCounts)[]).every((count) => repairs[count] <= before[count])) return;
  const name = `Device ${row.name} of ${sdsById(context.db, row.sdsId)?.name ?? `SDS ${row.sdsId}`}`;
  const subject = `device-${row.deviceId}`;
  const repaired = repairs.repairedBlocks - before.repairedBlocks;
  if (repaired > 0) {
    const message = `${name} had ${repaired} bad blocks; they were written anew from another copy`;
    recordEvent(context, { type: "blocks_repaired", severity: "warning", subject, message });
  }
  if (repairs.damagedBlocks > before.damagedBlocks) {
    const message =
      `${name} has ${repairs.damagedBlocks} blocks of which no copy is good; reading them fails until they are written`;
    recordEvent(context, { type: "blocks_damaged", severity: "error", subject, message });
  }
  if (repairs.differingBlocks > before.differingBlocks) {
    const count = repairs.differingBlocks - before.differingBlocks;
    const message = `${name} and its peers held different good blocks, ${count} of them; the primary's were kept`;
    recordEvent(context, { type: "copies_differed", severity: "critical", subject, message });
  }
}
