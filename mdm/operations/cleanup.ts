/**
 * Clean-up that an operator asks for: what tests left behind, and what is old.
 *
 * @module
 */
import type { MdmContext } from "@/mdm/context.ts";
import { unmapVolume } from "@/mdm/operations/mappings.ts";
import { allVolumes, deleteVolume } from "@/mdm/operations/volumes.ts";
import { deleteEventsBefore } from "@/mdm/store/events.ts";
import { deleteIoTokensBefore } from "@/mdm/store/io_tokens.ts";
import { mappingsOfVolume } from "@/mdm/store/mappings.ts";

const DAY_MS = 24 * 3_600_000;

/** How much was removed. */
export interface CleanupCounts {
  readonly volumes: number;
  readonly mappings: number;
  readonly tokens: number;
  readonly events: number;
}

/**
 * Unmaps and deletes volumes with all their data, and, without a prefix, forgets tokens and events too. Domains, pools, SDSs,
 * SDCs and processes stay. A token that was taken back stays until it expires.
 *
 * @throws {StorageError} as unmapping and deleting do; what was removed until then is gone.
 */
export async function removeTestData(context: MdmContext, options: { namePrefix: string }): Promise<CleanupCounts> {
  const { namePrefix } = options;
  let [volumes, mappings] = [0, 0];
  for (const volume of allVolumes(context)) {
    if (!volume.name.startsWith(namePrefix)) continue;
    for (const mapping of mappingsOfVolume(context.db, volume.volumeId)) {
      await unmapVolume(context, mapping);
      mappings++;
    }
    await deleteVolume(context, volume.volumeId);
    volumes++;
  }
  if (namePrefix !== "") return { volumes, mappings, tokens: 0, events: 0 };
  const nowMs = context.time.nowMs();
  return context.db.transaction(() => {
    const tokens = deleteIoTokensBefore(context.db, { nowMs, issuedBeforeMs: Number.MAX_SAFE_INTEGER });
    return { volumes, mappings, tokens, events: deleteEventsBefore(context.db, Number.MAX_SAFE_INTEGER) };
  });
}

/** Deletes events and tokens older than `days`, and gives the space back to the file system. */
export function removeOld(context: MdmContext, options: { days: number }): CleanupCounts {
  const nowMs = context.time.nowMs();
  const beforeMs = nowMs - options.days * DAY_MS;
  const counts = context.db.transaction(() => ({
    volumes: 0,
    mappings: 0,
    tokens: deleteIoTokensBefore(context.db, { nowMs, issuedBeforeMs: beforeMs }),
    events: deleteEventsBefore(context.db, beforeMs),
  }));
  context.db.giveSpaceBack();
  return counts;
}
