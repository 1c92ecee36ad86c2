/**
 * The extents that one answer to BLOCK_STATUS carries.
 *
 * @module
 */
import type { Extent } from "@/sdc/block_device.ts";
import { assert } from "@/shared/errors.ts";

/**
 * Neighbours of one kind joined, empty ones left out, and no more than `countMax` (1 or more): the client asks again for
 * the rest. `extents` covers at least one byte.
 */
export function extentsToReport(extents: readonly Extent[], countMax: number): readonly Extent[] {
  const joined: Extent[] = [];
  for (const extent of extents) {
    if (extent.lengthBytes === 0) continue;
    const last = joined.at(-1);
    if (last !== undefined && last.allocated === extent.allocated && last.zero === extent.zero) {
      joined[joined.length - 1] = { ...last, lengthBytes: last.lengthBytes + extent.lengthBytes };
    } else if (joined.length === countMax) {
      break;
    } else {
      joined.push(extent);
    }
  }
  assert(joined.length > 0, "a device describes at least one byte of the range");
  return joined;
}
