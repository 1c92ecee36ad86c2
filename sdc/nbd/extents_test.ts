import { assertEquals, assertThrows } from "@std/assert";
import { extentsToReport } from "@/sdc/nbd/extents.ts";

const data = (lengthBytes: number) => ({ lengthBytes, allocated: true, zero: false });
const hole = (lengthBytes: number) => ({ lengthBytes, allocated: false, zero: true });

Deno.test("extentsToReport() joins neighbours of one kind and leaves out empty ones", () => {
  assertEquals(extentsToReport([data(1), hole(0), data(2), hole(3), hole(4), data(5)], 10), [
    data(3),
    hole(7),
    data(5),
  ]);
});

Deno.test("extentsToReport() ends before the extent that is one too many, with the last joined in full", () => {
  assertEquals(extentsToReport([data(1), hole(2), hole(3), data(4), hole(5)], 2), [data(1), hole(5)]);
  assertEquals(extentsToReport([data(1), data(1), hole(2)], 1), [data(2)]);
});

Deno.test("extentsToReport() asks for at least one byte", () => {
  assertThrows(() => extentsToReport([hole(0)], 1), Error, "at least one byte");
});
