/**
 * Messages of the device port: one JSON object per line in both directions, answered in order.
 *
 * | message    | fields                       | answer, besides `ok: true`                                           |
 * | ---------- | ---------------------------- | -------------------------------------------------------------------- |
 * | CONNECT    | volume_id, framing           | volume_id, size_bytes, volume_size_bytes (the same),                 |
 * |            |                              | chunk_size_bytes, access_mode, message; framing if it was asked for  |
 * | READ       | offset_bytes, length_bytes   | data_b64, length_bytes, bytes_read (the same)                        |
 * | WRITE      | offset_bytes, data_b64       | bytes_written, token_id (of the session token that covers it)        |
 * | FLUSH      |                              |                                                                      |
 * | TRIM       | offset_bytes, length_bytes   | length_bytes                                                         |
 * | DISCONNECT |                              | and the connection is closed                                         |
 *
 * `framing` is `json` or `binary`. What follows the answer to a CONNECT with `binary`, both ways, is frames
 * (`shared/wire/device.ts`): the same objects, with data as payload instead of `data_b64`.
 *
 * The kind of a message stands in `action`, `operation` or `command`, in any case. A failure is answered with
 * `ok: false, error, code`; the connection goes on, except after a line that is too long. `id`, a string or a number, comes
 * back in the answer.
 *
 * @module
 */
import type { ErrorCode } from "@/shared/errors.ts";
import { DEVICE_IO_BYTES_MAX } from "@/shared/wire/device.ts";

/** Longest line, in bytes: the largest write in base64 and its other fields. */
export const DEVICE_LINE_BYTES_MAX = 24 * 1024 * 1024;
/** Longest `id`, in characters: every answer carries it. */
export const ID_CHARACTERS_MAX = 256;

/** How messages are sent from the answer to a CONNECT on. */
export type Framing = "json" | "binary";

/** What identifies a message to its sender. */
export type MessageId = string | number | undefined;

/** What a client asks for. */
export type DeviceCommand =
  | { readonly kind: "connect"; readonly volumeId: number; readonly framing: Framing | undefined }
  | { readonly kind: "read"; readonly offsetBytes: number; readonly lengthBytes: number }
  | { readonly kind: "write"; readonly offsetBytes: number; readonly data: Uint8Array }
  | { readonly kind: "flush" }
  | { readonly kind: "trim"; readonly offsetBytes: number; readonly lengthBytes: number }
  | { readonly kind: "disconnect" };

/** A decoded line: a command, or what is wrong with it. */
export type DeviceMessage =
  | { readonly ok: true; readonly id: MessageId; readonly command: DeviceCommand }
  | { readonly ok: false; readonly id: MessageId; readonly problem: string; readonly code: ErrorCode };

/** Why a line is not a command: thrown within this file only. */
class Malformed extends Error {
  constructor(message: string, readonly code: ErrorCode = "bad_request") {
    super(message);
  }
}

type Fields = Readonly<Record<string, unknown>>;

/** Decodes one line, or the header of a frame with its payload; a write borrows the payload. */
export function decodeMessage(text: string, payload?: Uint8Array): DeviceMessage {
  let id: MessageId;
  try {
    const fields = parseObject(text);
    id = idOf(fields);
    return { ok: true, id, command: commandOf(fields, payload) };
  } catch (error) {
    if (error instanceof Malformed) return { ok: false, id, problem: error.message, code: error.code };
    throw error;
  }
}

function parseObject(text: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Malformed("The message is not JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Malformed("The message is not a JSON object");
  }
  return value as Fields; // a JSON object has string keys and unknown values
}

function idOf(fields: Fields): MessageId {
  const id = fields["id"];
  if (typeof id === "string" && id.length > ID_CHARACTERS_MAX) {
    throw new Malformed(`id has ${id.length} characters, at most ${ID_CHARACTERS_MAX} are allowed`);
  }
  return typeof id === "string" || typeof id === "number" ? id : undefined;
}

function commandOf(fields: Fields, payload: Uint8Array | undefined): DeviceCommand {
  const name = fields["action"] ?? fields["operation"] ?? fields["command"];
  if (typeof name !== "string") throw new Malformed("The message has no action");
  const kind = name.toLowerCase();
  if (payload !== undefined && payload.length > 0 && kind !== "write") {
    throw new Malformed(`The payload is ${payload.length} bytes, only a WRITE has one`);
  }
  switch (kind) {
    case "connect":
      return { kind, volumeId: count(fields, "volume_id"), framing: framingOf(fields) };
    case "read":
      return { kind, ...range(fields, DEVICE_IO_BYTES_MAX) };
    case "write":
      return { kind, offsetBytes: count(fields, "offset_bytes"), data: dataOf(fields, payload) };
    case "trim":
      return { kind, ...range(fields, Number.MAX_SAFE_INTEGER) };
    case "flush":
    case "disconnect":
      return { kind };
    default:
      throw new Malformed(`The action ${JSON.stringify(name.slice(0, 40))} is not known`);
  }
}

function range(fields: Fields, lengthBytesMax: number): { offsetBytes: number; lengthBytes: number } {
  const lengthBytes = count(fields, "length_bytes");
  if (lengthBytes > lengthBytesMax) {
    throw new Malformed(`length_bytes is ${lengthBytes}, at most ${lengthBytesMax} are allowed`, "too_large");
  }
  return { offsetBytes: count(fields, "offset_bytes"), lengthBytes };
}

/** A whole number from 0 on; digits in a string are taken for the number, as the predecessor's clients send them. */
function count(fields: Fields, name: string): number {
  const value = fields[name];
  const number = typeof value === "string" && /^\d{1,16}$/.test(value) ? Number(value) : value;
  if (typeof number !== "number" || !Number.isSafeInteger(number) || number < 0) {
    throw new Malformed(value === undefined ? `${name} is missing` : `${name} is not a whole number from 0 on`);
  }
  return number;
}

function framingOf({ framing }: Fields): Framing | undefined {
  if (framing === undefined || framing === "json" || framing === "binary") return framing;
  throw new Malformed(
    `framing is ${JSON.stringify(framing).slice(0, 40)}, this port offers "json" and "binary"`,
    "unsupported",
  );
}

/** Data of a write: the payload of its frame, or in base64. */
function dataOf(fields: Fields, payload: Uint8Array | undefined): Uint8Array {
  if (payload === undefined) return base64(fields, "data_b64");
  if (fields["data_b64"] !== undefined) throw new Malformed("data_b64 is not for frames: the data is their payload");
  return payload;
}

function base64(fields: Fields, name: string): Uint8Array {
  const value = fields[name];
  if (typeof value !== "string") throw new Malformed(`${name} is not a string`);
  let data: Uint8Array;
  try {
    data = Uint8Array.fromBase64(value);
  } catch {
    throw new Malformed(`${name} is not base64`);
  }
  if (data.length > DEVICE_IO_BYTES_MAX) {
    throw new Malformed(`${name} is ${data.length} bytes, at most ${DEVICE_IO_BYTES_MAX} are allowed`, "too_large");
  }
  return data;
}
