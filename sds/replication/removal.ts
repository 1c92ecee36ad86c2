/**
 * Trim and write-zeroes of whole blocks, the same at the primary and at members.
 *
 * @module
 */
import { CHUNK_BYTES } from "@/shared/constants.ts";
import { FRAME_FLAGS, FRAME_KINDS } from "@/shared/wire/header.ts";
import type { Chunk } from "@/sds/device/chunk.ts";
import type { Device } from "@/sds/device/device.ts";

/** A removal, or any mutation: `kind` tells. */
export interface Removal {
  readonly kind: number;
  readonly flags: number;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** True for a write-zeroes that stores zeros instead of making a hole. */
export function keepsAllocated(removal: Removal): boolean {
  return removal.kind === FRAME_KINDS.replicate_zeroes && (removal.flags & FRAME_FLAGS.noHole) !== 0;
}

/** True if the whole chunk goes. */
export function removesChunk(removal: Removal): boolean {
  return removal.kind !== FRAME_KINDS.replicate && removal.lengthBytes === CHUNK_BYTES && !keepsAllocated(removal);
}

/** True if it needs the chunk: it is made when absent. */
export function allocates(mutation: Removal): boolean {
  return mutation.kind === FRAME_KINDS.replicate || keepsAllocated(mutation);
}

/** Carries out a removal on a chunk that exists. @throws {StorageError} device_failed */
export function applyRemoval(store: Device, options: { chunk: Chunk; removal: Removal }): void {
  const { chunk, removal } = options;
  if (removesChunk(removal)) return store.deleteChunk(chunk);
  const { offsetBytes, lengthBytes } = removal;
  store.zeroBlocks(chunk, { offsetBytes, lengthBytes, keepAllocated: keepsAllocated(removal) });
}
