/**
 * Whether one IO of a session is in the scope of its handle and of the protocol (replication design, sections 3.4 step 1 and
 * 6.2). Values in, a code or nothing out: nothing has been touched yet.
 *
 * @module
 */
import { BLOCK_BYTES, CHUNK_BYTES, FRAGMENT_BYTES_MAX } from "@/shared/constants.ts";
import type { ErrorCode } from "@/shared/errors.ts";

/** One request, as its frame says. */
export interface RequestScope {
  readonly mutation: boolean;
  /** True for trim and write_zeroes, which carry no data and cover whole blocks. */
  readonly removal: boolean;
  readonly nodeId: number;
  readonly chunkIndex: number;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** What the handle's token allows. */
export interface AllowedScope {
  readonly nodeId: number;
  readonly readOnly: boolean;
  readonly sizeBytes: number;
}

/** Why the request is refused, if it is. */
export function scopeProblem(request: RequestScope, allowed: AllowedScope): ErrorCode | undefined {
  const { offsetBytes, lengthBytes } = request;
  const endBytes = offsetBytes + lengthBytes;
  if (lengthBytes < 1 || endBytes > CHUNK_BYTES) return "bad_request";
  if (request.removal) {
    if ((offsetBytes | lengthBytes) % BLOCK_BYTES !== 0) return "bad_request";
  } else if (Math.floor(offsetBytes / FRAGMENT_BYTES_MAX) !== Math.floor((endBytes - 1) / FRAGMENT_BYTES_MAX)) {
    return "bad_request";
  }
  if (request.nodeId !== allowed.nodeId) return "token_volume";
  if (request.mutation && allowed.readOnly) return "token_mode";
  // A volume whose size is not a multiple of a block ends within one; its last block is stored whole.
  const volumeEndBytes = Math.ceil(allowed.sizeBytes / BLOCK_BYTES) * BLOCK_BYTES;
  return request.chunkIndex * CHUNK_BYTES + endBytes > volumeEndBytes ? "token_range" : undefined;
}
