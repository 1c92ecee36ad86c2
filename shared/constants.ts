/**
 * Sizes and times that the whole cluster agrees on (replication design, section 13). Times are defaults of settings.
 *
 * @module
 */
import { assert } from "@/shared/errors.ts";

/** Unit of checksums and of atomic writes, in bytes. */
export const BLOCK_BYTES = 4096;
/** Unit of storage, placement and copy, in bytes. */
export const CHUNK_BYTES = 1024 * 1024;
export const BLOCKS_PER_CHUNK = CHUNK_BYTES / BLOCK_BYTES;
/** Largest piece of a request that travels in one data frame, in bytes. Pieces never cross a multiple of it. */
export const FRAGMENT_BYTES_MAX = 64 * 1024;
export const BLOCKS_PER_FRAGMENT_MAX = FRAGMENT_BYTES_MAX / BLOCK_BYTES;

/** Regions of write intents per placement group. */
export const REGIONS_PER_PG = 1024;
/** Rows of chunks that share a region. */
export const ROWS_PER_REGION = 4;
/** Newest set regions per placement group that are not cleared, whatever their age. Default of a setting. */
export const REGIONS_KEPT_SET = 64;
/** Chunks of a volume at most: 16 TiB. */
export const CHUNKS_PER_VOLUME_MAX = 2 ** 24;

export const PG_COUNT_MIN = 64;
export const PG_COUNT_MAX = 4096;
/** Copies of each chunk in a pool of two-copy protection. */
export const COPIES = 2;

/** Requests in flight per session on the data path. */
export const QUEUE_DEPTH = 256;

/** Times in milliseconds. */
export const TIMES = {
  heartbeatMs: 500,
  leaseMs: 3_000,
  graceMs: 5_000,
  replicationTimeoutMs: 4_000,
  linkRetryMs: 1_000,
  sdsHeartbeatMs: 1_000,
  sdcHeartbeatMs: 10_000,
  staleAfterMs: 30_000,
  downAfterMs: 60_000,
  outAfterMs: 600_000,
  coldWaitMs: 60_000,
  tokenTtlMs: 60_000,
  tokenRenewMs: 30_000,
  mdmOutageGraceMs: 900_000,
  mdmSilentMs: 10_000,
  memberHeardMs: 5_000,
  ioGiveUpMs: 120_000,
  intentClearMs: 10_000,
  flushTimeoutMs: 30_000,
  stopMs: 10_000,
  joinBackoffMinMs: 30_000,
  joinBackoffMaxMs: 900_000,
} as const;

/** Clocks of two machines run at rates that differ by less than this. */
export const CLOCK_RATE_ERROR = 0.01;

assert(
  TIMES.graceMs >= TIMES.leaseMs * (1 + CLOCK_RATE_ERROR) / (1 - CLOCK_RATE_ERROR) + 1_000,
  "the old primary's lease is over before any takeover, clock rates included",
);
assert(TIMES.leaseMs >= 3 * TIMES.heartbeatMs, "two lost heartbeats do not end a lease");

/** Limits of joins: at a time per SDS and direction, and begun per second and pool. Deltas are cheap when little differs. */
export const JOIN_LIMITS = { fullJoinsPerSds: 2, deltaJoinsPerSds: 64, joinStartsPerSecond: 128 };
