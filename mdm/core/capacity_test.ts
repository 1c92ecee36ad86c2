import { assert, assertEquals } from "@std/assert";
import {
  bytesOfGib,
  capacityProblem,
  deviceCapacityBytes,
  GIB_BYTES,
  gibOfBytes,
  gibText,
  pgCountFor,
  VOLUME_BYTES_MAX,
  volumeSizeProblem,
} from "@/mdm/core/capacity.ts";

Deno.test("bytesOfGib() rounds up to blocks", () => {
  assertEquals([bytesOfGib(1), bytesOfGib(0.05), bytesOfGib(1e-9)], [GIB_BYTES, 53_690_368, 4_096]);
  assertEquals(gibOfBytes(GIB_BYTES / 2), 0.5);
});

Deno.test("gibText() shows a size that was rounded up to blocks as it was asked for", () => {
  assertEquals([0.7, 0.05, 2, 16_384].map((gib) => gibText(bytesOfGib(gib))), [
    "0.7 GB",
    "0.05 GB",
    "2 GB",
    "16384 GB",
  ]);
});

Deno.test("volumeSizeProblem() wants 1 MiB to 16 TiB", () => {
  assertEquals([2 ** 20, VOLUME_BYTES_MAX].map(volumeSizeProblem), [undefined, undefined]);
  assert([2 ** 20 - 4_096, VOLUME_BYTES_MAX + 4_096].every((bytes) => volumeSizeProblem(bytes) !== undefined));
});

Deno.test("capacityProblem() says what is left", () => {
  const pool = { limitBytes: 2 * GIB_BYTES, provisionedBytes: 1.5 * GIB_BYTES };
  assertEquals(capacityProblem(pool, 0.5 * GIB_BYTES), undefined);
  assertEquals(capacityProblem(pool, GIB_BYTES), "the pool has 0.5 GB of 2 GB left, 1 GB are needed");
});

Deno.test("deviceCapacityBytes() is the smaller of claimed and offered", () => {
  assertEquals([deviceCapacityBytes(5, null), deviceCapacityBytes(5, 3), deviceCapacityBytes(5, 9)], [5, 3, 5]);
});

Deno.test("pgCountFor() is a power of two within its limits", () => {
  const limits = { copies: 2, min: 64, max: 4096 };
  assertEquals([1, 3, 4, 8, 1000].map((deviceCount) => pgCountFor({ deviceCount, ...limits })), [
    64,
    128,
    128,
    256,
    4096,
  ]);
});
