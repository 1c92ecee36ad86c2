/**
 * Storage pools: space with one policy, within one domain.
 *
 * @module
 */
import type { MdmContext } from "@/mdm/context.ts";
import { requireDomain } from "@/mdm/operations/domains.ts";
import { announce } from "@/mdm/operations/pgs.ts";
import { raiseCounter } from "@/mdm/store/cluster_config.ts";
import { adoptDevices } from "@/mdm/store/devices.ts";
import { deletePool, insertPool, listPools, poolById, poolByName, type PoolRow } from "@/mdm/store/pools.ts";
import { volumesOfPool } from "@/mdm/store/volumes.ts";
import { COPIES } from "@/shared/constants.ts";
import { StorageError } from "@/shared/errors.ts";
import type { PoolId, ProtectionDomainId } from "@/shared/ids.ts";

export interface NewPoolRequest {
  readonly name: string;
  readonly domainId: ProtectionDomainId;
  readonly limitBytes: number;
  readonly protectionPolicy: "two_copies" | "erasure_coding";
  /** Every write is treated as FUA. */
  readonly syncWrites: boolean;
}

/**
 * Makes a pool; the domain's devices that are in none join it.
 *
 * @throws {StorageError} `not_found` for the domain, `conflict` for the name, `unsupported` for erasure coding.
 */
export function createPool(context: MdmContext, request: NewPoolRequest): PoolRow {
  const domain = requireDomain(context, request.domainId);
  if (request.protectionPolicy === "erasure_coding") {
    throw new StorageError("unsupported", `Cannot create pool ${request.name}: erasure coding does not exist yet`);
  }
  if (poolByName(context.db, request) !== undefined) {
    throw new StorageError("conflict", `Cannot create pool ${request.name}: ${domain.name} has one of that name`);
  }
  const poolId = context.db.transaction(() => {
    const made = insertPool(context.db, { ...request, copies: COPIES, atMs: context.time.nowMs() });
    if (adoptDevices(context.db, made) > 0) raiseCounter(context.db, "config_version");
    return made;
  });
  announce(context, { poolIds: [poolId] });
  return requirePool(context, poolId);
}

/**
 * Deletes a pool that never had a volume; the next pool of its domain takes the devices. A pool that had one keeps placement groups
 * on its devices, whose copies nobody gives up at once.
 *
 * @throws {StorageError} `not_found`, or `rule_broken` when it has groups.
 */
export function removePool(context: MdmContext, poolId: PoolId): void {
  const pool = requirePool(context, poolId);
  if (pool.pgCount !== null) {
    const volumes = volumesOfPool(context.db, poolId).length;
    throw new StorageError(
      "rule_broken",
      `Cannot delete pool ${pool.name}: it has ${volumes} volumes and ${pool.pgCount} placement groups; only a pool that never had a volume can be deleted`,
    );
  }
  context.db.transaction(() => {
    deletePool(context.db, poolId);
    raiseCounter(context.db, "config_version");
  });
}

/** @throws {StorageError} `not_found`. */
export function requirePool(context: MdmContext, poolId: PoolId): PoolRow {
  const pool = poolById(context.db, poolId);
  if (pool === undefined) throw new StorageError("not_found", `There is no storage pool ${poolId}`);
  return pool;
}

export function allPools(context: MdmContext): PoolRow[] {
  return listPools(context.db);
}
