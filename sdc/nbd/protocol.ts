/**
 * Numbers and limits of the NBD protocol (NBD specification, `doc/proto.md` of the NetworkBlockDevice project). The byte
 * tables stand with their codecs: `option_frames.ts` and `option_data.ts` for the handshake, `request_header.ts` and
 * `reply_frames.ts` for the transmission.
 *
 * @module
 */
import { BUFFER_BYTES_MAX } from "@/shared/buffers.ts";
import { assert, type ErrorCode, errorTraits } from "@/shared/errors.ts";

/** 64-bit magic numbers of the handshake. */
export const HELLO_MAGIC = 0x4e42444d41474943n; // "NBDMAGIC"
export const OPTION_MAGIC = 0x49484156454f5054n; // "IHAVEOPT"
export const OPTION_REPLY_MAGIC = 0x0003e889045565a9n;
/** 32-bit magic numbers of the transmission. */
export const REQUEST_MAGIC = 0x25609513;
export const SIMPLE_REPLY_MAGIC = 0x67446698;
export const STRUCTURED_REPLY_MAGIC = 0x668e33ef;

/** Handshake flags of the server and client flags, which mirror them. */
export const HANDSHAKE_FLAG = { fixedNewstyle: 1 << 0, noZeroes: 1 << 1 } as const;
export const HANDSHAKE_FLAGS = HANDSHAKE_FLAG.fixedNewstyle | HANDSHAKE_FLAG.noZeroes;

/** Options that the server knows; everything else is answered with `unsupported`. */
export const OPTION = {
  exportName: 1,
  abort: 2,
  list: 3,
  startTls: 5,
  info: 6,
  go: 7,
  structuredReply: 8,
  listMetaContext: 9,
  setMetaContext: 10,
} as const;

/** Types of an option reply. Errors have the highest bit set. */
export const OPTION_REPLY = {
  ack: 1,
  server: 2,
  info: 3,
  metaContext: 4,
  unsupported: 0x80000001,
  policy: 0x80000002,
  invalid: 0x80000003,
  unknownExport: 0x80000006,
  tooBig: 0x80000009,
} as const;

/** Types of information in `OPTION_REPLY.info`. */
export const INFO = { export: 0, name: 1, blockSize: 3 } as const;

/** Transmission flags of an export. */
export const EXPORT_FLAG = {
  hasFlags: 1 << 0,
  readOnly: 1 << 1,
  sendFlush: 1 << 2,
  sendFua: 1 << 3,
  sendTrim: 1 << 5,
  sendWriteZeroes: 1 << 6,
  sendDf: 1 << 7,
  canMultiConn: 1 << 8,
  sendCache: 1 << 10,
  sendFastZero: 1 << 11,
} as const;

/** Request types. */
export const COMMAND = {
  read: 0,
  write: 1,
  disconnect: 2,
  flush: 3,
  trim: 4,
  cache: 5,
  writeZeroes: 6,
  blockStatus: 7,
} as const;

/** Flags of a request. */
export const COMMAND_FLAG = { fua: 1 << 0, noHole: 1 << 1, df: 1 << 2, reqOne: 1 << 3, fastZero: 1 << 4 } as const;

/** Types and flag of a structured reply chunk. */
export const CHUNK = { none: 0, offsetData: 1, blockStatus: 5, error: 0x8001 } as const;
export const CHUNK_FLAG_DONE = 1;

/** The only metadata context, its number on the wire, and its flags. */
export const BASE_ALLOCATION = "base:allocation";
export const BASE_ALLOCATION_ID = 1;
export const EXTENT_FLAG = { hole: 1 << 0, zero: 1 << 1 } as const;

/** Error numbers on the wire. 0 is success. */
export const ERRNO = {
  EPERM: 1,
  EIO: 5,
  ENOMEM: 12,
  EINVAL: 22,
  ENOSPC: 28,
  EOVERFLOW: 75,
  ENOTSUP: 95,
  ESHUTDOWN: 108,
} as const;

/** The number that a client sees for `code`. */
export function errnoOf(code: ErrorCode): number {
  return ERRNO[errorTraits(code).nbd];
}

/** Block-size constraints that every export announces, in bytes. */
export const BLOCK_SIZE = { minBytes: 1, preferredBytes: 4096, maxBytes: 32 * 1024 * 1024 } as const;

/** Longest string of the protocol (export name, context name, error message), in bytes of UTF-8. */
export const STRING_BYTES_MAX = 4096;
/** Longest data of one option. The longest that makes sense is an export name with a page of metadata queries. */
export const OPTION_BYTES_MAX = 64 * 1024;
/** Options of one handshake. */
export const OPTION_COUNT_MAX = 1024;
/** Extents in one answer to BLOCK_STATUS; the client asks again for the rest. */
export const EXTENTS_PER_REPLY_MAX = 8192;
/** Range that one BLOCK_STATUS looks at, in bytes; the answer may cover less than was asked. */
export const STATUS_RANGE_BYTES_MAX = 1024 * 1024 * 1024;

assert(STRING_BYTES_MAX + 1024 < OPTION_BYTES_MAX, "an option holds the longest name");
assert(BLOCK_SIZE.maxBytes + 4096 <= BUFFER_BYTES_MAX, "the largest payload and its header fit one buffer");
