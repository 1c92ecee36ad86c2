/**
 * How the space of a pool is accounted for. `total` limits logical bytes: all copies of a byte count once.
 *
 * | figure | meaning |
 * | --- | --- |
 * | provisioned | sizes of all volumes; never above total, so no volume of the pool meets the limit with a write |
 * | reserved | sizes of the thick volumes, in full from their creation on |
 * | used | what holds data of thin volumes; data of thick ones lies in what they reserved |
 *
 * So reserved and used together are never above total either.
 *
 * @module
 */
import type { MdmContext } from "@/mdm/context.ts";
import { EMPTY_POOL, type PoolView, poolViews } from "@/mdm/operations/pool_views.ts";
import { volumeUsedBytes } from "@/mdm/operations/volume_views.ts";
import type { PoolRow } from "@/mdm/store/pools.ts";
import { volumesOfPool } from "@/mdm/store/volumes.ts";
import type { PoolId } from "@/shared/ids.ts";

/** In bytes; see the module comment. */
export interface PoolSpace {
  readonly totalBytes: number;
  readonly provisionedBytes: number;
  readonly reservedBytes: number;
  readonly usedBytes: number;
}

export function poolSpace(context: MdmContext, pool: PoolRow): PoolSpace {
  let [provisionedBytes, reservedBytes, usedBytes] = [0, 0, 0];
  for (const volume of volumesOfPool(context.db, pool.poolId)) {
    provisionedBytes += volume.sizeBytes;
    if (volume.provisioning === "thick") reservedBytes += volume.sizeBytes;
    else usedBytes += Math.min(volume.sizeBytes, volumeUsedBytes(context, volume) ?? 0);
  }
  return { totalBytes: pool.limitBytes, provisionedBytes, reservedBytes, usedBytes };
}

/** One pool at this instant. */
export function poolViewOf(context: MdmContext, poolId: PoolId): PoolView {
  return poolViews(context).get(poolId) ?? EMPTY_POOL;
}
