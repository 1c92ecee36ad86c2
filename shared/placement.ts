/**
 * From a volume's offset to placement group and region, and the scores by which the MDM picks devices (replication design,
 * section 2). One module for all roles; `placement_test.ts` pins the encodings with golden values.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { REGIONS_PER_PG, ROWS_PER_REGION } from "@/shared/constants.ts";
import type { DeviceId, PgId, VtreeId } from "@/shared/ids.ts";

/** First 4 bytes, big-endian, of SHA-256 of the id in decimal: where a vTree's chunks begin among the groups. */
export function baseOf(vtreeId: VtreeId): number {
  return createHash("sha256").update(String(vtreeId)).digest().readUInt32BE(0);
}

/** Index within the pool, from 0, of the group that holds a chunk; `base` is {@linkcode baseOf}, `pgCount` a power of two. */
export function pgIndexOf(base: number, chunkIndex: number, pgCount: number): number {
  return (base + chunkIndex) % pgCount;
}

/** Region of write intents, 0 to 1023, of a chunk within its group. */
export function regionOf(base: number, chunkIndex: number, pgCount: number): number {
  const row = Math.floor(chunkIndex / pgCount);
  return (base + Math.floor(row / ROWS_PER_REGION)) % REGIONS_PER_PG;
}

/** Score of a device for a group by weighted rendezvous hashing (Thaler, Ravishankar 1998); the highest wins, 0 never does. */
export function deviceScore(pgId: PgId, device: { readonly deviceId: DeviceId; readonly weight: number }): number {
  if (device.weight <= 0) return 0;
  const digest = createHash("sha256").update(`${pgId}/${device.deviceId}`).digest();
  // 48 bits, moved into (0, 1) so that the logarithm is finite and not zero.
  const unit = (digest.readUIntBE(0, 6) + 0.5) / 2 ** 48;
  return -device.weight / Math.log(unit);
}
