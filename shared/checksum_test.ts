import { assertEquals } from "@std/assert";
import { blockCrc, writeBlockCrcs } from "@/shared/checksum.ts";
import { blocksTouched } from "@/shared/wire/header.ts";

/** A block whose CRC-32 is 0: zeros but for its last four bytes, which undo the CRC of what stands before them. */
const BLOCK_WITH_CRC_0 = (() => {
  const block = new Uint8Array(4096);
  // Found by running the polynomial backwards from 0 over the last four bytes.
  block.set([0x14, 0x0e, 0xe2, 0x0d], 4092);
  return block;
})();

Deno.test("blockCrc() is the CRC-32 of zlib", () => {
  assertEquals(blockCrc(new TextEncoder().encode("123456789"), 0, 9), 0xcbf43926);
  assertEquals(blockCrc(new Uint8Array(4096), 0, 4096), 0xc71c0011);
});

Deno.test("blockCrc() maps 0 to 1 for whole blocks only", () => {
  const shifted = new Uint8Array(4096 + 10);
  shifted.set(BLOCK_WITH_CRC_0, 10);
  assertEquals(blockCrc(shifted, 10, 4106), 1);
  assertEquals(blockCrc(new Uint8Array(0), 0, 0), 0);
  assertEquals(blockCrc(new Uint8Array([255, 255, 255, 255]), 0, 4), 0xffffffff);
});

Deno.test("writeBlockCrcs() gives one checksum per block touched, of the part in it", () => {
  const data = crypto.getRandomValues(new Uint8Array(3 * 4096));
  const cases = [
    { dataStart: 0, offsetBytes: 0, lengthBytes: 4096 },
    { dataStart: 100, offsetBytes: 4096 * 7, lengthBytes: 8192 },
    { dataStart: 5, offsetBytes: 4000, lengthBytes: 100 },
    { dataStart: 0, offsetBytes: 1, lengthBytes: 1 },
    { dataStart: 0, offsetBytes: 4095, lengthBytes: 4098 },
  ];
  for (const range of cases) {
    const view = new DataView(new ArrayBuffer(64));
    const bytes = writeBlockCrcs(view, 4, data, range);
    assertEquals(bytes, 4 * blocksTouched(range.offsetBytes, range.lengthBytes), JSON.stringify(range));
    let at = range.offsetBytes;
    const end = range.offsetBytes + range.lengthBytes;
    for (let index = 0; index < bytes / 4; index++) {
      const blockEnd = Math.min(end, (Math.floor(at / 4096) + 1) * 4096);
      const start = range.dataStart + at - range.offsetBytes;
      assertEquals(view.getUint32(4 + 4 * index), blockCrc(data, start, start + blockEnd - at));
      at = blockEnd;
    }
    assertEquals(at, end);
  }
});
