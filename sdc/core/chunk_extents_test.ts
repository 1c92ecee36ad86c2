import { assertEquals } from "@std/assert";
import { ExtentBuilder, partOfChunk } from "@/sdc/core/chunk_extents.ts";

Deno.test("ExtentBuilder joins neighbours of one kind, also across chunks", () => {
  const written = new Uint8Array(32);
  written[0] = 0b0000_0110;
  written[31] = 0b1000_0000;
  const builder = new ExtentBuilder();
  builder.addChunk(written, 100, 1048576);
  builder.addChunk(new Uint8Array(32).fill(255), 0, 5000);
  builder.addChunk(new Uint8Array(32), 0, 10);
  const hole = { allocated: false, zero: true };
  const data = { allocated: true, zero: false };
  assertEquals(builder.extents, [
    { lengthBytes: 3996, ...hole },
    { lengthBytes: 8192, ...data },
    { lengthBytes: 252 * 4096, ...hole },
    { lengthBytes: 4096 + 5000, ...data },
    { lengthBytes: 10, ...hole },
  ]);
});

Deno.test("partOfChunk() cuts a range at the borders of a chunk", () => {
  const range = { offsetBytes: 1048576 - 10, lengthBytes: 1048576 + 30 };
  assertEquals(partOfChunk(0, range), { startBytes: 1048566, endBytes: 1048576 });
  assertEquals(partOfChunk(1, range), { startBytes: 0, endBytes: 1048576 });
  assertEquals(partOfChunk(2, range), { startBytes: 0, endBytes: 20 });
});
