/**
 * The bytes of compact headers, pinned: a change here is a change of the data path and needs an entry in
 * `shared/wire/version.ts`. Each byte of a field holds its own offset in the header (`opSeq` stays below 2^53), so a field that
 * moved shows where it went.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { errorOfWire, errorTraits, isErrorCode } from "@/shared/errors.ts";
import {
  COMPACT_HEADER_BYTES,
  decodeCompactHeader,
  encodeCompactHeader,
  FIELDS_OF_KIND,
  FRAME_FLAGS,
  FRAME_KINDS,
  type FrameKind,
  HEADER_FIELDS,
  type HeaderField,
  headerOfJson,
  type HeaderValues,
} from "@/shared/wire/header.ts";

const SAMPLE: Readonly<Record<Exclude<HeaderField, "kind">, number>> = {
  flags: 0x01,
  status: 0x0203,
  requestId: 0x04050607,
  handle: 0x08090a0b,
  pgId: 0x0c0d0e0f,
  epoch: 0x10111213,
  nodeId: 0x14151617,
  chunkIndex: 0x18191a1b,
  offsetBytes: 0x1c1d1e1f,
  lengthBytes: 0x20212223,
  opSession: 0x24252627,
  opSeq: 0x00092a2b2c2d2e2f,
  writeNumber: 0x30313233,
  lossGeneration: 0x34353637,
  vtreeId: 0x38393a3b,
  traceId: 0x3c3d3e3f,
};

/** Sixteen words of four bytes. */
const GOLDEN: Readonly<Record<FrameKind, string>> = {
  read: "01010000 04050607 08090a0b 0c0d0e0f 10111213 14151617 18191a1b 1c1d1e1f " +
    "20212223 00000000 00000000 00000000 00000000 00000000 00000000 3c3d3e3f",
  write: "02010000 04050607 08090a0b 0c0d0e0f 10111213 14151617 18191a1b 1c1d1e1f " +
    "20212223 24252627 00092a2b 2c2d2e2f 00000000 00000000 00000000 3c3d3e3f",
  trim: "03010000 04050607 08090a0b 0c0d0e0f 10111213 14151617 18191a1b 1c1d1e1f " +
    "20212223 24252627 00092a2b 2c2d2e2f 00000000 00000000 00000000 3c3d3e3f",
  write_zeroes: "04010000 04050607 08090a0b 0c0d0e0f 10111213 14151617 18191a1b 1c1d1e1f " +
    "20212223 24252627 00092a2b 2c2d2e2f 00000000 00000000 00000000 3c3d3e3f",
  flush: "05000000 04050607 08090a0b 00000000 00000000 00000000 00000000 00000000 " +
    "00000000 00000000 00000000 00000000 00000000 00000000 00000000 3c3d3e3f",
  replicate: "10010000 04050607 00000000 0c0d0e0f 10111213 14151617 18191a1b 1c1d1e1f " +
    "20212223 24252627 00092a2b 2c2d2e2f 30313233 00000000 38393a3b 3c3d3e3f",
  replicate_trim: "11010000 04050607 00000000 0c0d0e0f 10111213 14151617 18191a1b 1c1d1e1f " +
    "20212223 24252627 00092a2b 2c2d2e2f 30313233 00000000 38393a3b 3c3d3e3f",
  replicate_zeroes: "12010000 04050607 00000000 0c0d0e0f 10111213 14151617 18191a1b 1c1d1e1f " +
    "20212223 24252627 00092a2b 2c2d2e2f 30313233 00000000 38393a3b 3c3d3e3f",
  join_copy: "13010000 04050607 00000000 0c0d0e0f 10111213 14151617 18191a1b 1c1d1e1f " +
    "20212223 00000000 00000000 00000000 00000000 00000000 38393a3b 3c3d3e3f",
  pulse: "14000000 04050607 00000000 00000000 00000000 00000000 00000000 00000000 " +
    "00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000",
  answer: "20000203 04050607 00000000 0c0d0e0f 10111213 00000000 00000000 00000000 " +
    "00000000 00000000 00000000 00000000 00000000 34353637 00000000 00000000",
  read_answer: "21000000 04050607 00000000 00000000 00000000 00000000 00000000 00000000 " +
    "20212223 00000000 00000000 00000000 00000000 00000000 00000000 00000000",
  flush_answer: "22000000 04050607 00000000 00000000 00000000 00000000 00000000 00000000 " +
    "00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000",
  write_acks: "23000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 " +
    "00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000",
  replicate_acks: "24000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 " +
    "00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000",
  pulse_answer: "25000000 04050607 00000000 00000000 00000000 00000000 00000000 00000000 " +
    "00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000",
};

const KINDS = Object.keys(FRAME_KINDS) as FrameKind[]; // keys of the constant
const FIELD_NAMES = Object.keys(HEADER_FIELDS) as HeaderField[]; // keys of the constant

/** The largest value of a field. */
function maxOf(field: HeaderField): number {
  return 2 ** Math.min(53, HEADER_FIELDS[field][1] * 8) - 1;
}

function compact(values: HeaderValues): DataView<ArrayBuffer> {
  // Filled with rubbish, at an odd offset: the encoder sets every byte of its 64 and no other.
  const view = new DataView(new Uint8Array(COMPACT_HEADER_BYTES + 2).fill(0xee).buffer);
  encodeCompactHeader(view, 1, values);
  assertEquals([view.getUint8(0), view.getUint8(COMPACT_HEADER_BYTES + 1)], [0xee, 0xee]);
  return new DataView(view.buffer.slice(1, COMPACT_HEADER_BYTES + 1));
}

function wordsOf(view: DataView): string {
  return Array.from({ length: 16 }, (_, word) => view.getUint32(word * 4).toString(16).padStart(8, "0")).join(" ");
}

/** `values` reduced to what the kind uses. */
function used(kind: FrameKind, values: Readonly<Record<string, number>>): HeaderValues {
  return { kind, ...Object.fromEntries(FIELDS_OF_KIND[kind].map((field) => [field, values[field]!])) };
}

Deno.test("encodeCompactHeader() gives each kind its golden bytes, and decodeCompactHeader() takes them back", () => {
  for (const kind of KINDS) {
    const view = compact({ kind, ...SAMPLE });
    assertEquals(wordsOf(view), GOLDEN[kind], kind);
    assertEquals(decodeCompactHeader(view, 0), used(kind, SAMPLE), kind);
  }
});

Deno.test("FRAME_KINDS and FRAME_FLAGS keep their numbers", () => {
  assertEquals(Object.values(FRAME_KINDS), [1, 2, 3, 4, 5, 16, 17, 18, 19, 20, 32, 33, 34, 35, 36, 37]);
  assertEquals(FRAME_FLAGS, { fua: 1, noHole: 2, allocates: 4, last: 8, first: 16 });
});

Deno.test("HEADER_FIELDS cover the 64 bytes without a gap or an overlap", () => {
  let end = 0;
  for (const field of FIELD_NAMES) {
    assertEquals(HEADER_FIELDS[field][0], end, field);
    end += HEADER_FIELDS[field][1];
  }
  assertEquals(end, COMPACT_HEADER_BYTES);
});

Deno.test("decodeCompactHeader() reads from any values what headerOfJson() reads from their JSON form", () => {
  const values = fc.record(Object.fromEntries(
    FIELD_NAMES.filter((field) => field !== "kind").map((field) => [
      field,
      fc.nat({ max: 1 }).chain(
        (large) =>
          large ? fc.maxSafeNat().map((value) => value % (maxOf(field) + 1)) : fc.constantFrom(0, 1, maxOf(field)),
      ),
    ]),
  ));
  fc.assert(
    fc.property(fc.constantFrom(...KINDS), values, (kind, random) => {
      const decoded = decodeCompactHeader(compact({ kind, ...random }), 0);
      const fromJson = headerOfJson(JSON.parse(JSON.stringify({ kind, ...random })));
      assertEquals(decoded, used(kind, random));
      assertEquals(fromJson, decoded);
    }),
    { numRuns: 500 },
  );
});

Deno.test("headerOfJson() takes an absent field for 0 and looks at no field that the kind does not use", () => {
  assertEquals(headerOfJson({ kind: "flush", requestId: 7, epoch: "none of its business" }), {
    kind: "flush",
    requestId: 7,
    handle: 0,
    traceId: 0,
  });
});

Deno.test("headerOfJson() names every field that is wrong", () => {
  for (const kind of KINDS) {
    for (const field of FIELDS_OF_KIND[kind]) {
      for (const wrong of [-1, 0.5, maxOf(field) + 1, "1", null, true, [], {}]) {
        const problem = headerOfJson({ kind, ...SAMPLE, [field]: wrong });
        if (wrong === null) assertEquals(typeof problem, "object", `${kind}.${field}: null is as good as absent`);
        else assert(typeof problem === "string" && problem.startsWith(`${field} is `), `${kind}.${field}: ${problem}`);
      }
    }
  }
});

Deno.test("headerOfJson() and decodeCompactHeader() name a kind that is none", () => {
  for (const kind of [undefined, 1, "", "READ", "hello", "toString", "__proto__", "constructor"]) {
    const problem = headerOfJson({ kind });
    assert(typeof problem === "string" && problem.startsWith("kind is "), `${kind}: ${problem}`);
  }
  for (const json of [null, 7, "read", undefined]) assertEquals(headerOfJson(json), "header is not an object");
  const numbers = new Set<number>(Object.values(FRAME_KINDS));
  for (let number = 0; number < 256; number++) {
    if (numbers.has(number)) continue;
    const view = new DataView(new ArrayBuffer(COMPACT_HEADER_BYTES));
    view.setUint8(0, number);
    assertEquals(decodeCompactHeader(view, 0), `kind is ${number}, which names no message`);
  }
});

Deno.test("decodeCompactHeader() names an opSeq that a number cannot hold", () => {
  for (const kind of KINDS) {
    const view = compact({ kind, opSeq: Number.MAX_SAFE_INTEGER });
    view.setUint32(HEADER_FIELDS.opSeq[0], 2 ** 21);
    const decoded = decodeCompactHeader(view, 0);
    if (FIELDS_OF_KIND[kind].includes("opSeq")) assertEquals(decoded, "opSeq is above 2^53");
    else assertEquals(typeof decoded, "object");
  }
});

Deno.test("errorOfWire() gives back every code of the data path, and internal for a number of another version", () => {
  const CODES = [
    "stale_epoch not_primary not_ready fenced token_expired token_missing token_malformed token_signature token_volume",
    "token_mode token_range token_session token_used stale_lane flush_lost pool_full io_error checksum_mismatch",
    "bad_request read_only too_busy device_failed shutting_down give_up stale_session unsupported outcome_unknown",
  ].join(" ").split(" ");
  CODES.forEach((code, index) => {
    assert(isErrorCode(code), code);
    assertEquals([code, errorTraits(code).wire], [code, index + 1]);
    assertEquals(errorOfWire(index + 1), code);
  });
  assertEquals(errorOfWire(65535), "internal");
  assertEquals(["toString", "constructor", ""].map(isErrorCode), [false, false, false]);
});
