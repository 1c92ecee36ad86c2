/**
 * SDSs that an operator takes out of service and back.
 *
 *   in ── fail ──► failed: its copies leave at once and are made elsewhere ── recover ──► in: it gets its share again
 *
 * @module
 */
import { type MdmContext, recordEvent } from "@/mdm/context.ts";
import { requireSds } from "@/mdm/operations/sds.ts";
import { devicesOfSds } from "@/mdm/store/devices.ts";
import { memberPgIds, pgById } from "@/mdm/store/pgs.ts";
import { type SdsRow, setSdsService } from "@/mdm/store/sds.ts";
import type { SdsId } from "@/shared/ids.ts";

/** What was done, for people. */
export interface ServiceChange {
  readonly sds: SdsRow;
  readonly message: string;
}

/**
 * Declares an SDS failed: primaries are asked to go on without it, nothing is placed on it, what it held is made elsewhere. A copy
 * that is the only one of its group stays in use: it is never given up for a rule.
 *
 * @throws {StorageError} `not_found`
 */
export function failSds(context: MdmContext, sdsId: SdsId): ServiceChange {
  const sds = requireSds(context, sdsId);
  const groups = devicesOfSds(context.db, sdsId).flatMap((device) => memberPgIds(context.db, device.deviceId));
  const onlyCount = groups.filter((pgId) => pgById(context.db, pgId)?.members.length === 1).length;
  const message = `SDS ${sds.name} leaves ${groups.length - onlyCount} groups; their copies are made again elsewhere` +
    (onlyCount === 0
      ? ""
      : `. ${onlyCount} groups have no other copy: they are served from it until another one is made`);
  if (sds.service !== "failed") change(context, { sds, service: "failed", message });
  return { sds: { ...sds, service: "failed" }, message };
}

/** Lets an SDS that was declared failed return. @throws {StorageError} `not_found` */
export function recoverSds(context: MdmContext, sdsId: SdsId): ServiceChange {
  const sds = requireSds(context, sdsId);
  const failed = devicesOfSds(context.db, sdsId).filter((device) => device.state === "failed");
  const message = `SDS ${sds.name} is in service and gets its share of the copies` +
    (failed.length === 0
      ? ""
      : `, but for ${
        failed.map((device) => device.name).join(", ")
      }: a device that failed never serves again, replace it`);
  if (sds.service !== "in") change(context, { sds, service: "in", message });
  return { sds: { ...sds, service: "in" }, message };
}

function change(
  context: MdmContext,
  options: { sds: SdsRow; service: "in" | "failed"; message: string },
): void {
  const { sds, service, message } = options;
  context.db.transaction(() => {
    setSdsService(context.db, sds.sdsId, service);
    const severity = service === "in" ? "info" : "warning";
    recordEvent(context, { type: "sds_state_change", severity, subject: sds.name, message });
  });
  context.tendGroupsSoon();
}
