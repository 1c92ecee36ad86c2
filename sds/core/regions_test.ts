import { assertEquals } from "@std/assert";
import { clearableRegions } from "@/sds/core/regions.ts";

function bitmapOf(...regions: number[]) {
  const bitmap = new Uint8Array(128);
  for (const region of regions) bitmap[region >> 3]! |= 1 << (region & 7);
  return bitmap;
}

Deno.test("clearableRegions() keeps the newest and the running ones", () => {
  const lastWrite = new Map([[1, 10], [2, 30], [3, 20]]);
  const facts = { lastWrite, keepCount: 1, isRunning: (region: number) => region === 3 };
  assertEquals(clearableRegions(bitmapOf(1, 2, 3, 4), facts), [
    { region: 4, writeNumber: 0 },
    { region: 1, writeNumber: 10 },
  ]);
  assertEquals(clearableRegions(bitmapOf(1, 2), { ...facts, keepCount: 64 }), []);
});
