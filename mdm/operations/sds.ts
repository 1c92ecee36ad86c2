/**
 * SDSs as an operator sees them: added with their devices, bound to a registered process.
 *
 * @module
 */
import { type MdmContext, recordEvent } from "@/mdm/context.ts";
import { requireDomain } from "@/mdm/operations/domains.ts";
import { requireFaultSet } from "@/mdm/operations/fault_sets.ts";
import { announce } from "@/mdm/operations/pgs.ts";
import { processFor } from "@/mdm/operations/processes.ts";
import { raiseCounter } from "@/mdm/store/cluster_config.ts";
import { devicesOfSds, insertDevice } from "@/mdm/store/devices.ts";
import { poolById, poolsOfDomain } from "@/mdm/store/pools.ts";
import { insertSds, listSds, sdsById, sdsByName, type SdsRow } from "@/mdm/store/sds.ts";
import { BLOCK_BYTES } from "@/shared/constants.ts";
import { assert, StorageError } from "@/shared/errors.ts";
import type { FaultSetId, PoolId, ProtectionDomainId, SdsId } from "@/shared/ids.ts";

export interface NewSdsRequest {
  readonly name: string;
  readonly domainId: ProtectionDomainId;
  readonly claimedBytes: number;
  /** Folders beneath the storage root; at least one, no two the same. */
  readonly devices: readonly string[];
  readonly poolId: PoolId | undefined;
  readonly clusterNodeId: number | undefined;
  readonly faultSetId: FaultSetId | undefined;
  readonly faultSetName: string | undefined;
}

/**
 * Adds an SDS: its process is told, formats its devices and registers them.
 *
 * @throws {StorageError} `conflict` for the name or when no process is free, `not_found` for domain, pool or fault set,
 * `rule_broken` for a pool of another domain or a node without the capability.
 */
export function addSds(context: MdmContext, request: NewSdsRequest): SdsRow {
  requireDomain(context, request.domainId);
  if (sdsByName(context.db, request.name) !== undefined) {
    throw new StorageError("conflict", `Cannot add SDS ${request.name}: the name is taken`);
  }
  const poolId = poolOfNewDevices(context, request);
  const { domainId, faultSetName: name, faultSetId } = request;
  const faultSet = requireFaultSet(context, { domainId, faultSetId, name });
  const { component, clusterNode } = processFor(context, { ...request, type: "SDS" });
  const claimedBytes = Math.floor(request.claimedBytes / request.devices.length / BLOCK_BYTES) * BLOCK_BYTES;
  const sdsId = context.db.transaction(() => {
    const made = insertSds(context.db, {
      name: request.name,
      domainId,
      faultSetId: faultSet?.faultSetId ?? null,
      componentId: component.componentId,
      clusterNodeId: clusterNode.id,
      claimedBytes: request.claimedBytes,
      atMs: context.time.nowMs(),
    });
    for (const device of request.devices) insertDevice(context.db, { sdsId: made, poolId, name: device, claimedBytes });
    raiseCounter(context.db, "config_version");
    recordEvent(context, {
      type: "sds_added",
      severity: "info",
      subject: request.name,
      message: `SDS ${request.name} was added on ${component.componentId} with ${request.devices.join(", ")}`,
    });
    return made;
  });
  context.live.sds(sdsId).registered = false;
  const sds = sdsById(context.db, sdsId);
  assert(sds !== undefined, "a row that was just committed is there");
  context.outbox.notice(sds);
  if (poolId !== null) announce(context, { poolIds: [poolId], except: sdsId });
  return sds;
}

/**
 * Takes over devices that were added at an SDS, those whose name is new there: they get ids and join the pool of its other
 * devices, else the pool that new ones of its domain join. The SDS finds them in the answer and formats them.
 */
export function adoptOfferedDevices(
  context: MdmContext,
  options: {
    readonly sds: SdsRow;
    readonly offered: readonly { readonly name: string; readonly capacityBytes: number }[];
  },
): void {
  const { sds } = options;
  const known = devicesOfSds(context.db, sds.sdsId);
  const names = new Set(known.map(({ name }) => name));
  const added = options.offered.filter(({ name }) => !names.has(name));
  if (added.length === 0) return;
  const pools = poolsOfDomain(context.db, sds.domainId);
  const poolId = known.find((device) => device.poolId !== null)?.poolId ??
    (pools.length === 1 ? pools[0]!.poolId : null);
  context.db.transaction(() => {
    for (const { name, capacityBytes } of added) {
      const claimedBytes = Math.floor(capacityBytes / BLOCK_BYTES) * BLOCK_BYTES;
      insertDevice(context.db, { sdsId: sds.sdsId, poolId, name, claimedBytes });
    }
    raiseCounter(context.db, "config_version");
    recordEvent(context, {
      type: "device_added",
      severity: "info",
      subject: sds.name,
      message: `SDS ${sds.name} got ${added.map(({ name }) => name).join(", ")}`,
    });
  });
  if (poolId !== null) announce(context, { poolIds: [poolId], except: sds.sdsId });
}

/** The pool given, else the domain's only pool, else none: the next pool made there takes the devices. */
function poolOfNewDevices(context: MdmContext, request: NewSdsRequest): PoolId | null {
  if (request.poolId === undefined) {
    const pools = poolsOfDomain(context.db, request.domainId);
    return pools.length === 1 ? pools[0]!.poolId : null;
  }
  const pool = poolById(context.db, request.poolId);
  if (pool === undefined) {
    throw new StorageError("not_found", `Cannot add SDS ${request.name}: there is no pool ${request.poolId}`);
  }
  if (pool.domainId !== request.domainId) {
    throw new StorageError(
      "rule_broken",
      `Cannot add SDS ${request.name}: pool ${pool.name} is in another protection domain`,
    );
  }
  return pool.poolId;
}

/** @throws {StorageError} `not_found`. */
export function requireSds(context: MdmContext, sdsId: SdsId): SdsRow {
  const sds = sdsById(context.db, sdsId);
  if (sds === undefined) throw new StorageError("not_found", `There is no SDS ${sdsId}`);
  return sds;
}

export function allSds(context: MdmContext): SdsRow[] {
  return listSds(context.db);
}
