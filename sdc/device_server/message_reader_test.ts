import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { MessageReader } from "@/sdc/device_server/message_reader.ts";
import { BufferPool } from "@/shared/buffers.ts";
import { DEVICE_IO_BYTES_MAX, encodeDeviceFrame } from "@/shared/wire/device.ts";

/** A reader of `bytes` that arrive in parts of `partBytes`. */
function readerOf(
  bytes: Uint8Array,
  partBytes: number,
  lineBytesMax = 1_000_000,
  buffers = new BufferPool(),
): MessageReader {
  let position = 0;
  return new MessageReader({
    buffers,
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

async function linesOf(reader: MessageReader): Promise<string[]> {
  const lines: string[] = [];
  while (true) {
    const line = await reader.nextLine();
    if (line.kind !== "line") return [...lines, `<${line.kind}>`];
    lines.push(line.text);
  }
}

Deno.test("MessageReader gives lines however they arrive, the last one without newline too", async () => {
  const bytes = new TextEncoder().encode("one\n\nzwölf\nlast");
  for (const partBytes of [1, 2, 5, 100]) {
    assertEquals(await linesOf(readerOf(bytes, partBytes)), ["one", "", "zwölf", "last", "<end>"]);
  }
});

Deno.test("MessageReader gives long lines between short ones", async () => {
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

Deno.test("MessageReader ends at a line that is too long, whether its newline has come or not", async () => {
  const bytes = new TextEncoder().encode(`1234567890\n${"x".repeat(11)}`);
  assertEquals(await linesOf(readerOf(bytes, 100, 10)), ["1234567890", "<too_long>"]);
  const ended = new TextEncoder().encode("12345678901\nrest");
  assertEquals(await linesOf(readerOf(ended, 100, 10)), ["<too_long>"]);
});

Deno.test("MessageReader gives frames however they arrive, behind a line", async () => {
  const sizes = fc.array(fc.oneof(fc.nat(20), fc.nat(300_000)), { maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(sizes, fc.integer({ min: 1000, max: 100_000 }), async (payloadSizes, partBytes) => {
      const payloads = payloadSizes.map((size, index) => new Uint8Array(size).fill(index + 1));
      const frames = payloads.flatMap((payload, id) => [encodeDeviceFrame({ id }, payload.length), payload]);
      const reader = readerOf(joined([new TextEncoder().encode("{}\n"), ...frames]), partBytes);
      assertEquals(await reader.nextLine(), { kind: "line", text: "{}" });
      for (const [id, payload] of payloads.entries()) {
        assertEquals(await reader.nextFrame(), { kind: "frame", text: JSON.stringify({ id }), payload });
      }
      assertEquals(await reader.nextFrame(), { kind: "end" });
    }),
    { numRuns: 30 },
  );
});

Deno.test("MessageReader says which length of a frame is wrong, and takes no more memory than has arrived", async () => {
  const problems: unknown[] = [];
  for (const lengths of [[1, 0], [16_385, 0], [2, DEVICE_IO_BYTES_MAX + 1], [2, DEVICE_IO_BYTES_MAX]]) {
    const bytes = new Uint8Array(Uint32Array.from(lengths).buffer);
    const largest: number[] = [];
    const buffers = new BufferPool();
    const take = buffers.take.bind(buffers);
    buffers.take = (byteCount) => (largest.push(byteCount), take(byteCount));
    const swapped = bytes.map((_, index) => bytes[index - index % 4 + 3 - index % 4]!);
    const next = await readerOf(swapped, 100, 100, buffers).nextFrame();
    problems.push(next.kind === "broken" ? next.problem : next.kind);
    assert(Math.max(...largest) <= 64 * 1024);
  }
  assertEquals(problems, [
    "headerBytes is 1, must be 2 to 16384",
    "headerBytes is 16385, must be 2 to 16384",
    "payloadBytes is 16777217, at most 16777216",
    "The stream ends in a frame",
  ]);
});

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
