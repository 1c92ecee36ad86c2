import { assertEquals } from "@std/assert";
import { clusterSentence } from "@/mgmt/core/sentence.ts";
import type { Overview, PgCounts } from "@/shared/api/overview.ts";
import { degradedFixture, overviewFixture, sdsFixture } from "@/tests/support/mgmt_fixture.ts";

function withPool(pool: Partial<Overview["pools"][number]>, change: Partial<Overview> = {}): Overview {
  const base = overviewFixture(change);
  return { ...base, pools: [{ ...base.pools[0]!, ...pool }] };
}

function pgs(change: Partial<PgCounts>): { pgs: PgCounts } {
  return { pgs: { total: 128, full: 128, degraded: 0, joining: 0, unavailable: 0, ...change } };
}

function text(overview: Overview): string {
  return clusterSentence(overview).text;
}

Deno.test("clusterSentence() says that all is well in figures", () => {
  assertEquals(clusterSentence(overviewFixture()), {
    level: "ok",
    text: "All 128 groups have two copies; 3 of 3 storage servers are up.",
    key: "ok",
  });
});

Deno.test("clusterSentence() names cause, effect and progress of a lost server", () => {
  const sentence = clusterSentence(degradedFixture({ silentMs: 14_300, joining: 12, done: 36 }));
  assertEquals(
    sentence.text,
    "SDS sds-2 has been silent for 14 s: 49 of 128 groups have one copy; they are being rebuilt, 42 % done.",
  );
  assertEquals(sentence.level, "warning");
  const later = clusterSentence(degradedFixture({ silentMs: 20_000, joining: 12, done: 40 }));
  assertEquals(later.key, sentence.key, "seconds and percent are no news");
  assertEquals(
    text(degradedFixture({ silentMs: 6_000, joining: 0, done: 0 })),
    "SDS sds-2 has been silent for 6 s: 85 of 128 groups have one copy; they are rebuilt when it returns, or elsewhere if it " +
      "stays away.",
  );
});

Deno.test("clusterSentence() keeps telling progress between two joins of a rebuild", () => {
  const between = { ...degradedFixture({ silentMs: 100, joining: 0, done: 40 }), sdss: overviewFixture().sdss };
  assertEquals(text(between), "45 of 128 groups have one copy; they are being rebuilt, 47 % done.");
  const begun = { ...degradedFixture({ silentMs: 100, joining: 0, done: 0 }), sdss: overviewFixture().sdss };
  assertEquals(text(begun), "85 of 128 groups have one copy; they are about to be rebuilt.");
});

Deno.test("clusterSentence() puts groups that nobody serves first", () => {
  const silent = { lastBeatAgeMs: 20_000 };
  const overview = withPool(pgs({ full: 0, degraded: 85, unavailable: 43 }), {
    sdss: [sdsFixture(1, silent), sdsFixture(2, silent), sdsFixture(3)],
  });
  assertEquals(clusterSentence(overview).level, "critical");
  assertEquals(
    text(overview),
    "2 storage servers are silent (sds-1 and sds-2): 43 of 128 groups cannot be served; reads and writes of them wait until a " +
      "copy is back.",
  );
});

Deno.test("clusterSentence() says that groups are being taken over, which is not that nobody serves them", () => {
  const overview = withPool(pgs({ full: 85, degraded: 43, takingOver: 43 }), {
    sdss: [sdsFixture(1, { lastBeatAgeMs: 5_200 }), sdsFixture(2), sdsFixture(3)],
  });
  assertEquals(clusterSentence(overview).level, "warning");
  assertEquals(
    text(overview),
    "SDS sds-1 has been silent for 5 s: 43 of 128 groups are being taken over by their other copy; reads and writes of them " +
      "wait for some seconds.",
  );
});

Deno.test("clusterSentence() tells away servers and failed devices while all copies are there", () => {
  const stopped = sdsFixture(3, { stopping: true });
  assertEquals(
    text(overviewFixture({ sdss: [sdsFixture(1), sdsFixture(2), stopped] })),
    "All 128 groups have two copies, but SDS sds-3 is stopped.",
  );
  const broken = sdsFixture(1, { devices: [{ ...sdsFixture(1).devices[0]!, state: "failed" }] });
  assertEquals(
    text(overviewFixture({ sdss: [broken, sdsFixture(2)] })),
    "All 128 groups have two copies, but device blk0 of sds-1 failed.",
  );
  assertEquals(
    text(overviewFixture({ sdss: [broken, stopped] })),
    "All 128 groups have two copies, but SDS sds-3 is stopped, and device blk0 of sds-1 failed.",
  );
});

Deno.test("clusterSentence() warns of a full pool", () => {
  const overview = withPool({ rawUsedBytes: 96, rawCapacityBytes: 100 });
  assertEquals(clusterSentence(overview).level, "critical");
  assertEquals(text(overview), "All 128 groups have two copies; pool pool-1 is 96 % full.");
});

Deno.test("clusterSentence() guides through an empty cluster", () => {
  const none = { sdss: [], pools: [], volumes: [], sdcs: [] };
  assertEquals(
    text(overviewFixture({ ...none, components: [] })),
    "The cluster is empty: no storage server has joined yet.",
  );
  assertEquals(
    text(overviewFixture(none)),
    "3 storage servers have joined and wait to be added to a protection domain.",
  );
  assertEquals(text(overviewFixture({ pools: [] })), "3 storage servers are ready, but there is no pool yet.");
  assertEquals(
    text(withPool(pgs({ total: 0, full: 0 }))),
    "There is no volume yet, so there is nothing to protect; 3 of 3 storage servers are up.",
  );
});
