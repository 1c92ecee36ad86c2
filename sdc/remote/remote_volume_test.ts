import { assert, assertEquals } from "@std/assert";
import { SdcFixture } from "@/tests/support/sdc_fixture.ts";

function pattern(byteCount: number, seed: number): Uint8Array {
  return Uint8Array.from({ length: byteCount }, (_, index) => (index * 7 + (index >>> 8) + seed) % 251);
}

Deno.test("RemoteVolume writes and reads ranges of any alignment across pieces, chunks and SDSs", async () => {
  await using fixture = new SdcFixture();
  const { clock, cluster } = fixture;
  const data = pattern(3 * 1048576 + 12345, 1);
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
