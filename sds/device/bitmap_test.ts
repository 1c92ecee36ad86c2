import { assertEquals } from "@std/assert";
import { clearBit, hasBit, mergeBits, setBit, setBitsOf } from "@/sds/device/bitmap.ts";

Deno.test("setBit() and clearBit() change one bit, setBitsOf() lists them", () => {
  const bitmap = new Uint8Array(128);
  for (const index of [0, 7, 8, 1023]) setBit(bitmap, index);
  assertEquals([bitmap[0], bitmap[1], bitmap[127]], [0x81, 0x01, 0x80]);
  assertEquals(setBitsOf(bitmap), [0, 7, 8, 1023]);
  clearBit(bitmap, 7);
  assertEquals([hasBit(bitmap, 7), hasBit(bitmap, 8)], [false, true]);
  assertEquals(setBitsOf(bitmap), [0, 8, 1023]);
});

Deno.test("mergeBits() says whether anything was new", () => {
  const target = Uint8Array.of(0b0011);
  assertEquals(mergeBits(target, Uint8Array.of(0b0001)), false);
  assertEquals(mergeBits(target, Uint8Array.of(0b0101)), true);
  assertEquals(target, Uint8Array.of(0b0111));
});
