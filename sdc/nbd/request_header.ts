/**
 * Header of a request. All integers are big-endian.
 *
 * | offset | bytes | field       | meaning                                                      |
 * | -----: | ----: | ----------- | ------------------------------------------------------------ |
 * |      0 |     4 | magic       | {@linkcode REQUEST_MAGIC}                                    |
 * |      4 |     2 | flags       | {@linkcode COMMAND_FLAG}                                     |
 * |      6 |     2 | type        | {@linkcode COMMAND}                                          |
 * |      8 |     8 | cookie      | chosen by the client, returned in every reply to the request |
 * |     16 |     8 | offsetBytes | start of the range                                           |
 * |     24 |     4 | lengthBytes | length of the range; a WRITE carries as many bytes behind it |
 *
 * @module
 */
import { BLOCK_SIZE, COMMAND, COMMAND_FLAG, ERRNO, EXPORT_FLAG, REQUEST_MAGIC } from "@/sdc/nbd/protocol.ts";

export const REQUEST_HEADER_BYTES = 28;

/** A decoded header; one object is filled again for every request. */
export interface RequestHeader {
  flags: number;
  type: number;
  cookieHigh: number;
  cookieLow: number;
  /** Beyond 2^53 rounded, and then far outside of any export. */
  offsetBytes: number;
  lengthBytes: number;
}

/** A header to decode into. */
export function emptyRequestHeader(): RequestHeader {
  return { flags: 0, type: 0, cookieHigh: 0, cookieLow: 0, offsetBytes: 0, lengthBytes: 0 };
}

/** Fills `header` from `view` at `start`; false if the magic number is wrong, and then the stream cannot go on. */
export function decodeRequestHeader(view: DataView, start: number, header: RequestHeader): boolean {
  if (view.getUint32(start) !== REQUEST_MAGIC) return false;
  header.flags = view.getUint16(start + 4);
  header.type = view.getUint16(start + 6);
  header.cookieHigh = view.getUint32(start + 8);
  header.cookieLow = view.getUint32(start + 12);
  header.offsetBytes = view.getUint32(start + 16) * 2 ** 32 + view.getUint32(start + 20);
  header.lengthBytes = view.getUint32(start + 24);
  return true;
}

/** What a request is checked against. */
export interface RequestRules {
  /** Size of the export now. */
  readonly sizeBytes: number;
  /** Transmission flags as announced. */
  readonly flags: number;
  readonly allocationContext: boolean;
}

/** The error number with which a request is refused, or 0. (NBD specification, Request types and Error values.) */
export function requestErrno(header: RequestHeader, rules: RequestRules): number {
  const { type, lengthBytes } = header;
  const changes = type === COMMAND.write || type === COMMAND.trim || type === COMMAND.writeZeroes;
  if (changes && (rules.flags & EXPORT_FLAG.readOnly) !== 0) return ERRNO.EPERM;
  if (type > COMMAND.blockStatus || type === COMMAND.disconnect) return ERRNO.EINVAL;
  if ((header.flags & ~allowedFlags(type, rules.flags)) !== 0) return ERRNO.EINVAL;
  if (type === COMMAND.flush) return header.offsetBytes === 0 && lengthBytes === 0 ? 0 : ERRNO.EINVAL;
  if (header.offsetBytes + lengthBytes > rules.sizeBytes) {
    return type === COMMAND.write || type === COMMAND.writeZeroes ? ERRNO.ENOSPC : ERRNO.EINVAL;
  }
  if (type === COMMAND.read && lengthBytes > BLOCK_SIZE.maxBytes) {
    return (header.flags & COMMAND_FLAG.df) !== 0 ? ERRNO.EOVERFLOW : ERRNO.EINVAL;
  }
  if (type === COMMAND.blockStatus && (!rules.allocationContext || lengthBytes === 0)) return ERRNO.EINVAL;
  return 0;
}

/** FUA is valid for every command, meaningful or not; the others belong to one command each. */
function allowedFlags(type: number, exportFlags: number): number {
  switch (type) {
    case COMMAND.read:
      return COMMAND_FLAG.fua | ((exportFlags & EXPORT_FLAG.sendDf) === 0 ? 0 : COMMAND_FLAG.df);
    case COMMAND.writeZeroes:
      return COMMAND_FLAG.fua | COMMAND_FLAG.noHole |
        ((exportFlags & EXPORT_FLAG.sendFastZero) === 0 ? 0 : COMMAND_FLAG.fastZero);
    case COMMAND.blockStatus:
      return COMMAND_FLAG.fua | COMMAND_FLAG.reqOne;
    default:
      return COMMAND_FLAG.fua;
  }
}
