/**
 * Protection domains: SDSs that protect one another.
 *
 * @module
 */
import type { MdmContext } from "@/mdm/context.ts";
import {
  deleteDomain,
  domainById,
  domainByName,
  type DomainRow,
  insertDomain,
  listDomains,
} from "@/mdm/store/domains.ts";
import { poolsOfDomain } from "@/mdm/store/pools.ts";
import { sdsOfDomain } from "@/mdm/store/sds.ts";
import { StorageError } from "@/shared/errors.ts";
import type { ProtectionDomainId } from "@/shared/ids.ts";

/** @throws {StorageError} `conflict` for a name that is taken. */
export function createDomain(context: MdmContext, request: { name: string; description: string }): DomainRow {
  if (domainByName(context.db, request.name) !== undefined) {
    throw new StorageError("conflict", `Cannot create protection domain ${request.name}: the name is taken`);
  }
  const domainId = insertDomain(context.db, { ...request, atMs: context.time.nowMs() });
  return { domainId, ...request };
}

/** @throws {StorageError} `not_found`. */
export function requireDomain(context: MdmContext, domainId: ProtectionDomainId): DomainRow {
  const domain = domainById(context.db, domainId);
  if (domain === undefined) throw new StorageError("not_found", `There is no protection domain ${domainId}`);
  return domain;
}

export function allDomains(context: MdmContext): DomainRow[] {
  return listDomains(context.db);
}

/** @throws {StorageError} `not_found`, or `rule_broken` while it has pools or SDSs. */
export function removeDomain(context: MdmContext, domainId: ProtectionDomainId): void {
  const domain = requireDomain(context, domainId);
  const pools = poolsOfDomain(context.db, domainId).length;
  const sdss = sdsOfDomain(context.db, domainId).length;
  if (pools + sdss > 0) {
    throw new StorageError(
      "rule_broken",
      `Cannot delete protection domain ${domain.name}: it has ${pools} pools and ${sdss} SDSs, it must be empty`,
    );
  }
  context.db.transaction(() => deleteDomain(context.db, domainId));
}
