import { assert, assertEquals } from "@std/assert";
import { CHUNK_BYTES } from "@/shared/constants.ts";
import { type Reaction } from "@/tests/support/fake_sds.ts";
import { SdcFixture } from "@/tests/support/sdc_fixture.ts";

function pattern(byteCount: number, seed: number): Uint8Array {
  return Uint8Array.from({ length: byteCount }, (_, index) => (index * 7 + (index >>> 8) + seed) % 251);
}

Deno.test("RemoteVolume writes and reads ranges of any alignment across pieces, chunks and SDSs", async () => {
  await using fixture = new SdcFixture();
  const { clock, cluster } = fixture;
  const data = pattern(3 * CHUNK_BYTES + 12345, 1);
  const written = fixture.write(700_001, data);
  await clock.advance(10);
  assertEquals(written.outcome, "ok");
  const read = fixture.read(700_001, data.length);
  const before = fixture.read(0, 700_001);
  await clock.advance(10);
  assertEquals([read.outcome, before.outcome], ["ok", "ok"]);
  assertEquals(read.data, data);
  assertEquals(before.data.every((byte) => byte === 0), true);
  for (const { offsetBytes, lengthBytes } of cluster.applied) {
    assertEquals(Math.floor(offsetBytes / 65536), Math.floor((offsetBytes + lengthBytes - 1) / 65536));
  }
  assertEquals(new Set(cluster.applied.map(({ opSeq }) => opSeq)).size, cluster.applied.length, "own opId per piece");
  assert(fixture.sds(1).counts.write > 0 && fixture.sds(2).counts.write > 0);
});

Deno.test("RemoteVolume repeats a write with the same opId until it is answered", async (t) => {
  const cases: readonly [string, Reaction, number][] = [
    ["connection lost before it was applied", "drop_before", 1],
    ["connection lost after it was applied", "drop_after", 2],
    ["not ready", { refuse: "not_ready" }, 1],
    ["token expired", { refuse: "token_expired" }, 1],
    ["the primary lost its role half way", { refuse: "outcome_unknown", applies: true }, 2],
    ["shutting down", { refuse: "shutting_down" }, 1],
  ];
  for (const [name, reaction, appliedCount] of cases) {
    await t.step(name, async () => {
      await using fixture = new SdcFixture();
      const { clock, cluster } = fixture;
      let left = 1;
      for (const sds of fixture.sdss) sds.script = ({ kind }) => kind === "write" && left-- > 0 ? reaction : "serve";
      const data = pattern(4096, 3);
      const written = fixture.write(8192, data);
      await clock.advance(2_000);
      assertEquals(written.outcome, "ok");
      assertEquals(cluster.applied.length, appliedCount);
      assertEquals(new Set(cluster.applied.map(({ opSession, opSeq }) => `${opSession}/${opSeq}`)).size, 1);
      assertEquals(cluster.chunk(0).subarray(8192, 12288), data);
    });
  }
});

Deno.test("RemoteVolume passes a final refusal on", async () => {
  await using fixture = new SdcFixture();
  for (const sds of fixture.sdss) sds.script = () => ({ refuse: "pool_full" });
  const written = fixture.write(0, pattern(3 * CHUNK_BYTES, 0));
  await fixture.clock.advance(10);
  assertEquals(written.outcome, "pool_full");
  assertEquals(fixture.failures.map(({ code, operation }) => [code, operation]), [["pool_full", "write"]]);
});

Deno.test("RemoteVolume runs overlapping writes in the order in which they came", async () => {
  await using fixture = new SdcFixture();
  const { clock, cluster } = fixture;
  const gate = Promise.withResolvers<void>();
  let first = true;
  for (const sds of fixture.sdss) {
    sds.script = () => {
      if (!first) return "serve";
      first = false;
      return { after: gate.promise };
    };
  }
  const [a, b, c] = [
    fixture.write(0, pattern(8192, 1)),
    fixture.write(4096, pattern(8192, 2)),
    fixture.write(6000, pattern(100, 3)),
  ];
  const other = fixture.write(65536, pattern(4096, 4));
  await clock.advance(100);
  assertEquals([a.outcome, b.outcome, c.outcome, other.outcome], [undefined, undefined, undefined, "ok"]);
  gate.resolve();
  await clock.advance(100);
  assertEquals([a.outcome, b.outcome, c.outcome], ["ok", "ok", "ok"]);
  const ofChunk = cluster.applied.filter(({ offsetBytes }) => offsetBytes < 65536);
  assertEquals(ofChunk.map(({ offsetBytes }) => offsetBytes), [0, 4096, 6000]);
  const expected = new Uint8Array(12288);
  expected.set(pattern(8192, 1));
  expected.set(pattern(8192, 2), 4096);
  expected.set(pattern(100, 3), 6000);
  assertEquals(cluster.chunk(0).subarray(0, 12288), expected);
});

Deno.test("RemoteVolume keeps no more in flight than its depth, and loses nothing of the rest", async () => {
  for (const queueDepth of [3, 256]) {
    await using fixture = new SdcFixture({ queueDepth });
    const { clock } = fixture;
    const gate = Promise.withResolvers<void>();
    for (const sds of fixture.sdss) sds.script = () => ({ after: gate.promise });
    const requests = Array.from({ length: 700 }, (_, index) => fixture.write(index * 4096, pattern(4096, index)));
    await clock.advance(50);
    assertEquals(fixture.sdss.map((sds) => sds.inFlightMax), [queueDepth, queueDepth].map((n) => Math.min(n, 512)));
    gate.resolve();
    await clock.advance(500);
    assertEquals(requests.filter(({ outcome }) => outcome === "ok").length, 700);
    assert(fixture.sdss.every((sds) => sds.inFlightMax <= queueDepth));
  }
});

Deno.test("RemoteVolume carries FUA, rounds trims inward and writes the ragged edges of zeroes", async () => {
  await using fixture = new SdcFixture();
  const { clock, cluster } = fixture;
  fixture.write(0, pattern(2 * CHUNK_BYTES, 5));
  await clock.advance(10);
  cluster.applied.length = 0;
  fixture.submit("write", 0, { data: pattern(10, 1), forceUnitAccess: true });
  await clock.advance(10);
  const trimmed = fixture.submit("trim", 100, { lengthBytes: CHUNK_BYTES + 5000 });
  await clock.advance(10);
  const zeroed = fixture.submit("write_zeroes", CHUNK_BYTES + 5096, { lengthBytes: 10, noHole: true });
  const ragged = fixture.submit("write_zeroes", CHUNK_BYTES + 40_000, { lengthBytes: 10_000, forceUnitAccess: true });
  const nothing = fixture.submit("trim", 4097, { lengthBytes: 4096 });
  await clock.advance(10);
  assertEquals([trimmed, zeroed, ragged, nothing].map(({ outcome }) => outcome), ["ok", "ok", "ok", "ok"]);
  assertEquals(
    cluster.applied.map(({ kind, chunkIndex, offsetBytes, lengthBytes, fua }) => [
      kind,
      chunkIndex,
      offsetBytes,
      lengthBytes,
      fua,
    ]),
    [
      ["write", 0, 0, 10, true],
      ["trim", 0, 4096, CHUNK_BYTES - 4096, false],
      ["trim", 1, 0, 4096, false],
      ["write", 1, 5096, 10, false],
      ["write", 1, 40_000, 960, true],
      ["write_zeroes", 1, 40_960, 8192, true],
      ["write", 1, 49_152, 848, true],
    ],
  );
});

Deno.test("RemoteVolume tells the extents that the primaries know", async () => {
  await using fixture = new SdcFixture();
  const { clock } = fixture;
  fixture.write(4096, pattern(4096, 1));
  fixture.write(CHUNK_BYTES - 4096, pattern(8192, 1));
  await clock.advance(10);
  const asked = fixture.volume.extents(0, 2 * CHUNK_BYTES);
  await clock.advance(100);
  assertEquals((await asked).map(({ lengthBytes, allocated }) => [lengthBytes, allocated]), [
    [4096, false],
    [4096, true],
    [CHUNK_BYTES - 12288, false],
    [8192, true],
    [CHUNK_BYTES - 4096, false],
  ]);
});

Deno.test("RemoteVolume holds what comes before the first map, and fails all of it when it stops", async () => {
  await using fixture = new SdcFixture();
  const { clock, cluster } = fixture;
  cluster.mdmIsUp = false;
  const requests = [fixture.write(0, pattern(100, 1)), fixture.read(0, 10), fixture.submit("flush")];
  await clock.advance(5_000);
  assertEquals(requests.map(({ outcome }) => outcome), [undefined, undefined, undefined]);
  cluster.mdmIsUp = true;
  await clock.advance(2_000);
  assertEquals(requests.map(({ outcome }) => outcome), ["ok", "ok", "ok"]);
  for (const sds of fixture.sdss) sds.script = () => "ignore";
  const later = [fixture.write(0, pattern(100, 1)), fixture.read(0, 10), fixture.submit("flush")];
  await clock.advance(10);
  fixture.volume.stop("fenced");
  assertEquals(later.map(({ outcome }) => outcome), ["fenced", "fenced", "fenced"]);
  assertEquals(fixture.read(0, 10).outcome, "fenced");
});

Deno.test("RemoteVolume renews its token before it expires, and at once when an SDS refuses it", async () => {
  await using fixture = new SdcFixture();
  const { clock, cluster } = fixture;
  const first = fixture.write(0, pattern(10, 1));
  await clock.advance(65_000);
  assertEquals([first.outcome, cluster.tokenCalls], ["ok", 3], "at the attach, after 30 s, after 60 s");
  cluster.oldestToken = cluster.newestToken + 1;
  const later = fixture.write(0, pattern(10, 2));
  await clock.advance(100);
  assertEquals([later.outcome, cluster.tokenCalls], ["ok", 4]);
  assertEquals(fixture.sdss.flatMap((sds) => sds.lanes), [1], "no connection was lost over it");
});

Deno.test("RemoteVolume stops when the MDM or an SDS fences it", async () => {
  await using fixture = new SdcFixture();
  const { clock } = fixture;
  await clock.advance(10);
  for (const sds of fixture.sdss) sds.script = () => ({ refuse: "fenced" });
  const written = fixture.write(0, pattern(10, 1));
  await clock.advance(10);
  assertEquals([written.outcome, fixture.volume.stopped, fixture.fencedCount], ["fenced", "fenced", 1]);
});
