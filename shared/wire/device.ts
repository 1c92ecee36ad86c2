/**
 * Binary frames of the device port, for clients that sent `"framing": "binary"` in CONNECT. They are frames of the data path
 * (`header.ts`): data travels as it is instead of in base64. The header is the JSON object that would be the line.
 *
 * | offset | bytes        | field        | meaning                                                     |
 * | -----: | -----------: | ------------ | ----------------------------------------------------------- |
 * |      0 |            4 | headerBytes  | 2 to {@linkcode DEVICE_HEADER_BYTES_MAX}, big-endian        |
 * |      4 |            4 | payloadBytes | 0 to {@linkcode DEVICE_IO_BYTES_MAX}, big-endian            |
 * |      8 |  headerBytes | header       | JSON object in UTF-8, without `data_b64`                    |
 * |      8 + headerBytes | payloadBytes | payload | WRITE and the answer to READ: the data; else empty |
 *
 * A frame whose lengths break these rules is answered and ends its connection: what follows it cannot be found.
 *
 * @module
 */
import { assert } from "@/shared/errors.ts";

/** Largest READ and WRITE of the device port, in bytes. */
export const DEVICE_IO_BYTES_MAX = 16 * 1024 * 1024;
/** Bytes before the header. */
export const DEVICE_PREFIX_BYTES = 8;
/** Smallest header: `{}`. */
export const DEVICE_HEADER_BYTES_MIN = 2;
/** Largest header, in bytes. */
export const DEVICE_HEADER_BYTES_MAX = 16 * 1024;

/** Lengths of one frame. */
export interface DeviceFrameLengths {
  readonly headerBytes: number;
  readonly payloadBytes: number;
}

/** Prefix and header of a frame with a payload of `payloadBytes`, which the caller sends behind them. */
export function encodeDeviceFrame(header: object, payloadBytes: number): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(JSON.stringify(header));
  assert(text.length <= DEVICE_HEADER_BYTES_MAX && payloadBytes <= DEVICE_IO_BYTES_MAX, "a frame keeps its own limits");
  const bytes = new Uint8Array(DEVICE_PREFIX_BYTES + text.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, text.length);
  view.setUint32(4, payloadBytes);
  bytes.set(text, DEVICE_PREFIX_BYTES);
  return bytes;
}

/** The lengths that the first {@linkcode DEVICE_PREFIX_BYTES} of `bytes` announce, or what is wrong with them. */
export function decodeDevicePrefix(bytes: Uint8Array): DeviceFrameLengths | string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, DEVICE_PREFIX_BYTES);
  const headerBytes = view.getUint32(0);
  const payloadBytes = view.getUint32(4);
  if (headerBytes < DEVICE_HEADER_BYTES_MIN || headerBytes > DEVICE_HEADER_BYTES_MAX) {
    return `headerBytes is ${headerBytes}, must be ${DEVICE_HEADER_BYTES_MIN} to ${DEVICE_HEADER_BYTES_MAX}`;
  }
  if (payloadBytes > DEVICE_IO_BYTES_MAX) return `payloadBytes is ${payloadBytes}, at most ${DEVICE_IO_BYTES_MAX}`;
  return { headerBytes, payloadBytes };
}
