/**
 * Decisions about the regions of write intents (replication design, sections 3.8 and 5.4).
 *
 * @module
 */
import { setBitsOf } from "@/sds/device/bitmap.ts";

/**
 * Regions whose resync bit may be cleared in this round (5.4): set, no write running, and not among the `keepCount` written
 * last. `lastWrite` holds the number of the last write of each region under this epoch; a region absent from it is older.
 */
export function clearableRegions(
  bitmap: Uint8Array,
  facts: {
    readonly lastWrite: ReadonlyMap<number, number>;
    readonly keepCount: number;
    isRunning(region: number): boolean;
  },
): { readonly region: number; readonly writeNumber: number }[] {
  const byAge = setBitsOf(bitmap)
    .map((region) => ({ region, writeNumber: facts.lastWrite.get(region) ?? 0 }))
    .sort((a, b) => a.writeNumber - b.writeNumber);
  return byAge.slice(0, Math.max(0, byAge.length - facts.keepCount)).filter(({ region }) => !facts.isRunning(region));
}
