/**
 * Rates of IO over the last few minutes: every {@linkcode SAMPLE_MS} the sums of all counters are kept, {@linkcode SAMPLES_MAX}
 * of them. A rate is the difference of two sums by the time between them; a sum that went back (its process started anew) counts
 * from 0.
 *
 * @module
 */
import type { MdmContext } from "@/mdm/context.ts";
import { ioTotals, NO_IO, sumOf } from "@/mdm/operations/io_totals.ts";
import { poolSpace } from "@/mdm/operations/pool_space.ts";
import { listPools } from "@/mdm/store/pools.ts";
import { listSdcs } from "@/mdm/store/sdc.ts";
import { listSds } from "@/mdm/store/sds.ts";
import { listVolumes } from "@/mdm/store/volumes.ts";
import type { IoCounters } from "@/shared/api/overview.ts";

/** Time between two samples, in ms: the window of the rates. */
export const SAMPLE_MS = 5_000;
/** Samples over which latency is a mean, for SDCs beat less often than samples are taken: 15 s. */
export const LATENCY_SAMPLES = 3;
/** Samples of the timeline: five minutes. */
export const SAMPLES_MAX = 60;

/** Whose counters. */
export type MetricsKey = `volume/${number}` | `sds/${number}` | `sdc/${number}` | `pool/${number}` | "cluster";

interface Sample {
  /** MDM time, in ms. */
  readonly atMs: number;
  readonly counters: ReadonlyMap<MetricsKey, IoCounters>;
  readonly usedBytes: number;
}

/** IO per second. */
export interface IoRates {
  readonly readIops: number;
  readonly writeIops: number;
  readonly readBytesPerSecond: number;
  readonly writtenBytesPerSecond: number;
  /** Mean time of an operation over {@linkcode LATENCY_SAMPLES}; null when none ended. */
  readonly latencyMs: number | null;
}

/** One point of the timeline. */
export interface TimelinePoint extends IoRates {
  /** MDM time, in ms. */
  readonly atMs: number;
  /** Of all pools. */
  readonly usedBytes: number;
}

const NO_RATES: IoRates = {
  readIops: 0,
  writeIops: 0,
  readBytesPerSecond: 0,
  writtenBytesPerSecond: 0,
  latencyMs: null,
};

/** See the module comment. */
export class MetricsWindow {
  readonly #samples: Sample[] = [];

  /** Keeps what the counters are now. */
  sample(context: MdmContext): void {
    this.#samples.push(sampleOf(context));
    // One more than the points: each is the way from one sample to the next.
    if (this.#samples.length > SAMPLES_MAX + 1) this.#samples.shift();
  }

  /** Over the last window; 0 before the second sample. */
  rates(key: MetricsKey): IoRates {
    return this.#ratesAt(this.#samples.length - 1, key);
  }

  /** Oldest first, at most {@linkcode SAMPLES_MAX}. */
  timeline(): TimelinePoint[] {
    return this.#samples.slice(1).map(({ atMs, usedBytes }, index) => ({
      atMs,
      usedBytes,
      ...this.#ratesAt(index + 1, "cluster"),
    }));
  }

  /** From the sample before the one at `index` to it. */
  #ratesAt(index: number, key: MetricsKey): IoRates {
    const [before, after] = [this.#samples[index - 1], this.#samples[index]];
    if (before === undefined || after === undefined) return NO_RATES;
    const first = this.#samples[Math.max(0, index - LATENCY_SAMPLES)]!;
    return { ...ratesBetween(before, { after, key }), latencyMs: latencyBetween(first, { after, key }) };
  }
}

interface Span {
  readonly after: Sample;
  readonly key: MetricsKey;
}

function ratesBetween(before: Sample, { after, key }: Span): Omit<IoRates, "latencyMs"> {
  const seconds = (after.atMs - before.atMs) / 1000;
  if (seconds <= 0) return NO_RATES;
  const rate = (field: keyof IoCounters) => growth(before, { after, key }, field) / seconds;
  return {
    readIops: rate("reads"),
    writeIops: rate("writes"),
    readBytesPerSecond: rate("readBytes"),
    writtenBytesPerSecond: rate("writtenBytes"),
  };
}

function latencyBetween(before: Sample, span: Span): number | null {
  const operations = growth(before, span, "timedOperations");
  return operations === 0 ? null : growth(before, span, "timedMs") / operations;
}

function growth(before: Sample, { after, key }: Span, field: keyof IoCounters): number {
  const from = (before.counters.get(key) ?? NO_IO)[field];
  const to = (after.counters.get(key) ?? NO_IO)[field];
  return to < from ? to : to - from;
}

const NOT_TIMED = { timedOperations: 0, timedMs: 0 };

function sampleOf(context: MdmContext): Sample {
  const sdcIds = listSdcs(context.db).map((sdc) => sdc.sdcId);
  const totals = ioTotals(context, { sdcIds });
  const counters = new Map<MetricsKey, IoCounters>();
  const add = (key: MetricsKey, counts: IoCounters) => counters.set(key, sumOf(counters.get(key) ?? NO_IO, counts));
  for (const volume of listVolumes(context.db)) {
    const counts = totals.ofVolume(volume.volumeId);
    add(`volume/${volume.volumeId}`, counts);
    add(`pool/${volume.poolId}`, counts);
  }
  for (const { sdsId } of listSds(context.db)) {
    const counts = totals.ofSds(sdsId);
    add(`sds/${sdsId}`, counts);
    add("cluster", { ...counts, ...NOT_TIMED });
  }
  for (const sdcId of sdcIds) {
    const counts = totals.ofSdc(sdcId);
    add(`sdc/${sdcId}`, counts);
    // SDSs count what is done, SDCs time it: there it enters.
    add("cluster", { ...NO_IO, timedOperations: counts.timedOperations, timedMs: counts.timedMs });
  }
  const usedBytes = listPools(context.db).reduce((sum, pool) => sum + poolSpace(context, pool).usedBytes, 0);
  return { atMs: context.time.nowMs(), counters, usedBytes };
}
