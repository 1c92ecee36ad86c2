/**
 * Fault sets: SDSs of a domain that fail together; copies span them.
 *
 * @module
 */
import type { MdmContext } from "@/mdm/context.ts";
import { requireDomain } from "@/mdm/operations/domains.ts";
import {
  faultSetById,
  faultSetByName,
  type FaultSetRow,
  insertFaultSet,
  listFaultSets,
} from "@/mdm/store/fault_sets.ts";
import { StorageError } from "@/shared/errors.ts";
import type { FaultSetId, ProtectionDomainId } from "@/shared/ids.ts";

/** @throws {StorageError} `not_found` for the domain, `conflict` for a name that is taken there. */
export function createFaultSet(
  context: MdmContext,
  request: { domainId: ProtectionDomainId; name: string },
): FaultSetRow {
  const domain = requireDomain(context, request.domainId);
  if (faultSetByName(context.db, request) !== undefined) {
    throw new StorageError("conflict", `Cannot create fault set ${request.name}: ${domain.name} has one of that name`);
  }
  return { faultSetId: insertFaultSet(context.db, request), ...request };
}

export function allFaultSets(context: MdmContext): FaultSetRow[] {
  return listFaultSets(context.db);
}

/** The fault set that an SDS of `domainId` names by id or by name. @throws {StorageError} `not_found`. */
export function requireFaultSet(
  context: MdmContext,
  key: { domainId: ProtectionDomainId; faultSetId?: FaultSetId | undefined; name?: string | undefined },
): FaultSetRow | undefined {
  if (key.faultSetId === undefined && key.name === undefined) return undefined;
  const found = key.faultSetId !== undefined
    ? faultSetById(context.db, key.faultSetId)
    : faultSetByName(context.db, { domainId: key.domainId, name: key.name! });
  if (found?.domainId === key.domainId) return found;
  throw new StorageError(
    "not_found",
    `Protection domain ${key.domainId} has no fault set ${key.faultSetId ?? key.name}`,
  );
}
