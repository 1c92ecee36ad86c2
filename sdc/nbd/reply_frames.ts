/**
 * Replies of the transmission. All integers are big-endian.
 *
 * | offset | bytes | simple reply                     | offset | bytes | structured reply chunk                 |
 * | -----: | ----: | -------------------------------- | -----: | ----: | -------------------------------------- |
 * |      0 |     4 | {@linkcode SIMPLE_REPLY_MAGIC}   |      0 |     4 | {@linkcode STRUCTURED_REPLY_MAGIC}     |
 * |      4 |     4 | error number, 0 for success      |      4 |     2 | flags: 1 in the last chunk of a reply  |
 * |      8 |     8 | cookie of the request            |      6 |     2 | type: {@linkcode CHUNK}                |
 * |     16 |     … | data, if a read succeeded        |      8 |     8 | cookie of the request                  |
 * |        |       |                                  |     16 |     4 | bytes that follow                      |
 *
 * | chunk       | what follows                                                                  |
 * | ----------- | ----------------------------------------------------------------------------- |
 * | none        | nothing                                                                       |
 * | offsetData  | u64 offsetBytes, data                                                         |
 * | blockStatus | u32 context id, then for each extent u32 lengthBytes, u32 flags               |
 * | error       | u32 error number, u16 messageBytes, message                                   |
 *
 * Every reply is one chunk. With structured replies agreed, READ, BLOCK_STATUS and all errors are chunks; success of the
 * other commands stays a simple reply, as the specification allows. What a read or a write is answered with is encoded in
 * place, without an object or array of its own.
 *
 * @module
 */
import type { Extent } from "@/sdc/block_device.ts";
import {
  BASE_ALLOCATION_ID,
  CHUNK,
  CHUNK_FLAG_DONE,
  EXTENT_FLAG,
  SIMPLE_REPLY_MAGIC,
  STRUCTURED_REPLY_MAGIC,
} from "@/sdc/nbd/protocol.ts";

export const SIMPLE_REPLY_BYTES = 16;
export const CHUNK_HEADER_BYTES = 20;
/** Chunk header with the offset of `offsetData`: the longest header in front of a read's data. */
export const DATA_CHUNK_HEADER_BYTES = CHUNK_HEADER_BYTES + 8;

/** The request that a reply belongs to, and how it ended. */
export interface ReplyTo {
  readonly cookieHigh: number;
  readonly cookieLow: number;
  /** 0 for success. */
  readonly errno: number;
}

/** A successful read. */
export interface ReadReply extends ReplyTo {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

const encoder = new TextEncoder();

/** Writes a simple reply at `start`; {@linkcode SIMPLE_REPLY_BYTES}. */
export function putSimpleReply(view: DataView, start: number, reply: ReplyTo): void {
  view.setUint32(start, SIMPLE_REPLY_MAGIC);
  view.setUint32(start + 4, reply.errno);
  view.setUint32(start + 8, reply.cookieHigh);
  view.setUint32(start + 12, reply.cookieLow);
}

/** Writes the header in front of a read's data at `start`; {@linkcode DATA_CHUNK_HEADER_BYTES}. */
export function putDataChunkHeader(view: DataView, start: number, reply: ReadReply): void {
  putChunkHeader(view, start, reply);
  view.setUint16(start + 6, CHUNK.offsetData);
  view.setUint32(start + 16, 8 + reply.lengthBytes);
  view.setUint32(start + 20, Math.floor(reply.offsetBytes / 2 ** 32));
  view.setUint32(start + 24, reply.offsetBytes >>> 0);
}

/** Writes a chunk without content at `start`; {@linkcode CHUNK_HEADER_BYTES}. */
export function putNoneChunk(view: DataView, start: number, reply: ReplyTo): void {
  putChunkHeader(view, start, reply);
  view.setUint16(start + 6, CHUNK.none);
  view.setUint32(start + 16, 0);
}

/** An error chunk with `message` (below 64 KiB) for people. */
export function encodeErrorChunk(reply: ReplyTo, message: string): Uint8Array<ArrayBuffer> {
  const text = encoder.encode(message);
  const bytes = new Uint8Array(CHUNK_HEADER_BYTES + 6 + text.length);
  const view = new DataView(bytes.buffer);
  putChunkHeader(view, 0, reply);
  view.setUint16(6, CHUNK.error);
  view.setUint32(16, 6 + text.length);
  view.setUint32(20, reply.errno);
  view.setUint16(24, text.length);
  bytes.set(text, CHUNK_HEADER_BYTES + 6);
  return bytes;
}

/** A block-status chunk of context `base:allocation`. */
export function encodeStatusChunk(reply: ReplyTo, extents: readonly Extent[]): Uint8Array<ArrayBuffer> {
  const contentBytes = 4 + 8 * extents.length;
  const bytes = new Uint8Array(CHUNK_HEADER_BYTES + contentBytes);
  const view = new DataView(bytes.buffer);
  putChunkHeader(view, 0, reply);
  view.setUint16(6, CHUNK.blockStatus);
  view.setUint32(16, contentBytes);
  view.setUint32(20, BASE_ALLOCATION_ID);
  let position = 24;
  for (const extent of extents) {
    view.setUint32(position, extent.lengthBytes);
    view.setUint32(position + 4, (extent.allocated ? 0 : EXTENT_FLAG.hole) | (extent.zero ? EXTENT_FLAG.zero : 0));
    position += 8;
  }
  return bytes;
}

/** What all chunks share: magic, flags and cookie. */
function putChunkHeader(view: DataView, start: number, reply: ReplyTo): void {
  view.setUint32(start, STRUCTURED_REPLY_MAGIC);
  view.setUint16(start + 4, CHUNK_FLAG_DONE);
  view.setUint32(start + 8, reply.cookieHigh);
  view.setUint32(start + 12, reply.cookieLow);
}
