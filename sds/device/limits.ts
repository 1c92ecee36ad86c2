/**
 * What a device may use, and when it acts by itself: settings of the SDS set some of them, tests all.
 *
 * @module
 */
import { TIMES } from "@/shared/constants.ts";

/** Limits of one device. */
export interface DeviceLimits {
  /** Chunks whose checksums are kept in memory, about 1.3 KiB each. */
  readonly cachedChunksMax: number;
  /** Slots of a batch of the reserve; the next batch is made when a quarter is left. */
  readonly slotReserveCount: number;
  /** Space of the file system that is kept back for all but slots, a multiple of 64 KiB. */
  readonly spareBytes: number;
  /** Bytes of written data after which the device is synced in the background. */
  readonly backgroundSyncBytes: number;
  /** Time after which a dirty device is synced in the background. */
  readonly backgroundSyncMs: number;
  /** Time after which a sync that has not ended fails the device. */
  readonly syncTimeoutMs: number;
  /** Least time between two rounds that clear `dirty` intents. */
  readonly intentClearMs: number;
  /** A read on the event loop that took this long came from the disk. */
  readonly coldReadMs: number;
}

export const DEVICE_LIMITS: DeviceLimits = {
  cachedChunksMax: 32_768,
  slotReserveCount: 64,
  spareBytes: 16 * 1024 * 1024,
  backgroundSyncBytes: 64 * 1024 * 1024,
  backgroundSyncMs: 10_000,
  syncTimeoutMs: TIMES.flushTimeoutMs,
  intentClearMs: TIMES.intentClearMs,
  coldReadMs: 0.1,
};
