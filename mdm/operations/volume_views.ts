/**
 * How a volume is at this instant: its state, and what of it holds data.
 *
 * @module
 */
import type { MdmContext } from "@/mdm/context.ts";
import type { PoolView } from "@/mdm/operations/pool_views.ts";
import type { VolumeRow } from "@/mdm/store/volumes.ts";
import type { OverviewVolume } from "@/shared/api/overview.ts";
import { CHUNK_BYTES } from "@/shared/constants.ts";

/** How a volume is, by its pool's groups. */
export function volumeStateOf(volume: VolumeRow, view: PoolView): OverviewVolume["state"] {
  if (view.health === "failed") return "unavailable";
  if (view.health === "degraded") return "degraded";
  return volume.mappingCount > 0 ? "in_use" : "available";
}

/**
 * Logical bytes that hold data; null while no SDS has said. An SDS that is silent does not count: others lead its groups, or
 * nobody does.
 */
export function volumeUsedBytes(context: MdmContext, volume: VolumeRow): number | null {
  const sinceMs = context.clock.monotonicMs() - context.options.times.memberHeardMs;
  let chunkCount: number | null = null;
  for (const { heardAtMs, nodeChunks } of context.live.allSds()) {
    if (heardAtMs < sinceMs || nodeChunks === undefined) continue;
    chunkCount = (chunkCount ?? 0) + (nodeChunks.get(volume.nodeId) ?? 0);
  }
  return chunkCount === null ? null : chunkCount * CHUNK_BYTES;
}
