/**
 * What the server sends during the handshake. All integers are big-endian.
 *
 * Hello, at once after accept; the client answers with its u32 client flags:
 *
 * | offset | bytes | field          | meaning                                            |
 * | -----: | ----: | -------------- | -------------------------------------------------- |
 * |      0 |     8 | magic          | {@linkcode HELLO_MAGIC}                            |
 * |      8 |     8 | option magic   | {@linkcode OPTION_MAGIC}: newstyle                 |
 * |     16 |     2 | flags          | {@linkcode HANDSHAKE_FLAGS}                        |
 *
 * Option, from the client, and the replies to it, any number and the last an `ack` or an error:
 *
 * | offset | bytes | option         | offset | bytes | reply                            |
 * | -----: | ----: | -------------- | -----: | ----: | -------------------------------- |
 * |      0 |     8 | OPTION_MAGIC   |      0 |     8 | {@linkcode OPTION_REPLY_MAGIC}   |
 * |      8 |     4 | option         |      8 |     4 | option that it answers           |
 * |     12 |     4 | dataBytes      |     12 |     4 | type: {@linkcode OPTION_REPLY}   |
 * |     16 |     … | data           |     16 |     4 | dataBytes                        |
 * |        |       |                |     20 |     … | data                             |
 *
 * | reply data           | fields                                                                     |
 * | -------------------- | -------------------------------------------------------------------------- |
 * | server               | u32 nameBytes, name                                                        |
 * | info, export         | u16 0, u64 sizeBytes, u16 transmission flags                               |
 * | info, name           | u16 1, name                                                                |
 * | info, block size     | u16 3, u32 minimum, u32 preferred, u32 maximum                             |
 * | metaContext          | u32 context id, name                                                       |
 * | an error             | message for people                                                         |
 *
 * EXPORT_NAME alone has no such reply: u64 sizeBytes, u16 transmission flags, and 124 zero bytes unless both sides set
 * the flag for none.
 *
 * @module
 */
import {
  BLOCK_SIZE,
  HANDSHAKE_FLAGS,
  HELLO_MAGIC,
  INFO,
  OPTION_MAGIC,
  OPTION_REPLY_MAGIC,
} from "@/sdc/nbd/protocol.ts";

export const OPTION_HEADER_BYTES = 16;
const REPLY_HEADER_BYTES = 20;
const EXPORT_NAME_ZEROES = 124;

type Bytes = Uint8Array<ArrayBuffer>;

const encoder = new TextEncoder();

/** The hello. */
export function encodeHello(): Bytes {
  const { bytes, view } = frame(18);
  view.setBigUint64(0, HELLO_MAGIC);
  view.setBigUint64(8, OPTION_MAGIC);
  view.setUint16(16, HANDSHAKE_FLAGS);
  return bytes;
}

/** One reply to `option`. */
export function encodeOptionReply(option: number, reply: { readonly type: number; readonly data?: Uint8Array }): Bytes {
  const data = reply.data ?? new Uint8Array(0);
  const { bytes, view } = frame(REPLY_HEADER_BYTES + data.length);
  view.setBigUint64(0, OPTION_REPLY_MAGIC);
  view.setUint32(8, option);
  view.setUint32(12, reply.type);
  view.setUint32(16, data.length);
  bytes.set(data, REPLY_HEADER_BYTES);
  return bytes;
}

/** The answer to EXPORT_NAME. */
export function encodeExportNameAnswer(
  info: { readonly sizeBytes: number; readonly flags: number; readonly noZeroes: boolean },
): Bytes {
  const { bytes, view } = frame(10 + (info.noZeroes ? 0 : EXPORT_NAME_ZEROES));
  view.setBigUint64(0, BigInt(info.sizeBytes));
  view.setUint16(8, info.flags);
  return bytes;
}

/** Data of a `server` reply. */
export function encodeServer(name: string): Bytes {
  const encoded = encoder.encode(name);
  const { bytes, view } = frame(4 + encoded.length);
  view.setUint32(0, encoded.length);
  bytes.set(encoded, 4);
  return bytes;
}

/** Data of an `info` reply with size and flags. */
export function encodeExportInfo(info: { readonly sizeBytes: number; readonly flags: number }): Bytes {
  const { bytes, view } = frame(12);
  view.setUint16(0, INFO.export);
  view.setBigUint64(2, BigInt(info.sizeBytes));
  view.setUint16(10, info.flags);
  return bytes;
}

/** Data of an `info` reply with the export's own name. */
export function encodeNameInfo(name: string): Bytes {
  const encoded = encoder.encode(name);
  const { bytes, view } = frame(2 + encoded.length);
  view.setUint16(0, INFO.name);
  bytes.set(encoded, 2);
  return bytes;
}

/** Data of an `info` reply with the block-size constraints. */
export function encodeBlockSizeInfo(): Bytes {
  const { bytes, view } = frame(14);
  view.setUint16(0, INFO.blockSize);
  view.setUint32(2, BLOCK_SIZE.minBytes);
  view.setUint32(6, BLOCK_SIZE.preferredBytes);
  view.setUint32(10, BLOCK_SIZE.maxBytes);
  return bytes;
}

/** Data of a `metaContext` reply. */
export function encodeMetaContext(contextId: number, name: string): Bytes {
  const encoded = encoder.encode(name);
  const { bytes, view } = frame(4 + encoded.length);
  view.setUint32(0, contextId);
  bytes.set(encoded, 4);
  return bytes;
}

/** Data of an error reply. */
export function encodeMessage(message: string): Bytes {
  return encoder.encode(message);
}

function frame(byteCount: number): { bytes: Bytes; view: DataView<ArrayBuffer> } {
  const bytes = new Uint8Array(byteCount);
  return { bytes, view: new DataView(bytes.buffer) };
}
