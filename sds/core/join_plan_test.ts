import { assertEquals } from "@std/assert";
import { JoinPlan } from "@/sds/core/join_plan.ts";
import { setBit } from "@/sds/device/bitmap.ts";

function planOf(...regions: number[]) {
  const bitmap = new Uint8Array(128);
  for (const region of regions) setBit(bitmap, region);
  return new JoinPlan(bitmap);
}

Deno.test("JoinPlan holds back writes of a chunk until it is copied, region by region", () => {
  const plan = planOf(3, 900);
  const a = { key: 1, region: 3 };
  const b = { key: 2, region: 3 };
  const later = { key: 3, region: 900 };
  const elsewhere = { key: 4, region: 5 };
  assertEquals([a, later, elsewhere].map((chunk) => plan.isPending(chunk)), [true, true, false]);
  assertEquals(plan.nextRegion(() => [a]), { region: 3, chunks: [a] });
  assertEquals(plan.nextChunk(), a);
  assertEquals(plan.isPending(a), true);
  plan.chunkCopied(a);
  assertEquals(plan.isPending(a), false);
  plan.chunkCreated(b);
  assertEquals(plan.isPending(b), true, "made meanwhile: the copier brings it");
  assertEquals(plan.nextChunk(), b);
  plan.chunkCopied(b);
  assertEquals(plan.nextChunk(), undefined);
  assertEquals([a, b, later].map((chunk) => plan.isPending(chunk)), [false, false, true]);
  assertEquals(plan.nextRegion(() => [])?.region, 900);
  assertEquals(plan.nextChunk(), undefined);
  assertEquals(plan.nextRegion(() => []), undefined);
  assertEquals(plan.regionsLeft, 0);
});

Deno.test("JoinPlan brings a chunk that was deleted and made again in a region under way", () => {
  const plan = planOf(0);
  const chunk = { key: 7, region: 0 };
  plan.nextRegion(() => [chunk]);
  plan.nextChunk();
  plan.chunkCopied(chunk);
  plan.chunkCreated(chunk);
  assertEquals(plan.isPending(chunk), false, "it was copied, so its writes are forwarded");
  assertEquals(plan.nextChunk(), undefined);
});
