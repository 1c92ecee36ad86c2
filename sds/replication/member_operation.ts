/**
 * A replicated write, trim or write-zeroes at a member or joiner: chunk lock, intent, apply, answer (replication design,
 * section 3.4). Objects are reused; only an operation that waits copies its data.
 *
 * @module
 */
import { blockCrc } from "@/shared/checksum.ts";
import { BLOCK_BYTES, BLOCKS_PER_FRAGMENT_MAX, CHUNK_BYTES } from "@/shared/constants.ts";
import { type ErrorCode, StorageError } from "@/shared/errors.ts";
import type { NodeId, VtreeId } from "@/shared/ids.ts";
import type { Frame } from "@/shared/net/frame_channel.ts";
import { FRAME_KINDS, HEADER_FIELDS } from "@/shared/wire/header.ts";
import { type Chunk, chunkKey } from "@/sds/device/chunk.ts";
import { type LockHolder, lockKey } from "@/sds/replication/chunk_locks.ts";
import type { Group } from "@/sds/replication/group.ts";
import { promisesSync } from "@/sds/replication/mutation.ts";
import type { LinkSession } from "@/sds/replication/link_in.ts";
import { allocates, applyRemoval } from "@/sds/replication/removal.ts";
import { Reuse } from "@/sds/replication/reuse.ts";
import { OperationData } from "@/sds/replication/operation_data.ts";

/** One replicated operation. */
export class MemberOperation implements LockHolder {
  lockKey = 0;
  firstBlock = 0;
  endBlock = 0;
  readonly shared = false;
  kind = 0;
  flags = 0;
  vtreeId!: VtreeId;
  nodeId!: NodeId;
  chunkIndex = 0;
  region = 0;
  offsetBytes = 0;
  lengthBytes = 0;
  #session!: LinkSession;
  #group!: Group;
  #requestId = 0;
  #writeNumber = 0;
  readonly crcs = new Uint32Array(BLOCKS_PER_FRAGMENT_MAX);
  readonly #data = new OperationData();
  #writing = false;

  /** Takes a frame that was admitted. Borrows it. @throws {StorageError} bad_request to end the link. */
  begin(session: LinkSession, options: { group: Group; frame: Frame }): void {
    const { group, frame } = options;
    const { header, headerAt: at } = frame;
    this.#session = session;
    this.#group = group;
    this.kind = header.getUint8(at);
    this.flags = header.getUint8(at + HEADER_FIELDS.flags[0]);
    this.#requestId = header.getUint32(at + HEADER_FIELDS.requestId[0]);
    this.nodeId = header.getUint32(at + HEADER_FIELDS.nodeId[0]) as NodeId;
    this.vtreeId = header.getUint32(at + HEADER_FIELDS.vtreeId[0]) as VtreeId;
    this.chunkIndex = header.getUint32(at + HEADER_FIELDS.chunkIndex[0]);
    this.offsetBytes = header.getUint32(at + HEADER_FIELDS.offsetBytes[0]);
    this.lengthBytes = header.getUint32(at + HEADER_FIELDS.lengthBytes[0]);
    this.#writeNumber = header.getUint32(at + HEADER_FIELDS.writeNumber[0]);
    this.#check(frame);
    this.region = group.device.regionOf(group, this);
    this.lockKey = lockKey(this.vtreeId, this.chunkIndex);
    this.firstBlock = this.offsetBytes / BLOCK_BYTES;
    this.endBlock = (this.offsetBytes + this.lengthBytes) / BLOCK_BYTES;
    this.#writing = false;
    session.beginOperation();
    group.beginOperation();
    if (group.device.locks.acquire(this)) this.#run();
    else this.#keep();
  }

  lockGranted(): void {
    this.#run();
  }

  /** Blocks must be whole, within the chunk, and have the checksums that came with them. */
  #check(frame: Frame): void {
    const { offsetBytes, lengthBytes } = this;
    const aligned = (offsetBytes | lengthBytes) % BLOCK_BYTES === 0 && lengthBytes > 0;
    const blockCount = this.kind === FRAME_KINDS.replicate ? lengthBytes / BLOCK_BYTES : 0;
    const payloadBytes = blockCount * (BLOCK_BYTES + 4);
    if (!aligned || offsetBytes + lengthBytes > CHUNK_BYTES || frame.payloadBytes !== payloadBytes) {
      throw new StorageError(
        "bad_request",
        `Cannot apply a replicated operation: ${lengthBytes} bytes at ${offsetBytes} with a payload of ${frame.payloadBytes}`,
      );
    }
    if (blockCount > BLOCKS_PER_FRAGMENT_MAX) {
      throw new StorageError(
        "bad_request",
        `Cannot apply ${blockCount} blocks: at most ${BLOCKS_PER_FRAGMENT_MAX} travel at once`,
      );
    }
    const dataAt = frame.payloadAt + blockCount * 4;
    this.#data.borrow(frame.bytes, { at: dataAt, lengthBytes: blockCount * BLOCK_BYTES });
    for (let block = 0; block < blockCount; block++) {
      const crc = frame.view.getUint32(frame.payloadAt + block * 4);
      const start = dataAt + block * BLOCK_BYTES;
      if (blockCrc(frame.bytes, start, start + BLOCK_BYTES) !== crc) {
        throw new StorageError(
          "checksum_mismatch",
          "Cannot apply a replicated write: a block differs from its checksum",
        );
      }
      this.crcs[block] = crc;
    }
  }

  #run(): void {
    const { store } = this.#group.device;
    const syncs = promisesSync(this.flags, this.#group.config);
    try {
      const chunk = this.#chunk();
      if (chunk === undefined && !allocates(this)) return syncs ? this.#sync() : this.#end(undefined);
      store.beginWrite(this.#group.storage!, this.region);
      this.#writing = true;
      if (this.#group.storage!.hasIntent(this.region)) return this.#apply();
      this.#keep();
      store.setIntent(this.#group.storage!, this.region, (error) => this.#stepDone(error));
    } catch (error) {
      this.#failed(error);
    }
  }

  #stepDone(error: ErrorCode | undefined): void {
    if (error !== undefined) return this.#end(error);
    try {
      this.#apply();
    } catch (cause) {
      this.#failed(cause);
    }
  }

  #apply(): void {
    const { store } = this.#group.device;
    const pg = this.#group.storage!;
    let chunk = this.#chunk();
    if (chunk === undefined) {
      chunk = store.createChunk(pg, this);
      if (chunk === undefined) {
        this.#keep();
        return store.whenSlotReady((error) => this.#stepDone(error));
      }
    }
    if (this.kind === FRAME_KINDS.replicate) {
      store.writeBlocks(chunk, this.#data.asWrite(this));
    } else {
      applyRemoval(store, { chunk, removal: this });
    }
    if (promisesSync(this.flags, this.#group.config)) this.#sync();
    else store.afterCommit(this.#committed);
    this.#data.forgetBorrowed();
  }

  #sync(): void {
    this.#group.device.store.sync().then(this.#committed, () => this.#committed("device_failed"));
  }

  readonly #committed = (error: ErrorCode | undefined | void): void => {
    if (error === undefined) {
      const { appliedWrites } = this.#group;
      // Writes beside each other may end in any order: what counts is the newest.
      appliedWrites.set(this.region, Math.max(this.#writeNumber, appliedWrites.get(this.region) ?? 0));
    }
    this.#end(error ?? undefined);
  };

  #chunk(): Chunk | undefined {
    return this.#group.device.store.chunk(this.#group.storage!, chunkKey(this.nodeId, this.chunkIndex));
  }

  #failed(error: unknown): void {
    this.#group.device.operationFailed(this.#group, error);
    this.#end("device_failed");
  }

  #end(code: ErrorCode | undefined): void {
    const group = this.#group;
    const session = this.#session;
    if (this.#writing) group.device.store.endWrite(group.storage!, this.region);
    this.#writing = false;
    this.#data.release(group.device.context.buffers);
    session.answer(this.#requestId, code);
    group.device.locks.release(this);
    group.endOperation();
    session.endOperation();
    operations.give(this);
  }

  #keep(): void {
    if (this.kind === FRAME_KINDS.replicate) this.#data.keep(this.#group.device.context.buffers);
  }
}

const operations = new Reuse(() => new MemberOperation());

/** A fresh or reused operation. */
export function takeMemberOperation(): MemberOperation {
  return operations.take();
}
