import { assert, assertEquals } from "@std/assert";
import { drawOperations, type FsxDevice, runOperations, shrink } from "@/tests/support/fsx.ts";

const RANGE = { sizeBytes: 4 << 20, blockBytes: 4096 };

/** A device in memory. `loses` says which zeroing it forgets. */
function memoryDevice(loses: (lengthBytes: number) => boolean = () => false): FsxDevice {
  const bytes = new Uint8Array(RANGE.sizeBytes);
  return {
    read: (offset, length) => Promise.resolve(bytes.slice(offset, offset + length)),
    write: (offset, data) => Promise.resolve(void bytes.set(data, offset)),
    zero: (offset, length) => Promise.resolve(void (loses(length) || bytes.fill(0, offset, offset + length))),
    trim: (offset, length) => {
      const first = Math.ceil(offset / RANGE.blockBytes) * RANGE.blockBytes;
      const last = Math.floor((offset + length) / RANGE.blockBytes) * RANGE.blockBytes;
      if (first < last) bytes.fill(0, first, last);
      return Promise.resolve();
    },
    flush: () => Promise.resolve(),
    reopen: () => Promise.resolve(),
  };
}

Deno.test("runOperations() finds nothing wrong with a device that does what it is told", async () => {
  const operations = drawOperations(1, { count: 500, range: RANGE });
  assertEquals(await runOperations(operations, { device: memoryDevice(), range: RANGE }), undefined);
});

Deno.test("drawOperations() gives the same list for the same seed, and every kind", () => {
  const draw = () => drawOperations(7, { count: 200, range: RANGE });
  assertEquals(draw(), draw());
  const kinds = new Set(draw().map(({ kind }) => kind));
  assertEquals([...kinds].sort(), ["flush", "read", "reopen", "trim", "write", "zero"]);
});

Deno.test("shrink() leaves the write and the zeroing that a faulty device forgets", async () => {
  const operations = drawOperations(3, { count: 300, range: RANGE });
  const device = memoryDevice((lengthBytes) => lengthBytes < 4096);
  const fails = async (part: readonly (typeof operations)[number][]) =>
    await runOperations(part, { device, range: RANGE }) !== undefined;
  assert(await fails(operations));
  const few = await shrink(operations, { fails, runsMax: 500 });
  assertEquals(few.map(({ kind }) => kind), ["write", "zero"]);
});
