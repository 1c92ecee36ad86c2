/**
 * A write of parts of blocks becomes one of whole blocks: read, verify, lay the fragment over them, compute the checksums
 * (replication design, section 3.4 step 2). The caller holds the lock of the blocks.
 *
 * @module
 */
import type { PooledBuffer } from "@/shared/buffers.ts";
import { blockCrc } from "@/shared/checksum.ts";
import { BLOCK_BYTES } from "@/shared/constants.ts";
import type { ErrorCode } from "@/shared/errors.ts";
import { blocksTouched } from "@/shared/wire/header.ts";
import type { Chunk } from "@/sds/device/chunk.ts";
import { isBadBlock, repairBlocks } from "@/sds/replication/block_repair.ts";
import type { Group } from "@/sds/replication/group.ts";
import type { OperationData } from "@/sds/replication/operation_data.ts";

/** Whole blocks; the buffer goes to the caller. */
export interface MergedBlocks {
  readonly bytes: PooledBuffer;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly crcs: Uint32Array;
}

/** What is merged. */
export interface MergeOptions {
  readonly group: Group;
  /** Undefined: the chunk is not stored, so the rest of the blocks is zeros. */
  readonly chunk: Chunk | undefined;
  readonly fragment: {
    readonly offsetBytes: number;
    readonly lengthBytes: number;
    /** Kept by its owner until `done`. */
    readonly data: OperationData;
  };
}

/**
 * Calls `done` with the blocks, or with why they cannot be read; perhaps before it returns. Blocks that are bad here are mended
 * first, if another copy is good.
 */
export function mergeFragment(options: MergeOptions, done: (merged: MergedBlocks | ErrorCode) => void): void {
  readAndMerge(options, (merged) => {
    if (typeof merged !== "string" || !isBadBlock(merged) || options.chunk === undefined) return done(merged);
    const { group, chunk, fragment } = options;
    const first = Math.floor(fragment.offsetBytes / BLOCK_BYTES);
    const end = first + blocksTouched(fragment.offsetBytes, fragment.lengthBytes);
    repairBlocks(group, { id: chunk, first, end }, { locked: true, compare: false }).then(
      ({ unknown }) => {
        if (unknown > 0) return done("outcome_unknown");
        const mended = group.device.store.chunk(group.storage!, chunk.key);
        readAndMerge({ group, fragment, chunk: mended }, done);
      },
    ).catch((error) => {
      group.device.operationFailed(group, error);
      done("outcome_unknown");
    });
  });
}

function readAndMerge(options: MergeOptions, done: (merged: MergedBlocks | ErrorCode) => void): void {
  const { group, chunk, fragment } = options;
  const { store, context: { buffers } } = group.device;
  const blockCount = blocksTouched(fragment.offsetBytes, fragment.lengthBytes);
  const offsetBytes = fragment.offsetBytes - fragment.offsetBytes % BLOCK_BYTES;
  const lengthBytes = blockCount * BLOCK_BYTES;
  const bytes = buffers.take(lengthBytes);
  const merge = (error: ErrorCode | undefined) => {
    if (error !== undefined) {
      buffers.give(bytes);
      return done(error);
    }
    bytes.set(fragment.data.view(), fragment.offsetBytes - offsetBytes);
    const crcs = new Uint32Array(blockCount);
    for (let block = 0; block < blockCount; block++) {
      crcs[block] = blockCrc(bytes, block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES);
    }
    done({ bytes, offsetBytes, lengthBytes, crcs });
  };
  if (chunk !== undefined) {
    return store.readBlocks(chunk, { offsetBytes, lengthBytes, into: bytes, intoOffset: 0 }, merge);
  }
  bytes.fill(0, 0, lengthBytes);
  merge(undefined);
}
