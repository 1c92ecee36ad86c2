/**
 * A read at the primary: a shared lock, so that it never sees a write that is not committed (I6), data verified against its
 * checksums, and the lease checked again before the answer (I3, I4; replication design, sections 3.3 and 3.5).
 *
 * @module
 */
import { BLOCK_BYTES } from "@/shared/constants.ts";
import type { ErrorCode } from "@/shared/errors.ts";
import type { NodeId, VtreeId } from "@/shared/ids.ts";
import type { PooledBuffer } from "@/shared/buffers.ts";
import { type Chunk, chunkKey } from "@/sds/device/chunk.ts";
import { isBadBlock, repairBlocks, type RepairResult } from "@/sds/replication/block_repair.ts";
import { type LockHolder, lockKey } from "@/sds/replication/chunk_locks.ts";
import { Reuse } from "@/sds/replication/reuse.ts";
import type { Group } from "@/sds/replication/group.ts";

/** Who asked for a read. */
export interface ReadOwner {
  /** False when nobody waits any more. */
  readonly alive: boolean;
  /** Called once, also when nobody waits any more; on success the bytes asked for are `bytes` from `at` on, borrowed during the call. */
  readDone(requestId: number, result: ReadResult): void;
}

/** What a read gave. */
export interface ReadResult {
  readonly code: ErrorCode | undefined;
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly lengthBytes: number;
}

/** What is to be read. */
export interface ReadFields {
  readonly requestId: number;
  readonly vtreeId: VtreeId;
  readonly nodeId: NodeId;
  readonly chunkIndex: number;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

const NO_BYTES = new Uint8Array(0);

/** One read. Reused. */
export class ReadOperation implements LockHolder {
  lockKey = 0;
  firstBlock = 0;
  endBlock = 0;
  readonly shared = true;
  #owner!: ReadOwner;
  #group!: Group;
  #requestId = 0;
  #nodeId!: NodeId;
  #chunkIndex = 0;
  #offsetBytes = 0;
  #lengthBytes = 0;
  #buffer: PooledBuffer | undefined;
  #repaired: RepairResult | undefined;
  readonly #read = { offsetBytes: 0, lengthBytes: 0, into: NO_BYTES as Uint8Array, intoOffset: 0 };

  /** Begins a read of a group that this device may serve. */
  begin(group: Group, options: { owner: ReadOwner; fields: ReadFields }): void {
    const { owner, fields } = options;
    this.#group = group;
    this.#owner = owner;
    this.#requestId = fields.requestId;
    this.#nodeId = fields.nodeId;
    this.#chunkIndex = fields.chunkIndex;
    this.#offsetBytes = fields.offsetBytes;
    this.#lengthBytes = fields.lengthBytes;
    this.lockKey = lockKey(fields.vtreeId, fields.chunkIndex);
    this.firstBlock = fields.offsetBytes >>> 12;
    this.endBlock = ((fields.offsetBytes + fields.lengthBytes - 1) >>> 12) + 1;
    this.#repaired = undefined;
    group.beginOperation();
    if (!group.device.context.guards.readLock || group.device.locks.acquire(this)) this.#run();
  }

  lockGranted(): void {
    this.#run();
  }

  #run(): void {
    const { device, primary } = this.#group;
    if (!this.#owner.alive || primary === undefined) return this.#end(this.#owner.alive ? "not_primary" : "stale_lane");
    try {
      const chunk = this.#chunk();
      if (chunk?.unverified) {
        device.store.acceptUnverified(chunk).then(() => this.#run(), (error) => this.#failed(error));
        return;
      }
      const startBytes = this.firstBlock * BLOCK_BYTES;
      const spanBytes = (this.endBlock - this.firstBlock) * BLOCK_BYTES;
      const buffer = this.#buffer = device.context.buffers.take(spanBytes);
      if (chunk === undefined) {
        buffer.fill(0, 0, spanBytes);
        return this.#end(undefined);
      }
      const read = this.#read;
      read.offsetBytes = startBytes;
      read.lengthBytes = spanBytes;
      read.into = buffer;
      device.store.readBlocks(chunk, read, this.#done);
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Kept as a property, so that the hot path makes no closure. */
  readonly #done = (error: ErrorCode | undefined): void => {
    if (!isBadBlock(error)) return this.#end(error);
    if (this.#repaired === undefined && this.#group.primary !== undefined) return this.#repair();
    // A member that may have the block does not answer: it will, or will be removed. The SDC asks again.
    this.#end(this.#repaired?.unknown ? "not_ready" : error);
  };

  /** A block is bad here: gives up the shared lock for the time of the repair, then reads again. */
  #repair(): void {
    const { device } = this.#group;
    const { readLock } = device.context.guards;
    device.context.buffers.give(this.#buffer!);
    this.#buffer = undefined;
    // The read has just looked the chunk up, under the lock.
    const id = this.#chunk()!;
    if (readLock) device.locks.release(this);
    const again = () => {
      if (!readLock || device.locks.acquire(this)) this.#run();
    };
    repairBlocks(this.#group, { id, first: this.firstBlock, end: this.endBlock }, { locked: false, compare: false })
      .then((result) => this.#repaired = result, (error) => this.#repairFailed(error)).then(again);
  }

  #repairFailed(error: unknown): void {
    this.#group.device.operationFailed(this.#group, error);
    this.#repaired = { repaired: 0, damaged: 0, unknown: 1 };
  }

  #chunk(): Chunk | undefined {
    const { device, storage } = this.#group;
    return device.store.chunk(storage!, chunkKey(this.#nodeId, this.#chunkIndex));
  }

  #failed(error: unknown): void {
    this.#group.device.operationFailed(this.#group, error);
    this.#end("device_failed");
  }

  #end(code: ErrorCode | undefined): void {
    const { device, primary } = this.#group;
    // The check before the answer: a lease that ended while the data was read means that another may have written since.
    const { lease, readLock } = device.context.guards;
    const serves = primary !== undefined && (!lease || primary.mayServe());
    // One comparison per read; a role that is not that of the newest configuration must not exist.
    const isNewest = primary === undefined ||
      this.#group.holds(primary.config === this.#group.config, "I4: reads are answered under the newest configuration");
    const answer = code ?? (serves && isNewest ? undefined : "not_ready");
    const buffer = this.#buffer;
    this.#buffer = undefined;
    this.#owner.readDone(this.#requestId, {
      code: answer,
      bytes: buffer ?? NO_BYTES,
      at: this.#offsetBytes - this.firstBlock * BLOCK_BYTES,
      lengthBytes: this.#lengthBytes,
    });
    if (buffer !== undefined) device.context.buffers.give(buffer);
    if (readLock) device.locks.release(this);
    this.#group.endOperation();
    reads.give(this);
  }
}

const reads = new Reuse(() => new ReadOperation());

/** A fresh or reused read. */
export function takeRead(): ReadOperation {
  return reads.take();
}
