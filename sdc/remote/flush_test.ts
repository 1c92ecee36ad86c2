import { assertEquals } from "@std/assert";
import { CHUNK_BYTES } from "@/shared/constants.ts";
import { SdcFixture } from "@/tests/support/sdc_fixture.ts";

const DATA = new Uint8Array(4096).fill(7);

/** A fixture whose flush list is empty. */
async function flushed(options: ConstructorParameters<typeof SdcFixture>[0] = {}): Promise<SdcFixture> {
  const fixture = new SdcFixture(options);
  const flush = fixture.submit("flush");
  await fixture.clock.advance(10);
  assertEquals(flush.outcome, "ok");
  for (const sds of fixture.sdss) sds.counts.flush = 0;
  return fixture;
}

Deno.test("flush: one frame per SDS that holds unflushed writes, none when there are none", async () => {
  await using fixture = await flushed();
  const { clock } = fixture;
  fixture.write(fixture.chunksAt(1)[0]! * CHUNK_BYTES, DATA);
  await clock.advance(10);
  const first = fixture.submit("flush");
  await clock.advance(10);
  const second = fixture.submit("flush");
  assertEquals([first.outcome, second.outcome], ["ok", "ok"]);
  assertEquals(fixture.sdss.map((sds) => sds.counts.flush), [1, 0]);
});

Deno.test("flush: lost writes fail one flush, with the groups in the log", async () => {
  await using fixture = await flushed();
  const { clock } = fixture;
  const [chunk] = fixture.chunksAt(1);
  fixture.write(chunk! * CHUNK_BYTES, DATA);
  await clock.advance(10);
  const group = fixture.groupOfChunk(chunk!);
  group.lossGeneration++;
  group.epoch++;
  const first = fixture.submit("flush");
  await clock.advance(500);
  assertEquals(first.outcome, "flush_lost");
  assertEquals(fixture.failures.map(({ code, message }) => [code, message.includes(` ${group.pgId}`)]), [
    ["flush_lost", true],
  ]);
  assertEquals(fixture.kept.get(group.pgId), 1);
  fixture.write(chunk! * CHUNK_BYTES, DATA);
  await clock.advance(10);
  const second = fixture.submit("flush");
  await clock.advance(10);
  assertEquals(second.outcome, "ok");
});

Deno.test("flush: one that comes while another runs waits for a round of its own", async () => {
  await using fixture = await flushed();
  const { clock } = fixture;
  const offset = fixture.chunksAt(1)[0]! * CHUNK_BYTES;
  fixture.write(offset, DATA);
  await clock.advance(10);
  const gate = Promise.withResolvers<void>();
  fixture.sds(1).script = ({ kind }) => kind === "flush" ? { after: gate.promise } : "serve";
  const first = fixture.submit("flush");
  await clock.advance(10);
  fixture.write(offset, DATA);
  await clock.advance(10);
  const [second, third] = [fixture.submit("flush"), fixture.submit("flush")];
  await clock.advance(10);
  assertEquals([first.outcome, second.outcome, third.outcome], [undefined, undefined, undefined]);
  assertEquals(fixture.sds(1).counts.flush, 1);
  gate.resolve();
  await clock.advance(10);
  assertEquals([first.outcome, second.outcome, third.outcome], ["ok", "ok", "ok"]);
  assertEquals(fixture.sds(1).counts.flush, 2, "the second and the third share a round");
});

Deno.test("flush: waits through failover and asks the new primary", async () => {
  await using fixture = await flushed();
  const { clock, cluster } = fixture;
  fixture.write(fixture.chunksAt(1)[0]! * CHUNK_BYTES, DATA);
  await clock.advance(10);
  await fixture.sds(1).stop();
  const flush = fixture.submit("flush");
  await clock.advance(4_000);
  assertEquals(flush.outcome, undefined);
  cluster.failOver(1, 2);
  await clock.advance(2_000);
  assertEquals([flush.outcome, fixture.sds(2).counts.flush], ["ok", 1]);
});

Deno.test("flush: given up after the time for IO, its groups are asked again by the next", async () => {
  await using fixture = await flushed({ ioGiveUpMs: 5_000 });
  const { clock } = fixture;
  fixture.write(fixture.chunksAt(1)[0]! * CHUNK_BYTES, DATA);
  await clock.advance(10);
  fixture.sds(1).script = () => "ignore";
  const first = fixture.submit("flush");
  await clock.advance(7_000);
  assertEquals(first.outcome, "give_up");
  fixture.sds(1).script = () => "serve";
  const second = fixture.submit("flush");
  await clock.advance(100);
  assertEquals([second.outcome, fixture.sds(1).counts.flush], ["ok", 2]);
});

Deno.test("flush: after an attach it covers all groups with the values kept from before", async (t) => {
  await t.step("first attach: the current values are kept", async () => {
    await using fixture = await flushed();
    assertEquals([...fixture.kept].sort(), [[100, 0], [101, 0], [102, 0], [103, 0]]);
  });
  await t.step("a loss while the SDC was away fails the first flush", async () => {
    const kept = new Map([[100, 0], [101, 0], [102, 0], [103, 0]]);
    await using fixture = new SdcFixture({ kept });
    fixture.cluster.groups[2]!.lossGeneration = 1;
    const first = fixture.submit("flush");
    await fixture.clock.advance(10);
    const second = fixture.submit("flush");
    await fixture.clock.advance(10);
    assertEquals([first.outcome, second.outcome], ["flush_lost", "ok"]);
    assertEquals(fixture.kept.get(102), 1);
  });
});

Deno.test("flush: given up also when no map ever came", async () => {
  await using fixture = new SdcFixture({ ioGiveUpMs: 5_000 });
  fixture.cluster.mdmIsUp = false;
  const [flush, write] = [fixture.submit("flush"), fixture.write(0, DATA)];
  await fixture.clock.advance(4_000);
  assertEquals([flush.outcome, write.outcome], [undefined, undefined]);
  await fixture.clock.advance(2_500);
  assertEquals([flush.outcome, write.outcome], ["give_up", "give_up"]);
  fixture.cluster.mdmIsUp = true;
  await fixture.clock.advance(3_000);
  assertEquals(fixture.cluster.applied, [], "what was given up is not sent");
});
