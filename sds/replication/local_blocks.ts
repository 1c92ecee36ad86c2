/**
 * Blocks of a chunk on this device, as repair sees them: which are good, one block's bytes, one block written anew or marked as
 * damaged. The caller holds the lock of the blocks and counts as a running operation of the group.
 *
 * @module
 */
import { BLOCK_BYTES } from "@/shared/constants.ts";
import { StorageError } from "@/shared/errors.ts";
import type { BlockState } from "@/sds/core/repair_plan.ts";
import { type ChunkId, chunkKey } from "@/sds/device/chunk.ts";
import type { Group } from "@/sds/replication/group.ts";

/** Blocks of one chunk, `first` up to `end`. */
export interface BlockRange {
  readonly id: ChunkId;
  readonly first: number;
  readonly end: number;
}

/** A good block: its checksum, 0 for one that was never written, and its bytes; or that there is none. */
export type GoodBlock = { readonly crc: number; readonly data: Uint8Array };

/** The states of the blocks here. A chunk that is not stored has never been written. @throws {StorageError} device_failed */
export async function statesOf(group: Group, range: BlockRange): Promise<BlockState[]> {
  const { store } = group.device;
  const { id, first, end } = range;
  const chunk = store.chunk(group.storage!, chunkKey(id.nodeId, id.chunkIndex));
  if (chunk === undefined) return Array.from({ length: end - first }, () => 0);
  chunk.pin();
  try {
    if (chunk.unverified) await acceptAsPrimary(group, range);
    const bad = new Set(await store.findBadBlocks(chunk, { first, end }));
    return Array.from({ length: end - first }, (_, index) => {
      return bad.has(first + index) ? "bad" : chunk.checksums[first + index]!;
    });
  } finally {
    chunk.unpin();
  }
}

/** Only who leads may take an unverified chunk as it is (5.5): elsewhere a join writes over it. */
async function acceptAsPrimary(group: Group, { id }: BlockRange): Promise<void> {
  const { store } = group.device;
  if (group.primary === undefined) {
    throw new StorageError("not_ready", `Cannot look at chunk ${id.chunkIndex}: its copy here is not verified`);
  }
  const chunk = store.chunk(group.storage!, chunkKey(id.nodeId, id.chunkIndex));
  if (chunk !== undefined) await store.acceptUnverified(chunk);
}

/** One block, verified. @throws {StorageError} checksum_mismatch, io_error, device_failed */
export async function goodBlock(group: Group, place: { id: ChunkId; block: number }): Promise<GoodBlock> {
  const { device } = group;
  const data = new Uint8Array(BLOCK_BYTES);
  const chunk = device.store.chunk(group.storage!, chunkKey(place.id.nodeId, place.id.chunkIndex));
  if (chunk === undefined) return { crc: 0, data };
  chunk.pin();
  try {
    const offsetBytes = place.block * BLOCK_BYTES;
    await device.readVerified(chunk, { offsetBytes, lengthBytes: BLOCK_BYTES, into: data, intoOffset: 0 });
    return { crc: chunk.checksums[place.block]!, data };
  } finally {
    chunk.unpin();
  }
}

/**
 * Writes a block anew, its intent first (I7), or marks it as damaged; resolves when its rows are committed.
 *
 * @throws {StorageError} device_failed, pool_full
 */
export async function replaceBlock(
  group: Group,
  place: { readonly id: ChunkId; readonly block: number; readonly content: GoodBlock | "damaged" },
): Promise<void> {
  const { device, storage: pg } = group;
  const { store } = device;
  const { id, block, content } = place;
  store.beginWrite(pg!, id.region);
  try {
    await device.intent(group, id.region);
    const chunk = await device.ensureChunk(group, id);
    const offsetBytes = block * BLOCK_BYTES;
    if (content === "damaged") store.damage.mark(chunk, block);
    else if (content.crc === 0) {
      store.zeroBlocks(chunk, { offsetBytes, lengthBytes: BLOCK_BYTES, keepAllocated: false });
    } else {store.writeBlocks(chunk, {
        offsetBytes,
        data: content.data,
        crcs: Uint32Array.of(content.crc),
        crcIndex: 0,
      });}
    if (content !== "damaged") store.repairedBlockCount++;
    await device.committed();
  } finally {
    store.endWrite(pg!, id.region);
  }
}
