/**
 * The frames of the data path (SDC to SDS, SDS to SDS), whose fields exist once and travel in two forms.
 *
 * A frame is `u32 headerBytes, u32 payloadBytes, header, payload`, big-endian. A header that begins with `{` is JSON: an object
 * with `kind` and the field names of the table below, or one of the control messages of `control.ts`. Any other header is
 * compact: exactly {@linkcode COMPACT_HEADER_BYTES} bytes in this layout, all integers big-endian and unsigned.
 *
 * | offset | bytes | field          | meaning |
 * | -----: | ----: | -------------- | ------- |
 * |      0 |     1 | kind           | a number of {@linkcode FRAME_KINDS}; never 0x7b |
 * |      1 |     1 | flags          | sum of {@linkcode FRAME_FLAGS} |
 * |      2 |     2 | status         | answers: 0, or `wire` of a code in `shared/errors.ts` |
 * |      4 |     4 | requestId      | chosen by the asker, repeated by the answer |
 * |      8 |     4 | handle         | volume that a session opened with a token |
 * |     12 |     4 | pgId           | placement group |
 * |     16 |     4 | epoch          | epoch that the sender acts under |
 * |     20 |     4 | nodeId         | layer of the vTree |
 * |     24 |     4 | chunkIndex     | chunk of the volume |
 * |     28 |     4 | offsetBytes    | start within the chunk, 0 to 1048575 |
 * |     32 |     4 | lengthBytes    | 1 to 1048576 - offsetBytes; with data at most 65536 |
 * |     36 |     4 | opSession      | session of the SDC that started the operation |
 * |     40 |     8 | opSeq          | its number within the session, below 2^53; with opSession the opId, kept across retries |
 * |     48 |     4 | writeNumber    | the primary's count of writes of the group (5.4) |
 * |     52 |     4 | lossGeneration | of the group (4.3) |
 * |     56 |     4 | vtreeId        | volume with its snapshots; SDS to SDS only, an SDC's handle implies it |
 * |     60 |     4 | traceId        | follows one request through logs; 0 when nobody traces |
 *
 * A field that a kind does not use is 0 in compact form and absent in JSON.
 *
 * @module
 */

/** Bytes before the header. */
export const FRAME_PREFIX_BYTES = 8;
/** Size of every compact header. */
export const COMPACT_HEADER_BYTES = 64;
/** Largest JSON header: a configuration of a pool's groups fits. */
export const JSON_HEADER_BYTES_MAX = 4 * 1024 * 1024;
/** Largest JSON header before a connection has proved who it is. */
export const HANDSHAKE_HEADER_BYTES_MAX = 16 * 1024;
/** Largest payload: 64 KiB of data behind 17 checksums (an unaligned piece touches 17 blocks), rounded up for batches. */
export const FRAME_PAYLOAD_BYTES_MAX = 128 * 1024;

/** Kinds of frames that have a compact form. */
export const FRAME_KINDS = {
  // SDC to primary.
  read: 1,
  write: 2,
  trim: 3,
  write_zeroes: 4,
  flush: 5,
  // Primary to member or joiner.
  replicate: 16,
  replicate_trim: 17,
  replicate_zeroes: 18,
  join_copy: 19,
  pulse: 20,
  // Answers.
  answer: 32,
  read_answer: 33,
  flush_answer: 34,
  write_acks: 35,
  replicate_acks: 36,
  pulse_answer: 37,
} as const;
export type FrameKind = keyof typeof FRAME_KINDS;

/** First byte of a JSON header. */
export const JSON_HEADER_FIRST_BYTE = 0x7b;

/** Bits of `flags`. */
export const FRAME_FLAGS = {
  /** On stable storage of every member before the answer. */
  fua: 1,
  /** write_zeroes: keep the space allocated. */
  noHole: 2,
  /** replicate*: the member has no row of this chunk yet as far as the primary knows, and may veto with pool_full. */
  allocates: 4,
  /** join_copy: the last frame of this chunk. */
  last: 8,
  /** join_copy: the first frame of this chunk. */
  first: 16,
} as const;

/** Field name to place: `[offset, bytes]`. The table above, for code. */
export const HEADER_FIELDS = {
  kind: [0, 1],
  flags: [1, 1],
  status: [2, 2],
  requestId: [4, 4],
  handle: [8, 4],
  pgId: [12, 4],
  epoch: [16, 4],
  nodeId: [20, 4],
  chunkIndex: [24, 4],
  offsetBytes: [28, 4],
  lengthBytes: [32, 4],
  opSession: [36, 4],
  opSeq: [40, 8],
  writeNumber: [48, 4],
  lossGeneration: [52, 4],
  vtreeId: [56, 4],
  traceId: [60, 4],
} as const satisfies Record<string, readonly [number, number]>;
export type HeaderField = keyof typeof HEADER_FIELDS;

const OPERATION = [
  "flags",
  "requestId",
  "pgId",
  "epoch",
  "nodeId",
  "chunkIndex",
  "offsetBytes",
  "lengthBytes",
  "traceId",
] as const;
const MUTATION = [...OPERATION, "opSession", "opSeq"] as const;
const REPLICATION = [...MUTATION, "writeNumber", "vtreeId"] as const;

/** Which fields each kind uses, besides `kind`. */
export const FIELDS_OF_KIND: Readonly<Record<FrameKind, readonly HeaderField[]>> = {
  read: [...OPERATION, "handle"],
  write: [...MUTATION, "handle"],
  trim: [...MUTATION, "handle"],
  write_zeroes: [...MUTATION, "handle"],
  flush: ["requestId", "handle", "traceId"],
  replicate: REPLICATION,
  replicate_trim: REPLICATION,
  replicate_zeroes: REPLICATION,
  join_copy: [...OPERATION, "vtreeId"],
  answer: ["status", "requestId", "pgId", "epoch", "lossGeneration"],
  read_answer: ["requestId", "lengthBytes"],
  flush_answer: ["requestId"],
  pulse: ["requestId"],
  pulse_answer: ["requestId"],
  write_acks: [],
  replicate_acks: [],
};

/** Payloads.
 *
 * | kind | payload |
 * | --- | --- |
 * | write | u32 checksum for each block touched, then the data: CRC-32 of the block where all of it is written, else of the part |
 * | replicate | u32 checksum per block, then whole blocks |
 * | join_copy | u32 checksum per block (0: never written), then whole blocks |
 * | read_answer | the data |
 * | flush | 12 bytes per group: u32 pgId, u32 epoch, u32 lossGeneration that the SDC saw |
 * | flush_answer | 12 bytes per group: u32 pgId, u32 status, u32 lossGeneration |
 * | write_acks | 8 bytes per request: u32 requestId, u32 lossGeneration |
 * | replicate_acks | 4 bytes per request: u32 requestId |
 * | pulse_answer | 4 bytes per group that is not covered: u32 pgId; the lease of every other open group is granted (3.3) |
 * | others | none |
 */
export const FLUSH_ENTRY_BYTES = 12;
export const WRITE_ACK_BYTES = 8;
export const REPLICATE_ACK_BYTES = 4;
export const NOT_COVERED_BYTES = 4;

/** Values of the fields of one frame. */
export type HeaderValues = { readonly kind: FrameKind } & { readonly [Field in Exclude<HeaderField, "kind">]?: number };

const KIND_OF_NUMBER = new Map<number, FrameKind>(
  Object.entries(FRAME_KINDS).map(([kind, number]) => [number, kind as FrameKind]),
);

/** The kind behind a compact header's first byte. */
export function kindOfNumber(number: number): FrameKind | undefined {
  return KIND_OF_NUMBER.get(number);
}

/** Writes a compact header at `at`, all of its 64 bytes. Used off the hot path; the hot path sets fields by their offsets. */
export function encodeCompactHeader(view: DataView, at: number, values: HeaderValues): void {
  for (let offset = 0; offset < COMPACT_HEADER_BYTES; offset += 4) view.setUint32(at + offset, 0);
  view.setUint8(at, FRAME_KINDS[values.kind]);
  for (const field of FIELDS_OF_KIND[values.kind]) {
    const value = field === "kind" ? 0 : values[field] ?? 0;
    const [offset, bytes] = HEADER_FIELDS[field];
    if (bytes === 1) view.setUint8(at + offset, value);
    else if (bytes === 2) view.setUint16(at + offset, value);
    else if (bytes === 4) view.setUint32(at + offset, value);
    else setUint53(view, at + offset, value);
  }
}

/** The fields of a compact header, or what is wrong with it. */
export function decodeCompactHeader(view: DataView, at: number): HeaderValues | string {
  const kind = kindOfNumber(view.getUint8(at));
  if (kind === undefined) return `kind is ${view.getUint8(at)}, which names no message`;
  const values: Record<string, number> = {};
  for (const field of FIELDS_OF_KIND[kind]) {
    const [offset, bytes] = HEADER_FIELDS[field];
    if (bytes === 8 && view.getUint32(at + offset) >= 2 ** 21) return `${field} is above 2^53`;
    values[field] = bytes === 1
      ? view.getUint8(at + offset)
      : bytes === 2
      ? view.getUint16(at + offset)
      : bytes === 4
      ? view.getUint32(at + offset)
      : getUint53(view, at + offset);
  }
  return { kind, ...values };
}

/** The fields of a JSON header that has a compact form, or what is wrong with it. */
export function headerOfJson(json: unknown): HeaderValues | string {
  if (typeof json !== "object" || json === null) return "header is not an object";
  const record = json as Readonly<Record<string, unknown>>;
  const kind = record["kind"];
  if (typeof kind !== "string" || !Object.hasOwn(FRAME_KINDS, kind)) {
    return `kind is ${JSON.stringify(kind)}, which names no message`;
  }
  const values: Record<string, number> = {};
  for (const field of FIELDS_OF_KIND[kind as FrameKind]) {
    const value = record[field] ?? 0;
    const limit = 2 ** Math.min(53, HEADER_FIELDS[field][1] * 8);
    if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value >= limit) {
      return `${field} is ${JSON.stringify(value)}, not an integer from 0 to ${limit - 1}`;
    }
    values[field] = value;
  }
  return { kind: kind as FrameKind, ...values };
}

/** Writes `value` (below 2^53) as eight bytes. */
export function setUint53(view: DataView, at: number, value: number): void {
  view.setUint32(at, Math.floor(value / 2 ** 32));
  view.setUint32(at + 4, value >>> 0);
}

/** Reads eight bytes as a number; exact below 2^53. */
export function getUint53(view: DataView, at: number): number {
  return view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4);
}

/** Blocks that a range of a chunk touches. */
export function blocksTouched(offsetBytes: number, lengthBytes: number): number {
  return lengthBytes === 0 ? 0 : ((offsetBytes + lengthBytes - 1) >>> 12) - (offsetBytes >>> 12) + 1;
}
