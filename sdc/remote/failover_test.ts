import { assert, assertEquals, assertLess } from "@std/assert";
import { CHUNK_BYTES } from "@/shared/constants.ts";
import { SdcFixture } from "@/tests/support/sdc_fixture.ts";

const DATA = Uint8Array.from({ length: 4096 }, (_, index) => index % 241);

/** A fixture whose connections are open and idle. */
async function warm(options: ConstructorParameters<typeof SdcFixture>[0] = {}): Promise<SdcFixture> {
  const fixture = new SdcFixture(options);
  const reads = [1, 2].map((sdsId) => fixture.read(fixture.chunksAt(sdsId)[0]! * CHUNK_BYTES, 512));
  await fixture.clock.advance(10);
  assertEquals(reads.map(({ outcome }) => outcome), ["ok", "ok"]);
  return fixture;
}

Deno.test("scenario: a primary dies, IO waits and goes on at the one that took over", async () => {
  await using fixture = await warm();
  const { clock, cluster } = fixture;
  const offset = fixture.chunksAt(1)[0]! * CHUNK_BYTES;
  await fixture.sds(1).stop();
  const [written, read] = [fixture.write(offset, DATA), fixture.read(offset + 8192, 4096)];
  await clock.advance(6_000);
  assertEquals([written.outcome, read.outcome], [undefined, undefined]);
  const callsBefore = cluster.mapCalls;
  cluster.failOver(1, 2);
  await clock.advance(400);
  assertEquals([written.outcome, read.outcome], ["ok", "ok"]);
  assertLess(cluster.mapCalls - callsBefore, 5);
  assertEquals(cluster.applied.map(({ sdsId, epoch }) => [sdsId, epoch]), [[2, 2]]);
});

Deno.test("scenario: the MDM is away too, an SDS tells the new configuration", async () => {
  await using fixture = await warm();
  const { clock, cluster } = fixture;
  await fixture.sds(1).stop();
  cluster.mdmIsUp = false;
  const written = fixture.write(fixture.chunksAt(1)[0]! * CHUNK_BYTES, DATA);
  await clock.advance(3_000);
  cluster.failOver(1, 2);
  await clock.advance(600);
  assertEquals(written.outcome, "ok");
});

Deno.test("scenario: a primary is silent, what is in flight there moves as soon as another has taken over", async () => {
  await using fixture = await warm();
  const { clock, cluster } = fixture;
  const chunks = fixture.chunksAt(1);
  fixture.sds(1).script = () => "ignore";
  const requests = chunks.map((chunk) => fixture.write(chunk * CHUNK_BYTES, DATA));
  const flushed = fixture.submit("flush");
  await clock.advance(5_000);
  assertEquals(requests.map(({ outcome }) => outcome), chunks.map(() => undefined));
  assertEquals(fixture.sds(1).lanes, [1], "silence is not yet a lost connection");
  cluster.failOver(1, 2);
  await clock.advance(1_500);
  assertEquals(requests.every(({ outcome }) => outcome === "ok"), true);
  assertEquals(flushed.outcome, "ok");
  assertEquals(cluster.applied.every(({ sdsId }) => sdsId === 2), true);
});

Deno.test("scenario: an answer never comes, the connection is opened again under a higher lane", async () => {
  await using fixture = await warm();
  const { clock, cluster } = fixture;
  let ignored = 0;
  fixture.sds(1).script = () => ignored++ === 0 ? "ignore" : "serve";
  const written = fixture.write(fixture.chunksAt(1)[0]! * CHUNK_BYTES, DATA);
  await clock.advance(10_000);
  assertEquals([written.outcome, fixture.sds(1).lanes.length], [undefined, 1]);
  await clock.advance(3_000);
  assertEquals(written.outcome, "ok");
  assertEquals(fixture.sds(1).lanes, [1, 2]);
  assertEquals(cluster.applied.map(({ lane }) => lane), [2]);
});

Deno.test("scenario: a member comes and goes, the epoch of the refusal is enough", async () => {
  await using fixture = await warm();
  const { clock, cluster } = fixture;
  const mapCalls = cluster.mapCalls;
  for (const group of cluster.groups) group.epoch = 4;
  const written = fixture.write(0, DATA);
  await clock.advance(10);
  assertEquals([written.outcome, cluster.mapCalls], ["ok", mapCalls]);
  assertEquals(cluster.applied.map(({ epoch }) => epoch), [4]);
});

Deno.test("scenario: many requests are refused at once, the map is fetched once for all of them", async () => {
  await using fixture = await warm();
  const { clock, cluster } = fixture;
  cluster.failOver(1, 2);
  const mapCalls = cluster.mapCalls;
  const chunks = fixture.chunksAt(2);
  const requests = chunks.flatMap((chunk) =>
    Array.from({ length: 16 }, (_, index) => fixture.write(chunk * CHUNK_BYTES + index * 4096, DATA))
  );
  await clock.advance(300);
  assertEquals(requests.every(({ outcome }) => outcome === "ok"), true);
  assertLess(cluster.mapCalls - mapCalls, 4);
});

Deno.test("scenario: nobody serves for too long, the request fails and its blocks stay locked until it cannot strike late", async () => {
  await using fixture = await warm({ ioGiveUpMs: 20_000 });
  const { clock, cluster } = fixture;
  const offset = fixture.chunksAt(1)[0]! * CHUNK_BYTES;
  let serves = false;
  fixture.sds(1).script = () => serves ? "serve" : "ignore";
  const [written, read] = [fixture.write(offset, DATA), fixture.read(offset, 4096)];
  await clock.advance(19_000);
  assertEquals([written.outcome, read.outcome], [undefined, undefined]);
  const lanes = fixture.sds(1).lanes.length;
  await fixture.sds(1).stop();
  await clock.advance(3_000);
  assertEquals([written.outcome, read.outcome], ["give_up", "give_up"]);
  const [overlapping, beside] = [fixture.write(offset + 100, DATA), fixture.write(offset + 65536, DATA)];
  await clock.advance(5_000);
  assertEquals([overlapping.outcome, beside.outcome], [undefined, undefined]);
  assertEquals(fixture.volume.pendingCount, 2);
  serves = true;
  cluster.failOver(1, 2);
  await clock.advance(3_000);
  assertEquals([overlapping.outcome, beside.outcome], ["ok", "ok"]);
  assertEquals(cluster.applied.map(({ sdsId }) => sdsId), [2, 2]);
  assert(lanes >= 1);
});

Deno.test("scenario: a write is given up on an open connection, which is opened anew before the blocks are free", async () => {
  await using fixture = await warm({ ioGiveUpMs: 3_000 });
  const { clock, cluster } = fixture;
  const offset = fixture.chunksAt(1)[0]! * CHUNK_BYTES;
  const gate = Promise.withResolvers<void>();
  let held = 0;
  fixture.sds(1).script = () => held++ === 0 ? { after: gate.promise } : "serve";
  const written = fixture.write(offset, DATA.map(() => 1));
  await clock.advance(4_500);
  assertEquals(written.outcome, "give_up");
  const later = fixture.write(offset, DATA);
  gate.resolve();
  await clock.advance(2_000);
  assertEquals(later.outcome, "ok");
  assertEquals(fixture.sds(1).lanes, [1, 2]);
  assertEquals(cluster.applied.map(({ lane }) => lane), [2], "the held write was on the lane that is gone");
});

Deno.test("scenario: an SDS that drops every connection is not hammered", async () => {
  await using fixture = await warm();
  const { clock } = fixture;
  fixture.sds(1).script = () => "drop_before";
  fixture.write(fixture.chunksAt(1)[0]! * CHUNK_BYTES, DATA);
  await clock.advance(10_000);
  assertLess(fixture.sds(1).lanes.length, 40);
  fixture.sds(1).script = () => "serve";
  await clock.advance(1_500);
  assertEquals(fixture.volume.pendingCount, 0);
});
