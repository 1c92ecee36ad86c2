import { assertEquals, assertThrows } from "@std/assert";
import { StorageError } from "@/shared/errors.ts";
import {
  JSON_LINE_BYTES_MAX,
  LINE_BUFFER_BYTES_MIN,
  LineBuffer,
  parseJsonLine,
  parseJsonRequest,
} from "@/shared/wire/json_lines.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function linesOf(buffer: LineBuffer): string[] {
  const lines: string[] = [];
  for (let line = buffer.next(); line !== undefined; line = buffer.next()) lines.push(decoder.decode(line));
  return lines;
}

function codeOf(run: () => unknown): string {
  return assertThrows(run, StorageError).code;
}

Deno.test("LineBuffer gives the same lines however they were cut into packets", () => {
  const lines = ["{}", "", "x".repeat(3 * LINE_BUFFER_BYTES_MIN), "last"];
  const bytes = encoder.encode(lines.map((line) => `${line}\n`).join(""));
  for (const packetBytes of [1, 7, 4096, LINE_BUFFER_BYTES_MIN]) {
    const buffer = new LineBuffer(() => true);
    const found: string[] = [];
    for (let at = 0; at < bytes.length; at += packetBytes) {
      buffer.append(bytes.subarray(at, at + packetBytes));
      found.push(...linesOf(buffer));
    }
    assertEquals(found, lines, `${packetBytes} bytes per packet`);
  }
});

Deno.test("LineBuffer asks for room, gives it back, and ends at a line that is too long", () => {
  let grantedBytes = 0;
  const buffer = new LineBuffer((byBytes) => {
    grantedBytes += byBytes;
    return true;
  });
  const packet = new Uint8Array(LINE_BUFFER_BYTES_MIN).fill(0x20);
  for (let count = 0; count < 4; count++) {
    buffer.append(packet);
    assertEquals(linesOf(buffer), []);
  }
  assertEquals(grantedBytes, 3 * LINE_BUFFER_BYTES_MIN);
  buffer.append(Uint8Array.of(0x0a));
  assertEquals(linesOf(buffer).map((line) => line.length), [4 * LINE_BUFFER_BYTES_MIN]);
  assertEquals(grantedBytes, 0, "all is given back");
  const tooLong = () => {
    for (let bytes = 0; bytes <= JSON_LINE_BYTES_MAX; bytes += packet.length) {
      buffer.append(packet);
      buffer.next();
    }
  };
  assertEquals(codeOf(tooLong), "too_large");
  buffer.release();
  assertEquals(grantedBytes, 0);
  const refused = new LineBuffer(() => false);
  refused.append(packet);
  assertEquals(codeOf(() => refused.append(packet)), "too_busy");
});

Deno.test("parseJsonLine() takes objects only", () => {
  assertEquals(parseJsonLine(encoder.encode('{"a":1}\r')), { a: 1 });
  for (const text of ["", "{", "1", "null", "[]", '"x"', "\u0000"]) {
    assertEquals(codeOf(() => parseJsonLine(encoder.encode(text))), "bad_request", text);
  }
  assertEquals(codeOf(() => parseJsonLine(Uint8Array.of(0x7b, 0xff, 0x7d))), "bad_request");
});

Deno.test("parseJsonRequest() takes the verb from three fields and names what is wrong", () => {
  const read = { volume_id: 1, chunk_id: 2, offset_bytes: 3, length_bytes: 4 };
  for (const verb of [{ action: "READ" }, { operation: "Read" }, { command: "read" }]) {
    assertEquals(parseJsonRequest({ ...read, ...verb }).action, "read");
  }
  const messageOf = (change: object) =>
    assertThrows(() => parseJsonRequest({ ...read, action: "read", ...change }), StorageError).message;
  assertEquals(messageOf({ action: undefined }), "Cannot serve the line: it has none of action, operation, command");
  for (const field of Object.keys(read)) {
    for (const value of [undefined, -1, 1.5, "1", 2 ** 60]) {
      assertEquals(messageOf({ [field]: value }).startsWith(`Cannot serve the line: ${field}: `), true, field);
    }
  }
  for (const data_b64 of [undefined, "", "a", "abc", "ab c", "ab-_", "A".repeat(2 ** 21)]) {
    assertEquals(codeOf(() => parseJsonRequest({ ...read, action: "write", data_b64 })), "bad_request");
  }
});
