/**
 * Which blocks of a chunk were ever written: what NBD's `base:allocation` is made of.
 *
 * @module
 */
import { BLOCKS_PER_CHUNK, CHUNK_BYTES } from "@/shared/constants.ts";
import type { NodeId, VtreeId } from "@/shared/ids.ts";
import { setBit } from "@/sds/device/bitmap.ts";
import { chunkKey } from "@/sds/device/chunk.ts";
import type { Group } from "@/sds/replication/group.ts";
import { LockWait } from "@/sds/replication/lock_wait.ts";

/** 32 bytes in hexadecimal, one bit per block, read under the chunk's lock. @throws {StorageError} device_failed */
export async function volumeExtents(
  group: Group,
  chunk: { readonly vtreeId: VtreeId; readonly nodeId: NodeId; readonly chunkIndex: number },
): Promise<string> {
  const { store, locks } = group.device;
  using lock = await LockWait.take(locks, { ...chunk, offsetBytes: 0, lengthBytes: CHUNK_BYTES });
  void lock;
  const stored = store.chunk(group.storage!, chunkKey(chunk.nodeId, chunk.chunkIndex));
  if (stored?.unverified) await store.acceptUnverified(stored);
  const written = new Uint8Array(BLOCKS_PER_CHUNK / 8);
  for (let block = 0; stored !== undefined && block < BLOCKS_PER_CHUNK; block++) {
    if (stored.checksums[block] !== 0) setBit(written, block);
  }
  return written.toHex();
}
