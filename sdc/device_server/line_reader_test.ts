import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { LineReader } from "@/sdc/device_server/line_reader.ts";
import { BufferPool } from "@/shared/buffers.ts";

/** A reader of `bytes` that arrive in parts of `partBytes`. */
function readerOf(bytes: Uint8Array, partBytes: number, lineBytesMax = 1_000_000): LineReader {
  let position = 0;
  return new LineReader({
    buffers: new BufferPool(),
    lineBytesMax,
    read(into) {
      if (position === bytes.length) return Promise.resolve(null);
      const part = bytes.subarray(position, position + Math.min(partBytes, into.length));
      into.set(part);
      position += part.length;
      return Promise.resolve(part.length);
    },
  });
}

async function linesOf(reader: LineReader): Promise<string[]> {
  const lines: string[] = [];
  while (true) {
    const line = await reader.next();
    if (line.kind !== "line") return [...lines, `<${line.kind}>`];
    lines.push(line.text);
  }
}

Deno.test("LineReader gives lines however they arrive, the last one without newline too", async () => {
  const bytes = new TextEncoder().encode("one\n\nzwölf\nlast");
  for (const partBytes of [1, 2, 5, 100]) {
    assertEquals(await linesOf(readerOf(bytes, partBytes)), ["one", "", "zwölf", "last", "<end>"]);
  }
});

Deno.test("LineReader gives long lines between short ones", async () => {
  const lengths = fc.array(fc.oneof(fc.nat(20), fc.nat(300_000)), { maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(lengths, fc.integer({ min: 1000, max: 100_000 }), async (lineBytes, partBytes) => {
      const lines = lineBytes.map((length, index) => String.fromCharCode(97 + index).repeat(length));
      const bytes = new TextEncoder().encode(lines.map((line) => line + "\n").join(""));
      assertEquals(await linesOf(readerOf(bytes, partBytes)), [...lines, "<end>"]);
    }),
    { numRuns: 30 },
  );
});

Deno.test("LineReader ends at a line that is too long, whether its newline has come or not", async () => {
  const bytes = new TextEncoder().encode(`1234567890\n${"x".repeat(11)}`);
  assertEquals(await linesOf(readerOf(bytes, 100, 10)), ["1234567890", "<too_long>"]);
  const ended = new TextEncoder().encode("12345678901\nrest");
  assertEquals(await linesOf(readerOf(ended, 100, 10)), ["<too_long>"]);
});
