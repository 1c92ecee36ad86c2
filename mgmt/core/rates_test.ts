import { assertEquals } from "@std/assert";
import { NO_IO } from "@/tests/support/mgmt_fixture.ts";
import {
  CLUSTER_KEY,
  type CounterSample,
  HISTORY_MS,
  type HistoryPoint,
  ratesOver,
  sdsKey,
  withPoint,
  withSample,
} from "@/mgmt/core/rates.ts";

function sample(atMs: number, reads: readonly number[]): CounterSample {
  const counters = reads.map((count, index) =>
    [sdsKey(index + 1), { ...NO_IO, reads: count, readBytes: count * 4096 }] as const
  );
  return { atMs, counters: new Map(counters) };
}

function gathered(samples: readonly CounterSample[]): readonly CounterSample[] {
  return samples.reduce<readonly CounterSample[]>(withSample, []);
}

Deno.test("ratesOver() divides by the time between the samples and sums the servers", () => {
  const rates = ratesOver(gathered([sample(0, [0, 100]), sample(1_000, [50, 100]), sample(2_000, [100, 140])]));
  assertEquals(rates.get(sdsKey(1))?.readsPerSecond, 50);
  assertEquals(rates.get(sdsKey(2))?.readBytesPerSecond, 20 * 4096);
  assertEquals(rates.get(CLUSTER_KEY)?.readsPerSecond, 70);
});

Deno.test("ratesOver() tells no rate of a counter that started again or is new", () => {
  const rates = ratesOver([sample(0, [900]), sample(5_000, [10, 40])]);
  assertEquals([...rates.keys()], []);
  assertEquals(ratesOver([sample(0, [1])]).size, 0, "one sample makes no rate");
});

Deno.test("withSample() keeps one sample at or beyond the window and drops older ones", () => {
  const samples = gathered([0, 1, 2, 3, 4, 5, 6, 7].map((second) => sample(second * 1000, [second])));
  assertEquals(samples.map(({ atMs }) => atMs), [2_000, 3_000, 4_000, 5_000, 6_000, 7_000]);
  assertEquals(withSample(samples, sample(7_000, [9])), samples, "the same instant brings nothing new");
  assertEquals(withSample(samples, sample(500, [9])).length, 1, "a clock that went back starts anew");
});

Deno.test("withPoint() forgets what is older than the charts show", () => {
  const rates = {
    readsPerSecond: 1,
    writesPerSecond: 0,
    readBytesPerSecond: 0,
    writtenBytesPerSecond: 0,
    errorsPerSecond: 0,
  };
  const points = [0, 1_000, HISTORY_MS, HISTORY_MS + 1_000].map((atMs): HistoryPoint => ({ atMs, rates }));
  const history = points.reduce<readonly HistoryPoint[]>(withPoint, []);
  assertEquals(history.map(({ atMs }) => atMs), [1_000, HISTORY_MS, HISTORY_MS + 1_000]);
});
