/**
 * Rates from counters that only grow, but start again at 0 when a process restarts. A rate is taken over the last
 * {@linkcode RATE_WINDOW_MS} or a little more: heartbeats carry counters once a second, so neighbouring polls alone would show
 * none or two of them.
 *
 * @module
 */
import type { IoCounters, Overview } from "@/shared/api/overview.ts";

/** Shortest time over which a rate is taken. */
export const RATE_WINDOW_MS = 5_000;

/** Counters of everything that counts, at one instant of the MDM's clock. */
export interface CounterSample {
  readonly atMs: number;
  /** By {@linkcode sdsKey}, {@linkcode sdcKey} and {@linkcode volumeKey}. */
  readonly counters: ReadonlyMap<string, IoCounters>;
}

/** Operations and bytes per second. */
export interface IoRates {
  readonly readsPerSecond: number;
  readonly writesPerSecond: number;
  readonly readBytesPerSecond: number;
  readonly writtenBytesPerSecond: number;
  readonly errorsPerSecond: number;
}

/** Rates by the same keys; absent where no rate can be told yet. */
export type RateTable = ReadonlyMap<string, IoRates>;

export const sdsKey = (id: number): string => `sds:${id}`;
export const sdcKey = (id: number): string => `sdc:${id}`;
export const volumeKey = (id: number): string => `volume:${id}`;
/** The sum over all SDSs, each operation counted where it was served. */
export const CLUSTER_KEY = "cluster";

/** The counters in `overview`. */
export function counterSample(overview: Overview): CounterSample {
  return {
    atMs: overview.mdmTimeMs,
    counters: new Map([
      ...overview.sdss.map((sds) => [sdsKey(sds.sdsId), sds.io] as const),
      ...overview.sdcs.map((sdc) => [sdcKey(sdc.sdcId), sdc.io] as const),
      ...overview.volumes.map((volume) => [volumeKey(volume.volumeId), volume.io] as const),
    ]),
  };
}

/** `samples` with `newest` at the end, without those that no rate needs any more. A clock that went back starts anew. */
export function withSample(samples: readonly CounterSample[], newest: CounterSample): readonly CounterSample[] {
  const last = samples.at(-1);
  if (last && newest.atMs <= last.atMs) return newest.atMs === last.atMs ? samples : [newest];
  const firstNeeded = samples.findLastIndex((sample) => newest.atMs - sample.atMs >= RATE_WINDOW_MS);
  return [...samples.slice(Math.max(0, firstNeeded)), newest];
}

/** Rates from the first to the last of `samples`. */
export function ratesOver(samples: readonly CounterSample[]): RateTable {
  const older = samples[0];
  const newer = samples.at(-1);
  const rates = new Map<string, IoRates>();
  if (!older || !newer || newer.atMs <= older.atMs) return rates;
  const seconds = (newer.atMs - older.atMs) / 1000;
  let sum: IoRates | undefined;
  for (const [key, counters] of newer.counters) {
    const before = older.counters.get(key);
    const rate = before && ratesBetween(before, counters, seconds);
    if (!rate) continue;
    rates.set(key, rate);
    if (key.startsWith("sds:")) sum = sum ? addRates(sum, rate) : rate;
  }
  if (sum) rates.set(CLUSTER_KEY, sum);
  return rates;
}

/** Undefined when a counter went back: its process started again, and what it counted before is not known. */
function ratesBetween(older: IoCounters, newer: IoCounters, seconds: number): IoRates | undefined {
  const deltas = {
    reads: newer.reads - older.reads,
    writes: newer.writes - older.writes,
    readBytes: newer.readBytes - older.readBytes,
    writtenBytes: newer.writtenBytes - older.writtenBytes,
    errors: newer.errors - older.errors,
  };
  if (Object.values(deltas).some((delta) => delta < 0)) return undefined;
  return {
    readsPerSecond: deltas.reads / seconds,
    writesPerSecond: deltas.writes / seconds,
    readBytesPerSecond: deltas.readBytes / seconds,
    writtenBytesPerSecond: deltas.writtenBytes / seconds,
    errorsPerSecond: deltas.errors / seconds,
  };
}

/** Both together. */
export function addRates(a: IoRates, b: IoRates): IoRates {
  return {
    readsPerSecond: a.readsPerSecond + b.readsPerSecond,
    writesPerSecond: a.writesPerSecond + b.writesPerSecond,
    readBytesPerSecond: a.readBytesPerSecond + b.readBytesPerSecond,
    writtenBytesPerSecond: a.writtenBytesPerSecond + b.writtenBytesPerSecond,
    errorsPerSecond: a.errorsPerSecond + b.errorsPerSecond,
  };
}

/** One point of the charts. */
export interface HistoryPoint {
  readonly atMs: number;
  readonly rates: IoRates;
}

/** Time that the charts show. */
export const HISTORY_MS = 600_000;

/** `history` with `point` at the end, without what is older than {@linkcode HISTORY_MS}. */
export function withPoint(history: readonly HistoryPoint[], point: HistoryPoint): readonly HistoryPoint[] {
  const last = history.at(-1);
  if (last && point.atMs <= last.atMs) return point.atMs === last.atMs ? history : [point];
  const firstKept = history.findIndex((old) => point.atMs - old.atMs <= HISTORY_MS);
  return [...(firstKept < 0 ? [] : history.slice(firstKept)), point];
}
