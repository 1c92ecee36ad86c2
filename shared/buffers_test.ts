import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { BUFFER_BYTES_MAX, BUFFER_BYTES_MIN, BufferPool } from "@/shared/buffers.ts";

Deno.test("BufferPool.take() gives the smallest class that holds the bytes", () => {
  const pool = new BufferPool();
  const lengths = [0, 1, 4096, 4097, 8192, 65_535, 65_536, 65_537, 1 << 20, (32 << 20) + 28]
    .map((byteCount) => pool.take(byteCount).length);
  assertEquals(lengths, [4096, 4096, 4096, 8192, 8192, 65_536, 65_536, 131_072, 1 << 20, 64 << 20]);
  assertThrows(() => pool.take(BUFFER_BYTES_MAX + 1), Error, "largest class");
});

Deno.test("BufferPool.give() makes a buffer reusable by its class only", () => {
  const pool = new BufferPool();
  const buffer = pool.take(10_000);
  pool.give(buffer);
  assertEquals(pool.idleBytes, 16_384);
  assertEquals(pool.take(BUFFER_BYTES_MIN).length, BUFFER_BYTES_MIN);
  assertStrictEquals(pool.take(16_000), buffer);
  assertEquals(pool.idleBytes, 0);
});

Deno.test("BufferPool.give() refuses a part of a buffer", () => {
  const pool = new BufferPool();
  const buffer = pool.take(16_384);
  assertThrows(() => pool.give(buffer.subarray(0, 5000)), Error, "goes back whole");
  assertThrows(() => pool.give(buffer.subarray(0, 8192)), Error, "goes back whole");
  assertThrows(() => pool.give(new Uint8Array(0)), Error, "goes back whole");
});

Deno.test("BufferPool.give() keeps no more idle bytes than its limit", () => {
  const pool = new BufferPool({ idleBytesMax: 10_000 });
  const buffers = [pool.take(4096), pool.take(4096), pool.take(4096)];
  for (const buffer of buffers) pool.give(buffer);
  assertEquals(pool.idleBytes, 8192);
});
