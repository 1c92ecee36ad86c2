/**
 * SDCs as an operator sees them: added, bound to a registered process.
 *
 * @module
 */
import { type MdmContext, recordEvent } from "@/mdm/context.ts";
import { processFor } from "@/mdm/operations/processes.ts";
import { insertSdc, listSdcs, sdcById, sdcByName, type SdcRow } from "@/mdm/store/sdc.ts";
import { assert, StorageError } from "@/shared/errors.ts";
import type { SdcId } from "@/shared/ids.ts";

/** Adds an SDC; its process registers a session with its next heartbeat. @throws {StorageError} as `addSds`. */
export function addSdc(context: MdmContext, request: { name: string; clusterNodeId: number | undefined }): SdcRow {
  if (sdcByName(context.db, request.name) !== undefined) {
    throw new StorageError("conflict", `Cannot add SDC ${request.name}: the name is taken`);
  }
  const { component, clusterNode } = processFor(context, { ...request, type: "SDC" });
  const sdcId = context.db.transaction(() => {
    const { componentId } = component;
    const atMs = context.time.nowMs();
    const made = insertSdc(context.db, { name: request.name, componentId, clusterNodeId: clusterNode.id, atMs });
    const message = `SDC ${request.name} was added on ${componentId}`;
    recordEvent(context, { type: "sdc_added", severity: "info", subject: request.name, message });
    return made;
  });
  const sdc = sdcById(context.db, sdcId);
  assert(sdc !== undefined, "a row that was just committed is there");
  context.outbox.notice(sdc);
  return sdc;
}

/** @throws {StorageError} `not_found`. */
export function requireSdc(context: MdmContext, sdcId: SdcId): SdcRow {
  const sdc = sdcById(context.db, sdcId);
  if (sdc === undefined) throw new StorageError("not_found", `There is no SDC ${sdcId}`);
  return sdc;
}

export function allSdcs(context: MdmContext): SdcRow[] {
  return listSdcs(context.db);
}
