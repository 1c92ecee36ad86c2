/**
 * SDSs that an operator takes out of service and back.
 *
 *   in ── fail ──► failed: its copies leave at once and are made elsewhere ── recover ──► in: it gets its share again
 *   in ── remove ──► leaving: its copies are made elsewhere, then they leave ── nothing is left ──► gone
 *
 * @module
 */
import { type MdmContext, recordEvent } from "@/mdm/context.ts";
import { requireSds } from "@/mdm/operations/sds.ts";
import { Facts } from "@/mdm/operations/facts.ts";
import { takesPart } from "@/mdm/operations/targets.ts";
import { raiseCounter } from "@/mdm/store/cluster_config.ts";
import { devicesOfPool, devicesOfSds } from "@/mdm/store/devices.ts";
import { departedCount, memberPgIds, pgById } from "@/mdm/store/pgs.ts";
import { poolById } from "@/mdm/store/pools.ts";
import { deleteSds, listSds, type SdsRow, setSdsService } from "@/mdm/store/sds.ts";
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

/** How far the removal of an SDS is. */
export interface Removal {
  readonly status: "removed" | "draining";
  /** Groups that still need it. */
  readonly groupsLeft: number;
  readonly message: string;
}

/**
 * Removes an SDS: its copies are made elsewhere first, while it goes on serving; the record goes when no group needs it. Asked again,
 * it says how far that is. `recoverSds` takes it back.
 *
 * @throws {StorageError} `not_found`
 */
export function removeSds(context: MdmContext, sdsId: SdsId): Removal {
  const sds = requireSds(context, sdsId);
  if (sds.service !== "leaving") {
    context.db.transaction(() => {
      setSdsService(context.db, sdsId, "leaving");
      const message = `SDS ${sds.name} is to be removed; its copies are made elsewhere first`;
      recordEvent(context, { type: "sds_state_change", severity: "info", subject: sds.name, message });
    });
    context.tendGroupsSoon();
  }
  const groupsLeft = groupsNeeding(context, sdsId);
  if (groupsLeft > 0) {
    const message = `${groupsLeft} groups still need SDS ${sds.name}: ${waitsFor(context, sdsId)}`;
    return { status: "draining", groupsLeft, message };
  }
  forget(context, sds);
  return { status: "removed", groupsLeft, message: `SDS ${sds.name} is removed; its folders may be deleted` };
}

/** Forgets SDSs that are to be removed and that no group needs any more. Gives how many are still needed. */
export function finishRemovals(context: MdmContext): number {
  const leaving = listSds(context.db).filter((sds) => sds.service === "leaving");
  const done = leaving.filter((sds) => groupsNeeding(context, sds.sdsId) === 0);
  for (const sds of done) forget(context, sds);
  return leaving.length - done.length;
}

/** Groups that list a device of it, or that lack a copy which may be there. */
function groupsNeeding(context: MdmContext, sdsId: SdsId): number {
  return devicesOfSds(context.db, sdsId).reduce(
    (count, device) =>
      count + memberPgIds(context.db, device.deviceId).length + departedCount(context.db, device.deviceId),
    0,
  );
}

function waitsFor(context: MdmContext, sdsId: SdsId): string {
  const facts = new Facts(context);
  const pools = new Set(devicesOfSds(context.db, sdsId).flatMap((device) => device.poolId ?? []));
  for (const poolId of pools) {
    const pool = poolById(context.db, poolId);
    const units = new Set(
      devicesOfPool(context.db, poolId).filter((device) => takesPart(context, device)).map((each) =>
        facts.unitOf(each)
      ),
    );
    if (pool === undefined) continue;
    if (units.size < pool.copies) {
      return `pool ${pool.name} keeps ${pool.copies} copies and has other devices in ${units.size} failure units only; add one`;
    }
    if (pool.rebuildControl !== "run") {
      return `copies of pool ${pool.name} are ${pool.rebuildControl}; start them again`;
    }
  }
  return "their copies are being made elsewhere";
}

function forget(context: MdmContext, sds: SdsRow): void {
  context.db.transaction(() => {
    deleteSds(context.db, sds.sdsId);
    raiseCounter(context.db, "config_version");
    recordEvent(context, {
      type: "sds_state_change",
      severity: "info",
      subject: sds.name,
      message: `SDS ${sds.name} is removed: no group needs it`,
    });
  });
}
