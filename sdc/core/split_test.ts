import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { pieceEnd, roundedInward, zeroesPieceOf } from "@/sdc/core/split.ts";

const offset = fc.integer({ min: 0, max: 2 ** 44 });
const length = fc.integer({ min: 1, max: 4 * 1024 * 1024 });

Deno.test("pieceEnd() covers the range exactly, with pieces that cross no multiple of the unit", () => {
  fc.assert(fc.property(offset, length, fc.constantFrom(65536, 1048576), (start, lengthBytes, unit) => {
    const end = start + lengthBytes;
    let at = start;
    let count = 0;
    while (at < end) {
      const next = pieceEnd(at, end, unit);
      assert(next > at && next - at <= unit);
      assertEquals(Math.floor(at / unit), Math.floor((next - 1) / unit), "both ends lie in one unit");
      assert(next === end || next % unit === 0, "pieces are as long as they may be");
      at = next;
      count++;
    }
    assertEquals(at, end);
    assertEquals(count, Math.floor((end - 1) / unit) - Math.floor(start / unit) + 1);
  }));
});

Deno.test("roundedInward() gives the whole blocks of a range", () => {
  fc.assert(fc.property(offset, length, (start, lengthBytes) => {
    const { startBytes, endBytes } = roundedInward(start, lengthBytes);
    assertEquals([startBytes % 4096, endBytes % 4096], [0, 0]);
    assert(startBytes >= start && startBytes < start + 4096);
    assert(endBytes >= startBytes);
    if (endBytes > startBytes) assert(endBytes <= start + lengthBytes && endBytes > start + lengthBytes - 4096);
  }));
  assertEquals(roundedInward(1, 4095), { startBytes: 4096, endBytes: 4096 });
  assertEquals(roundedInward(1, 10), { startBytes: 4096, endBytes: 4096 });
  assertEquals(roundedInward(4096, 8192), { startBytes: 4096, endBytes: 12288 });
});

Deno.test("zeroesPieceOf() covers the range exactly, with whole blocks of one chunk and parts of one block", () => {
  fc.assert(fc.property(offset, length, (start, lengthBytes) => {
    const end = start + lengthBytes;
    let raggedCount = 0;
    for (let at = start; at < end;) {
      const { endBytes, ragged } = zeroesPieceOf(at, end);
      assert(endBytes > at && endBytes <= end);
      assertEquals(ragged, (at | endBytes) % 4096 !== 0);
      if (ragged) assertEquals(Math.floor(at / 4096), Math.floor((endBytes - 1) / 4096));
      else assertEquals(Math.floor(at / 1048576), Math.floor((endBytes - 1) / 1048576));
      raggedCount += ragged ? 1 : 0;
      at = endBytes;
    }
    assert(raggedCount <= 2, "only the edges are ragged");
  }));
});
