import { assertEquals } from "@std/assert";
import { decodeMessage } from "@/sdc/device_server/messages.ts";
import { DEVICE_IO_BYTES_MAX } from "@/shared/wire/device.ts";

function decode(fields: unknown) {
  return decodeMessage(JSON.stringify(fields));
}

function problem(line: string): string {
  const message = decodeMessage(line);
  return message.ok ? "no problem" : message.problem;
}

Deno.test("decodeMessage() takes the action under three names and in any case", () => {
  for (const name of ["action", "operation", "command"]) {
    for (const kind of ["flush", "FLUSH", "Flush"]) {
      assertEquals(decode({ [name]: kind, id: 7 }), { ok: true, id: 7, command: { kind: "flush" } });
    }
  }
});

Deno.test("decodeMessage() decodes every command", () => {
  const commands = [
    { action: "CONNECT", volume_id: "12" },
    { action: "READ", offset_bytes: 5, length_bytes: 10 },
    { action: "WRITE", offset_bytes: 5, data_b64: "AQID" },
    { action: "TRIM", offset_bytes: 0, length_bytes: 2 ** 40 },
    { action: "DISCONNECT" },
  ].map((fields) => {
    const message = decode(fields);
    return message.ok ? message.command : message.problem;
  });
  assertEquals(commands, [
    { kind: "connect", volumeId: 12, framing: undefined },
    { kind: "read", offsetBytes: 5, lengthBytes: 10 },
    { kind: "write", offsetBytes: 5, data: new Uint8Array([1, 2, 3]) },
    { kind: "trim", offsetBytes: 0, lengthBytes: 2 ** 40 },
    { kind: "disconnect" },
  ]);
});

Deno.test("decodeMessage() says what is wrong", () => {
  const problems = [
    "nonsense",
    "[]",
    "null",
    "{}",
    '{"action":"EXPLODE"}',
    '{"action":"CONNECT"}',
    '{"action":"READ","offset_bytes":-1,"length_bytes":1}',
    '{"action":"READ","offset_bytes":1.5,"length_bytes":1}',
    `{"action":"READ","offset_bytes":0,"length_bytes":${DEVICE_IO_BYTES_MAX + 1}}`,
    '{"action":"WRITE","offset_bytes":0}',
    '{"action":"WRITE","offset_bytes":0,"data_b64":"?"}',
    '{"action":"CONNECT","volume_id":1,"framing":"tar"}',
  ].map(problem);
  assertEquals(problems, [
    "The message is not JSON",
    "The message is not a JSON object",
    "The message is not a JSON object",
    "The message has no action",
    'The action "EXPLODE" is not known',
    "volume_id is missing",
    "offset_bytes is not a whole number from 0 on",
    "offset_bytes is not a whole number from 0 on",
    "length_bytes is 16777217, at most 16777216 are allowed",
    "data_b64 is not a string",
    "data_b64 is not base64",
    'framing is "tar", this port offers "json" and "binary"',
  ]);
});

Deno.test("decodeMessage() takes the data of a frame from its payload", () => {
  const data = new Uint8Array([1, 2, 3]);
  const write = { action: "WRITE", offset_bytes: 5 };
  assertEquals(decodeMessage(JSON.stringify(write), data), {
    ok: true,
    id: undefined,
    command: { kind: "write", offsetBytes: 5, data },
  });
  const twice = decodeMessage(JSON.stringify({ ...write, data_b64: "AQID" }), data);
  assertEquals(twice.ok ? undefined : twice.problem, "data_b64 is not for frames: the data is their payload");
  const flush = decodeMessage('{"action":"FLUSH"}', data);
  assertEquals(flush.ok ? undefined : flush.problem, "The payload is 3 bytes, only a WRITE has one");
});
