/**
 * Newline JSON on the data port of an SDS: the way in for scripts, `nc` and lessons. A connection whose first byte is `{` speaks
 * it. One JSON object per line, answers in the order of the requests; there is no challenge, every request carries a single-use
 * token (`shared/io_token.ts`).
 *
 * | request field | meaning |
 * | --- | --- |
 * | action, operation or command | `read`, `write` or `init_volume`, in any case |
 * | token | the object that `POST /io/authorize` answered |
 * | volume_id | must be the token's |
 * | chunk_id | of a segment of the token's plan |
 * | offset_bytes | within the chunk (`target_offset_bytes` of the plan) |
 * | length_bytes | read: how much |
 * | data_b64 | write: the bytes, base64 |
 *
 * | answer | fields |
 * | --- | --- |
 * | read | `ok: true, data_b64, bytes_read, generation, checksum` |
 * | write | `ok: true, bytes_written, generation` |
 * | init_volume | `ok: true, volume_id, message` |
 * | failure | `ok: false, error, code` |
 *
 * `generation` is the epoch under which the chunk was served, `checksum` the CRC-32 of the bytes, 8 hexadecimal digits. A line
 * that is no JSON object, or too long, is answered and ends its connection; any other refusal leaves it open.
 *
 * @module
 */
import { z } from "zod";
import { CHUNK_BYTES } from "@/shared/constants.ts";
import { type ErrorCode, StorageError } from "@/shared/errors.ts";

/** First byte of a connection that speaks this. */
export const JSON_LINE_FIRST_BYTE = 0x7b;
/** Longest line, in bytes, without its end. */
export const JSON_LINE_BYTES_MAX = 24 * 1024 * 1024;
const LINE_FEED = 0x0a;
/** Room that a line buffer begins with and comes back to. */
export const LINE_BUFFER_BYTES_MIN = 64 * 1024;

const VERB_FIELDS = ["action", "operation", "command"] as const;
/** Base64 of a whole chunk. */
const DATA_CHARACTERS_MAX = Math.ceil(CHUNK_BYTES / 3) * 4;

const count = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);
const place = { token: z.unknown().optional(), volume_id: count, chunk_id: count, offset_bytes: count };
const requestSchema = z.discriminatedUnion("action", [
  z.object({ action: z.literal("read"), ...place, length_bytes: count.min(1) }),
  z.object({
    action: z.literal("write"),
    ...place,
    data_b64: z.string().min(4).max(DATA_CHARACTERS_MAX).regex(
      /^[A-Za-z0-9+/]*={0,2}$/,
      "must be base64",
    ).refine((text) => text.length % 4 === 0, "must be base64, padded"),
  }),
  z.object({ action: z.literal("init_volume"), token: z.unknown().optional(), volume_id: count }),
]);
/** One request; `token` is not looked at yet. */
export type JsonRequest = z.output<typeof requestSchema>;

/** Any answer. */
export type JsonAnswer =
  | {
    readonly ok: true;
    readonly data_b64: string;
    readonly bytes_read: number;
    readonly generation: number;
    readonly checksum: string;
  }
  | { readonly ok: true; readonly bytes_written: number; readonly generation: number }
  | { readonly ok: true; readonly volume_id: number; readonly message: string }
  | { readonly ok: false; readonly error: string; readonly code: ErrorCode };

const decoder = new TextDecoder("utf-8", { fatal: true });

/** The object that a line is. Borrows `line`. @throws {StorageError} `bad_request` if it is none. */
export function parseJsonLine(line: Uint8Array): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(line));
  } catch (cause) {
    throw new StorageError("bad_request", "Cannot read the line: it is not JSON", { cause });
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw new StorageError("bad_request", "Cannot read the line: it is JSON, but not an object");
  }
  return value as Record<string, unknown>; // just checked
}

/** The request of a line. @throws {StorageError} `bad_request` that names the field. */
export function parseJsonRequest(value: Readonly<Record<string, unknown>>): JsonRequest {
  const verbs = VERB_FIELDS.map((field) => value[field]).filter((verb) => verb !== undefined);
  if (verbs.length === 0) {
    throw new StorageError("bad_request", `Cannot serve the line: it has none of ${VERB_FIELDS.join(", ")}`);
  }
  const action = String(verbs[0]).toLowerCase();
  const parsed = requestSchema.safeParse({ ...value, action });
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new StorageError("bad_request", `Cannot serve the line: ${issue.path.join(".")}: ${issue.message}`);
}

/** What lines are gathered in: one growing buffer, so that any packets make any lines in linear time. */
export class LineBuffer {
  #bytes = new Uint8Array(LINE_BUFFER_BYTES_MIN);
  #start = 0;
  #end = 0;
  #scannedTo = 0;
  readonly #mayGrow: (byBytes: number) => boolean;

  /** `mayGrow` is asked for room beyond {@linkcode LINE_BUFFER_BYTES_MIN}, and told with a negative number what was given back. */
  constructor(mayGrow: (byBytes: number) => boolean) {
    this.#mayGrow = mayGrow;
  }

  /** Gives everything back: the connection is over. */
  release(): void {
    this.#end = this.#start;
    this.#reset();
  }

  /**
   * Adds what arrived, at most {@linkcode LINE_BUFFER_BYTES_MIN}; take every line before the next.
   * @throws {StorageError} `too_large` for a line over the limit, `too_busy` when no more room is given.
   */
  append(bytes: Uint8Array): void {
    if (this.#end + bytes.length > this.#bytes.length) this.#makeRoom(bytes.length);
    this.#bytes.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  /** The next whole line, borrowed until the next call; undefined when there is none. @throws {StorageError} `too_large` */
  next(): Uint8Array | undefined {
    const at = this.#bytes.subarray(0, this.#end).indexOf(LINE_FEED, this.#scannedTo);
    const lineEnd = at < 0 ? this.#end : at;
    if (lineEnd - this.#start > JSON_LINE_BYTES_MAX) {
      throw new StorageError("too_large", `Cannot read the line: it is longer than ${JSON_LINE_BYTES_MAX} bytes`);
    }
    this.#scannedTo = this.#end;
    if (at < 0) {
      if (this.#start === this.#end) this.#reset();
      return undefined;
    }
    const line = this.#bytes.subarray(this.#start, at);
    this.#start = this.#scannedTo = at + 1;
    return line;
  }

  #makeRoom(moreBytes: number): void {
    const heldBytes = this.#end - this.#start;
    let size = this.#bytes.length;
    while (size < heldBytes + moreBytes) size *= 2;
    const growthBytes = size - this.#bytes.length;
    if (growthBytes > 0 && !this.#mayGrow(growthBytes)) {
      throw new StorageError("too_busy", "Cannot read the line: other connections hold the room for lines");
    }
    const larger = growthBytes > 0 ? new Uint8Array(size) : this.#bytes;
    if (growthBytes > 0) larger.set(this.#bytes.subarray(this.#start, this.#end));
    else larger.copyWithin(0, this.#start, this.#end);
    this.#bytes = larger;
    this.#scannedTo -= this.#start;
    this.#start = 0;
    this.#end = heldBytes;
  }

  #reset(): void {
    this.#start = this.#end = this.#scannedTo = 0;
    if (this.#bytes.length === LINE_BUFFER_BYTES_MIN) return;
    this.#mayGrow(LINE_BUFFER_BYTES_MIN - this.#bytes.length);
    this.#bytes = new Uint8Array(LINE_BUFFER_BYTES_MIN);
  }
}
