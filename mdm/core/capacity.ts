/**
 * Sizes: gigabytes of the API, volumes and the limit of a pool, the capacity of a device.
 *
 * @module
 */
import { BLOCK_BYTES, CHUNK_BYTES, CHUNKS_PER_VOLUME_MAX } from "@/shared/constants.ts";

/** GB in names of the API means GiB. */
export const GIB_BYTES = 1024 ** 3;
/** Smallest volume. */
export const VOLUME_BYTES_MIN = 1024 * 1024;
/** Largest volume: 16 TiB. */
export const VOLUME_BYTES_MAX = CHUNKS_PER_VOLUME_MAX * CHUNK_BYTES;

/** Bytes of a size in GiB, rounded up to whole blocks. */
export function bytesOfGib(gib: number): number {
  return Math.ceil(gib * GIB_BYTES / BLOCK_BYTES) * BLOCK_BYTES;
}

/** Size in GiB, as a fraction. */
export function gibOfBytes(bytes: number): number {
  return bytes / GIB_BYTES;
}

/** Size in GiB for messages, to three decimals, such as `0.7 GB`. */
export function gibText(bytes: number): string {
  return `${Math.round(bytes * 1000 / GIB_BYTES) / 1000} GB`;
}

/** Why a volume may not have this size, or undefined. */
export function volumeSizeProblem(sizeBytes: number): string | undefined {
  if (sizeBytes < VOLUME_BYTES_MIN) return `${sizeBytes} bytes is below the smallest volume, ${VOLUME_BYTES_MIN} bytes`;
  if (sizeBytes > VOLUME_BYTES_MAX) return `${sizeBytes} bytes is above the largest volume, ${VOLUME_BYTES_MAX} bytes`;
  return undefined;
}

/** Why `addedBytes` more may not be provisioned in a pool, or undefined. */
export function capacityProblem(
  pool: { limitBytes: number; provisionedBytes: number },
  addedBytes: number,
): string | undefined {
  const freeBytes = pool.limitBytes - pool.provisionedBytes;
  if (addedBytes <= freeBytes) return undefined;
  return `the pool has ${gibText(freeBytes)} of ${gibText(pool.limitBytes)} left, ${gibText(addedBytes)} are needed`;
}

/** What a device counts for: the smaller of what the operator claimed and what its process offers. */
export function deviceCapacityBytes(claimedBytes: number, offeredBytes: number | null): number {
  return offeredBytes === null ? claimedBytes : Math.min(claimedBytes, offeredBytes);
}

/** Next power of two of 64 x devices / copies, within the limits of the settings. */
export function pgCountFor(options: { deviceCount: number; copies: number; min: number; max: number }): number {
  const wanted = Math.max(1, 64 * options.deviceCount / options.copies);
  return Math.min(options.max, Math.max(options.min, 2 ** Math.ceil(Math.log2(wanted))));
}

/** From this part on no copy is begun on it. */
export const JOIN_FULL_MARK = 0.9;
