/**
 * The payload of a client's write: checksums, then data, compared before anything else is done with them.
 *
 * @module
 */
import { blockCrc } from "@/shared/checksum.ts";
import { BLOCK_BYTES } from "@/shared/constants.ts";
import { StorageError } from "@/shared/errors.ts";
import type { Frame } from "@/shared/net/frame_channel.ts";
import { blocksTouched } from "@/shared/wire/header.ts";

/** A trim or write-zeroes has no payload. @throws {StorageError} bad_request */
export function requireNoPayload(frame: Frame): number {
  if (frame.payloadBytes !== 0) throw new StorageError("bad_request", "Cannot serve an SDC: a removal carries no data");
  return frame.payloadAt;
}

/**
 * Compares the data with the checksums that came with it, copies these to `crcs`, and gives where the data begins.
 * @throws {StorageError} bad_request for a payload of another length, checksum_mismatch for data that changed on its way.
 */
export function checkedData(
  frame: Frame,
  write: { readonly offsetBytes: number; readonly lengthBytes: number; readonly crcs: Uint32Array },
): number {
  const { offsetBytes, lengthBytes, crcs } = write;
  const blockCount = blocksTouched(offsetBytes, lengthBytes);
  const expectedBytes = blockCount * 4 + lengthBytes;
  if (frame.payloadBytes !== expectedBytes) {
    throw new StorageError(
      "bad_request",
      `Cannot write: the payload is ${frame.payloadBytes} bytes, ${blockCount} checksums and the data are ${expectedBytes}`,
    );
  }
  const dataAt = frame.payloadAt + blockCount * 4;
  let start = dataAt;
  let room = BLOCK_BYTES - (offsetBytes & (BLOCK_BYTES - 1));
  for (let block = 0; block < blockCount; block++) {
    const end = Math.min(dataAt + lengthBytes, start + room);
    const crc = frame.view.getUint32(frame.payloadAt + block * 4);
    if (blockCrc(frame.bytes, start, end) !== crc) {
      throw new StorageError(
        "checksum_mismatch",
        `Cannot write: block ${block} of the request differs from its checksum`,
      );
    }
    crcs[block] = crc;
    start = end;
    room = BLOCK_BYTES;
  }
  return dataAt;
}
