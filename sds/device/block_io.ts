/**
 * Reads and writes of blocks of a chunk, with their checksums: the hot path of the device. Nothing here allocates a promise or a
 * map entry per IO while data is in the page cache.
 *
 * @module
 */
import { crc32 } from "node:zlib";
import type { Chunk } from "@/sds/device/chunk.ts";
import type { DamagedBlocks } from "@/sds/device/damaged_blocks.ts";
import type { DeviceHealth } from "@/sds/device/health.ts";
import { blockChecksum, POPULATE_PIECE_BYTES, SLOT_BYTES } from "@/sds/device/layout.ts";
import type { ReadPace } from "@/sds/device/read_pace.ts";
import { isZero, type SlotFiles } from "@/sds/device/slot_files.ts";
import type { Clock } from "@/shared/clock.ts";
import { BLOCK_BYTES, CHUNK_BYTES } from "@/shared/constants.ts";
import { assert, type ErrorCode } from "@/shared/errors.ts";

/** Whole blocks to be written. */
export interface BlockWrite {
  /** Within the chunk, a multiple of 4096. */
  readonly offsetBytes: number;
  /** Borrowed; a multiple of 4096 long. */
  readonly data: Uint8Array;
  /** CRC-32 of each block from `crcIndex` on; 0 is stored as 1. Already checked against the data. Borrowed. */
  readonly crcs: Uint32Array;
  readonly crcIndex: number;
}

/** Whole blocks to be read. */
export interface BlockRead {
  /** Within the chunk, a multiple of 4096. */
  readonly offsetBytes: number;
  /** A multiple of 4096. */
  readonly lengthBytes: number;
  /** Borrowed until `done`. */
  readonly into: Uint8Array;
  readonly intoOffset: number;
}

/** Called once at the end of a read; `checksum_mismatch`, `io_error`: what is in the buffer is not the block. */
export type ReadCallback = (error: ErrorCode | undefined) => void;

/** Blocks of one read when a chunk is looked through. */
const BLOCKS_PER_PIECE = POPULATE_PIECE_BYTES / BLOCK_BYTES;

const ZEROS = new Uint8Array(POPULATE_PIECE_BYTES);
const ZERO_BLOCK_CHECKSUM = blockChecksum(ZEROS.subarray(0, BLOCK_BYTES));

export interface BlockIoOptions {
  readonly files: SlotFiles;
  readonly health: DeviceHealth;
  readonly pace: ReadPace;
  readonly clock: Clock;
  readonly damage: DamagedBlocks;
  /** Called after the checksums of a chunk changed. */
  readonly noteChange: (chunk: Chunk) => void;
}

/** Block IO of one device. */
export class BlockIo {
  readonly #options: BlockIoOptions;

  constructor(options: BlockIoOptions) {
    this.#options = options;
  }

  /** Writes blocks and notes their checksums. @throws {StorageError} device_failed */
  write(chunk: Chunk, write: BlockWrite): void {
    const { data, offsetBytes } = write;
    const range = { offsetBytes, lengthBytes: data.length };
    this.#requireWritable(chunk, range);
    this.#options.files.writeData(data, chunk.slot * SLOT_BYTES + offsetBytes);
    const { checksums } = chunk;
    const firstBlock = offsetBytes / BLOCK_BYTES;
    const count = data.length / BLOCK_BYTES;
    for (let index = 0; index < count; index++) {
      checksums[firstBlock + index] = write.crcs[write.crcIndex + index]! || 1;
    }
    if (chunk.pg.damaged.size > 0) {
      this.#options.damage.overwritten(chunk, { first: firstBlock, end: firstBlock + count });
    }
    chunk.noteWrite(range, this.#options.clock.wallMs());
    this.#options.noteChange(chunk);
  }

  /**
   * Makes blocks zero. Data is zeroed before a checksum is cleared, since checksum 0 promises zeros.
   *
   * @param range.keepAllocated true: zeros are stored; false: the blocks count as never written.
   * @throws {StorageError} device_failed
   */
  zero(
    chunk: Chunk,
    range: { readonly offsetBytes: number; readonly lengthBytes: number; readonly keepAllocated: boolean },
  ): void {
    const { offsetBytes, lengthBytes } = range;
    this.#requireWritable(chunk, range);
    for (let doneBytes = 0; doneBytes < lengthBytes; doneBytes += POPULATE_PIECE_BYTES) {
      const piece = ZEROS.subarray(0, Math.min(POPULATE_PIECE_BYTES, lengthBytes - doneBytes));
      this.#options.files.writeData(piece, chunk.slot * SLOT_BYTES + offsetBytes + doneBytes);
    }
    const checksum = range.keepAllocated ? ZERO_BLOCK_CHECKSUM : 0;
    const blocks = { first: offsetBytes / BLOCK_BYTES, end: (offsetBytes + lengthBytes) / BLOCK_BYTES };
    chunk.checksums.fill(checksum, blocks.first, blocks.end);
    if (chunk.pg.damaged.size > 0) this.#options.damage.overwritten(chunk, blocks);
    chunk.noteWrite(range, this.#options.clock.wallMs());
    this.#options.noteChange(chunk);
  }

  /** Reads and verifies blocks. `done` is called before the return when the data is at hand, else later. */
  read(chunk: Chunk, read: BlockRead, done: ReadCallback): void {
    const { clock, files, health, pace } = this.#options;
    if (health.failed !== undefined) return done(health.failed);
    requireRange(chunk, read);
    if (chunk.unverified) return done("not_ready");
    const { into, intoOffset, lengthBytes } = read;
    const target = into.subarray(intoOffset, intoOffset + lengthBytes);
    if (chunk.pg.damaged.size === 0 && neverWritten(chunk, read)) {
      target.fill(0);
      return done(undefined);
    }
    if (pace.nextIsAsync()) return this.#readOffLoop(chunk, { read, target, done });
    const startMs = clock.monotonicMs();
    let count: number;
    try {
      count = files.data.file.readSync(target, chunk.slot * SLOT_BYTES + read.offsetBytes);
    } catch (cause) {
      return done(this.#readFailed(chunk, read.offsetBytes / BLOCK_BYTES, cause));
    }
    pace.noteSync(clock.monotonicMs() - startMs);
    target.fill(0, count);
    done(this.#verify(chunk, { offsetBytes: read.offsetBytes, target }));
  }

  /**
   * Recomputes every checksum from the data, those of 0 too (5.3): what is on the disk is taken as it is. The caller holds the
   * chunk's lock.
   *
   * @throws {StorageError} device_failed, or {Error} from the disk
   */
  async recompute(chunk: Chunk): Promise<void> {
    const piece = new Uint8Array(POPULATE_PIECE_BYTES);
    const checksums = new Uint32Array(chunk.checksums.length);
    for (let offsetBytes = 0; offsetBytes < CHUNK_BYTES; offsetBytes += piece.length) {
      const count = await this.#options.files.data.file.read(piece, chunk.slot * SLOT_BYTES + offsetBytes);
      piece.fill(0, count);
      for (let blockBytes = 0; blockBytes < piece.length; blockBytes += BLOCK_BYTES) {
        const block = piece.subarray(blockBytes, blockBytes + BLOCK_BYTES);
        const index = (offsetBytes + blockBytes) / BLOCK_BYTES;
        checksums[index] = chunk.checksums[index] === 0 && isZero(block) ? 0 : blockChecksum(block);
      }
    }
    this.#options.health.requireIntact();
    chunk.checksums.set(checksums);
    this.#options.noteChange(chunk);
  }

  /**
   * Reads blocks one by one and gives those that cannot be read or do not match, damaged ones included. The caller holds the
   * chunk's lock and has it pinned; it is verified.
   *
   * @throws {StorageError} device_failed
   */
  async findBad(chunk: Chunk, range: { readonly first: number; readonly end: number }): Promise<number[]> {
    const bad: number[] = [];
    for (let first = range.first; first < range.end; first += BLOCKS_PER_PIECE) {
      const count = Math.min(BLOCKS_PER_PIECE, range.end - first);
      if (await this.#readsWell(chunk, { first, count })) continue;
      for (let block = first; block < first + count; block++) {
        if (!await this.#readsWell(chunk, { first: block, count: 1 })) bad.push(block);
      }
    }
    this.#options.health.requireIntact();
    return bad;
  }

  async #readsWell(
    chunk: Chunk,
    { first, count }: { readonly first: number; readonly count: number },
  ): Promise<boolean> {
    const { damage, files, health } = this.#options;
    health.requireIntact();
    const damaged = (index: number) => chunk.pg.damaged.size > 0 && damage.has(chunk, index);
    const indexes = Array.from({ length: count }, (_, index) => first + index);
    if (indexes.every((index) => chunk.checksums[index] === 0 && !damaged(index))) return true;
    const target = new Uint8Array(count * BLOCK_BYTES);
    try {
      const read = await files.data.file.read(target, chunk.slot * SLOT_BYTES + first * BLOCK_BYTES);
      target.fill(0, read);
    } catch (cause) {
      // Of a longer piece the block is not known yet: its blocks are read one by one.
      if (count === 1) this.#readFailed(chunk, first, cause);
      return false;
    }
    return this.#verify(chunk, { offsetBytes: first * BLOCK_BYTES, target }) === undefined;
  }

  #requireWritable(chunk: Chunk, range: { readonly offsetBytes: number; readonly lengthBytes: number }): void {
    this.#options.health.requireIntact();
    requireRange(chunk, range);
    assert(chunk.pg.intents.running[chunk.region] !== 0, "a write begins before it changes data");
    assert(chunk.pg.hasIntent(chunk.region), "I7: data of a region is written only while its intent is durable");
  }

  #readOffLoop(
    chunk: Chunk,
    options: { readonly read: BlockRead; readonly target: Uint8Array; readonly done: ReadCallback },
  ): void {
    const { read, target, done } = options;
    chunk.pin();
    this.#options.files.data.file.read(target, chunk.slot * SLOT_BYTES + read.offsetBytes).then(
      (count) => {
        chunk.unpin();
        target.fill(0, count);
        // I22: what a device gives that failed meanwhile is not served.
        done(this.#options.health.failed ?? this.#verify(chunk, { offsetBytes: read.offsetBytes, target }));
      },
      (cause) => {
        chunk.unpin();
        done(this.#readFailed(chunk, read.offsetBytes / BLOCK_BYTES, cause));
      },
    );
  }

  #verify(chunk: Chunk, read: { readonly offsetBytes: number; readonly target: Uint8Array }): ErrorCode | undefined {
    const { target } = read;
    const { checksums } = chunk;
    let index = read.offsetBytes / BLOCK_BYTES;
    for (let blockBytes = 0; blockBytes < target.length; blockBytes += BLOCK_BYTES, index++) {
      const block = target.length === BLOCK_BYTES ? target : target.subarray(blockBytes, blockBytes + BLOCK_BYTES);
      const expected = checksums[index]!;
      if (chunk.pg.damaged.size > 0 && this.#options.damage.has(chunk, index)) return "checksum_mismatch";
      if (expected === 0) block.fill(0);
      else if ((crc32(block) || 1) !== expected) return this.#mismatch(chunk, index);
    }
    return undefined;
  }

  #mismatch(chunk: Chunk, blockIndex: number): ErrorCode {
    const nowMs = this.#options.clock.monotonicMs();
    this.#options.health.noteReadError(placeOf(chunk, blockIndex), { reason: "wrong checksum", nowMs });
    return "checksum_mismatch";
  }

  #readFailed(chunk: Chunk, blockIndex: number, cause: unknown): ErrorCode {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const nowMs = this.#options.clock.monotonicMs();
    this.#options.health.noteReadError(placeOf(chunk, blockIndex), { reason, nowMs });
    return "io_error";
  }
}

function placeOf(chunk: Chunk, blockIndex: number): string {
  return `block ${blockIndex} of slot ${chunk.slot}`;
}

function requireRange(
  chunk: Chunk,
  { offsetBytes, lengthBytes }: { readonly offsetBytes: number; readonly lengthBytes: number },
): void {
  assert(chunk.cached, "a chunk is looked up again or pinned when it is used in a later turn");
  assert(
    offsetBytes >= 0 && lengthBytes > 0 && offsetBytes + lengthBytes <= CHUNK_BYTES &&
      (offsetBytes | lengthBytes) % BLOCK_BYTES === 0,
    "blocks are whole and within the chunk",
  );
}

function neverWritten(chunk: Chunk, read: BlockRead): boolean {
  const first = read.offsetBytes / BLOCK_BYTES;
  const end = first + read.lengthBytes / BLOCK_BYTES;
  for (let index = first; index < end; index++) {
    if (chunk.checksums[index] !== 0) return false;
  }
  return true;
}
