/**
 * What the copier of a join reads: blocks that are bad here are mended from another member first; those that no copy has are named,
 * so that they do not arrive as valid zeros (replication design, sections 3.8 step 4 and 5.6).
 *
 * @module
 */
import { BLOCK_BYTES, BLOCKS_PER_FRAGMENT_MAX } from "@/shared/constants.ts";
import { StorageError } from "@/shared/errors.ts";
import { type ChunkId, chunkKey } from "@/sds/device/chunk.ts";
import { isBadBlock, repairBlocks } from "@/sds/replication/block_repair.ts";
import type { Group } from "@/sds/replication/group.ts";

/**
 * Reads a piece of a chunk, whose lock the caller holds, into `into`, and gives the blocks of it that are damaged.
 *
 * @throws {StorageError} `unavailable`: a member that may have a bad block does not answer; `device_failed`
 */
export async function readForCopy(
  group: Group,
  piece: { readonly id: ChunkId; readonly firstBlock: number; readonly into: Uint8Array },
): Promise<number[]> {
  const { id, firstBlock: first, into } = piece;
  const blocks = { first, count: BLOCKS_PER_FRAGMENT_MAX, into };
  if (await readsWell(group, { id, ...blocks })) return [];
  const options = { locked: true, compare: false };
  const { unknown } = await repairBlocks(group, { id, first, end: first + BLOCKS_PER_FRAGMENT_MAX }, options);
  if (unknown > 0) throw new StorageError("unavailable", "a member that may have a bad block does not answer");
  const damaged: number[] = [];
  for (let index = 0; index < BLOCKS_PER_FRAGMENT_MAX; index++) {
    const block = into.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES);
    if (!await readsWell(group, { id, first: first + index, count: 1, into: block })) damaged.push(first + index);
  }
  return damaged;
}

/** False if a block is bad. @throws {StorageError} device_failed */
async function readsWell(
  group: Group,
  read: { readonly id: ChunkId; readonly first: number; readonly count: number; readonly into: Uint8Array },
): Promise<boolean> {
  const { device, storage } = group;
  const { id, first, count, into } = read;
  const chunk = device.store.chunk(storage!, chunkKey(id.nodeId, id.chunkIndex))!;
  const place = { offsetBytes: first * BLOCK_BYTES, lengthBytes: count * BLOCK_BYTES, into, intoOffset: 0 };
  try {
    await device.readVerified(chunk, place);
    return true;
  } catch (error) {
    if (error instanceof StorageError && isBadBlock(error.code)) return false;
    throw error;
  }
}
