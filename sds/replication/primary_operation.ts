/**
 * A write, trim or write-zeroes at the primary, from admission to the answer (replication design, section 3.4).
 *
 *   start ─► chunk lock ─► run ─┬─► whole blocks ───────────────┬─► chunk present ─► forward to all + apply here ─► settle
 *                               └─► partial: read, verify, merge┘   allocation ─► ask members[1] first ─► the rest
 *
 * The operation ends when it is applied here and every target that counts has answered. Hot path: objects are reused, and
 * where nothing has to wait the data is used in the receive buffer that it arrived in; only an operation that waits copies it.
 *
 * @module
 */
import type { PooledBuffer } from "@/shared/buffers.ts";
import { blockCrc } from "@/shared/checksum.ts";
import { BLOCK_BYTES, BLOCKS_PER_FRAGMENT_MAX, CHUNK_BYTES } from "@/shared/constants.ts";
import { assert, type ErrorCode } from "@/shared/errors.ts";
import type { NodeId, VtreeId } from "@/shared/ids.ts";
import { blocksTouched, FRAME_FLAGS, FRAME_KINDS } from "@/shared/wire/header.ts";
import { type Chunk, chunkKey } from "@/sds/device/chunk.ts";
import type { Group } from "@/sds/replication/group.ts";
import type { PrimaryRole, Target } from "@/sds/replication/primary_role.ts";
import { type LockHolder, lockKey } from "@/sds/replication/chunk_locks.ts";

/** Who asked: an SDC session, or the SDS itself. */
export interface OperationOwner {
  /** False when nobody waits any more: an operation that has not started then ends without effect (3.6). */
  readonly alive: boolean;
  /** Called once. `code` is undefined on success. */
  operationDone(operation: PrimaryOperation, code: ErrorCode | undefined): void;
}

/** What a mutation is, apart from its data. */
export interface MutationFields {
  /** `FRAME_KINDS.replicate`, `replicate_trim` or `replicate_zeroes`. */
  readonly kind: number;
  readonly flags: number;
  readonly requestId: number;
  readonly vtreeId: VtreeId;
  readonly nodeId: NodeId;
  readonly chunkIndex: number;
  readonly region: number;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly opSession: number;
  readonly opSeq: number;
  readonly traceId: number;
}

const NO_DATA = new Uint8Array(0);

/** One mutation at the primary. Reused: see {@linkcode takeOperation}. */
export class PrimaryOperation implements LockHolder {
  owner!: OperationOwner;
  group!: Group;
  role!: PrimaryRole;
  kind = 0;
  flags = 0;
  requestId = 0;
  vtreeId!: VtreeId;
  nodeId!: NodeId;
  chunkIndex = 0;
  region = 0;
  /** As sent to members: whole blocks once merged. */
  offsetBytes = 0;
  lengthBytes = 0;
  opSession = 0;
  opSeq = 0;
  traceId = 0;
  writeNumber = 0;
  lockKey = 0;
  firstBlock = 0;
  endBlock = 0;
  readonly shared = false;
  /** Whole blocks at `dataAt`, or the raw fragment until it is merged. Borrowed unless it is pooled. */
  data: Uint8Array = NO_DATA;
  dataAt = 0;
  /** One per block, once the blocks are whole. */
  readonly crcs = new Uint32Array(BLOCKS_PER_FRAGMENT_MAX + 1);
  /** Targets that have not answered. */
  readonly waiting: Target[] = [];
  /** Raised at each reuse, so that a late answer to the last use is told apart. */
  generation = 0;

  #pooled: PooledBuffer | undefined;
  readonly #write = { offsetBytes: 0, data: NO_DATA as Uint8Array, crcs: this.crcs, crcIndex: 0 };
  #started = false;
  #answered = false;
  #ended = true;
  /** members[1] is asked alone first, since the chunk is new. */
  #asking = false;
  /** The device was told that a write of the region runs. */
  #writing = false;
  /** A step on this device has not called back yet. */
  #busy = false;
  /** In the page cache of this device: a resend reads it back from there. */
  #applied = false;
  /** Applied, committed, and synced where asked for. */
  #localDone = false;

  /** Fills the operation; data is set by `setData`. */
  init(group: Group, options: { owner: OperationOwner; fields: MutationFields }): void {
    const { owner, fields } = options;
    this.generation++;
    this.group = group;
    this.role = group.primary!;
    this.owner = owner;
    this.kind = fields.kind;
    this.flags = fields.flags;
    this.requestId = fields.requestId;
    this.vtreeId = fields.vtreeId;
    this.nodeId = fields.nodeId;
    this.chunkIndex = fields.chunkIndex;
    this.region = fields.region;
    this.offsetBytes = fields.offsetBytes;
    this.lengthBytes = fields.lengthBytes;
    this.opSession = fields.opSession;
    this.opSeq = fields.opSeq;
    this.traceId = fields.traceId;
    this.lockKey = lockKey(fields.vtreeId, fields.chunkIndex);
    this.firstBlock = fields.offsetBytes >>> 12;
    this.endBlock = this.firstBlock + blocksTouched(fields.offsetBytes, fields.lengthBytes);
    this.#started =
      this.#answered =
      this.#ended =
      this.#asking =
        false;
    this.#writing =
      this.#busy =
      this.#applied =
      this.#localDone =
        false;
  }

  /** Borrows the data until `start` returns; what waits after that has copied it. */
  setData(bytes: Uint8Array, at: number): void {
    this.data = bytes;
    this.dataAt = at;
  }

  /** Begins: takes the lock, or waits for it. */
  start(): void {
    if (this.role.stopped) return this.#finish("stale_epoch");
    if (this.role.holdWrite(this)) return this.#keepData();
    this.role.operations.add(this);
    if (this.group.device.locks.acquire(this)) this.#run();
    else this.#keepData();
  }

  lockGranted(): void {
    if (!this.owner.alive) this.#answered = true;
    if (this.role.stopped || !this.owner.alive) return this.#unlockAndFinish("stale_epoch");
    this.#run();
  }

  /** Ends an operation that waits to be started: nothing changed anywhere (I16). */
  refuse(code: ErrorCode): void {
    this.#finish(code);
  }

  /** The group is no longer served from here. */
  roleEnded(): void {
    if (this.#ended) return;
    if (!this.#started) {
      if (this.group.device.locks.abandon(this)) this.#finish("stale_epoch");
      return;
    }
    this.waiting.length = 0;
    this.#asking = false;
    this.#answer("outcome_unknown");
    if (!this.#busy) this.#unlockAndFinish(undefined);
  }

  /** A target has applied the write, or counts no more. */
  acknowledged(target: Target): void {
    if (this.#ended || !this.#drop(target)) return;
    if (this.#asking) return this.#forwardRest(target);
    this.settle();
  }

  /** A target refused an allocation for want of space. Only the one that was asked first may: nothing changed anywhere. */
  vetoed(target: Target): void {
    if (this.#ended) return;
    if (!this.#asking) return this.role.removeMember(target, "it has no space for a chunk that others have");
    this.waiting.length = 0;
    this.#asking = false;
    const chunk = this.#chunk();
    if (chunk !== undefined) this.group.device.store.deleteChunk(chunk);
    this.#unlockAndFinish("pool_full");
  }

  /** Answers when everything that must have happened has. */
  settle(): void {
    if (this.#ended || !this.#localDone || this.waiting.length > 0) return;
    // Under a configuration that is still being stored the answer waits: see PrimaryRole.continueUnder.
    if (!this.role.stopped && !this.role.active) return;
    this.#unlockAndFinish(undefined);
  }

  /** True if a frame for `target` is owed. */
  owes(target: Target): boolean {
    return this.#started && !this.#ended && this.waiting.includes(target);
  }

  /** The data for a frame, at hand or read back from this device; `send` is not called if that fails, since the device has. */
  withData(send: (bytes: Uint8Array, at: number) => void): void {
    if (this.kind !== FRAME_KINDS.replicate || this.data.length > 0) return send(this.data, this.dataAt);
    const { store, context } = this.group.device;
    const chunk = this.#chunk();
    if (chunk === undefined) return;
    const buffer = context.buffers.take(this.lengthBytes);
    const read = { offsetBytes: this.offsetBytes, lengthBytes: this.lengthBytes, into: buffer, intoOffset: 0 };
    const { generation } = this;
    store.readBlocks(chunk, read, (error) => {
      if (error === undefined && !this.#ended && this.generation === generation) send(buffer, 0);
      context.buffers.give(buffer);
    });
  }

  #chunk(): Chunk | undefined {
    return this.group.device.store.chunk(this.group.storage!, chunkKey(this.nodeId, this.chunkIndex));
  }

  #drop(target: Target): boolean {
    const index = this.waiting.indexOf(target);
    if (index < 0) return false;
    this.waiting[index] = this.waiting[this.waiting.length - 1]!;
    this.waiting.pop();
    return true;
  }

  #run(): void {
    this.#started = true;
    this.group.beginOperation();
    this.#guard(() => {
      const chunk = this.#chunk();
      if (chunk?.unverified) return this.#accept(chunk);
      this.#whole(chunk);
    });
  }

  /** This copy was activated alone after an unclean stop: what the chunk holds is its content (5.5). */
  #accept(chunk: Chunk): void {
    this.#keepData();
    this.#step(this.group.device.store.acceptUnverified(chunk), () => this.#whole(this.#chunk()));
  }

  #whole(chunk: Chunk | undefined): void {
    const partial = (this.offsetBytes | this.lengthBytes) & (BLOCK_BYTES - 1);
    if (this.kind === FRAME_KINDS.replicate && partial !== 0) this.#merge(chunk);
    else this.#place(chunk);
  }

  /** Reads the blocks that the fragment touches, lays it over them, and goes on with whole blocks. */
  #merge(chunk: Chunk | undefined): void {
    const { buffers } = this.group.device.context;
    const startBytes = this.firstBlock * BLOCK_BYTES;
    const mergedBytes = (this.endBlock - this.firstBlock) * BLOCK_BYTES;
    const merged = buffers.take(mergedBytes);
    this.#keepData();
    const finish = (error: ErrorCode | undefined) => {
      this.#busy = false;
      if (error !== undefined || this.role.stopped) {
        buffers.give(merged);
        return this.#unlockAndFinish(error ?? "outcome_unknown");
      }
      merged.set(this.data.subarray(this.dataAt, this.dataAt + this.lengthBytes), this.offsetBytes - startBytes);
      this.#takePooled(merged);
      this.offsetBytes = startBytes;
      this.lengthBytes = mergedBytes;
      for (let block = 0; block < this.endBlock - this.firstBlock; block++) {
        this.crcs[block] = blockCrc(merged, block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES);
      }
      this.#guard(() => this.#place(this.#chunk()));
    };
    if (chunk === undefined) {
      merged.fill(0, 0, mergedBytes);
      return finish(undefined);
    }
    this.#busy = true;
    const read = { offsetBytes: startBytes, lengthBytes: mergedBytes, into: merged, intoOffset: 0 };
    this.group.device.store.readBlocks(chunk, read, finish);
  }

  /** The blocks are whole. Forwards and applies, or asks first when the chunk is new. */
  #place(chunk: Chunk | undefined): void {
    const { role, group } = this;
    this.writeNumber = ++role.writeNumber;
    role.lastWrite.set(this.region, this.writeNumber);
    if (chunk === undefined) {
      const allocates = this.kind === FRAME_KINDS.replicate ||
        (this.kind === FRAME_KINDS.replicate_zeroes && (this.flags & FRAME_FLAGS.noHole) !== 0);
      return allocates ? this.#withIntent(() => this.#allocate()) : this.#nothingToRemove();
    }
    this.#forward(undefined);
    if (group.storage!.hasIntent(this.region)) {
      group.device.store.beginWrite(group.storage!, this.region);
      this.#writing = true;
      return this.#apply();
    }
    this.#withIntent(() => this.#apply());
  }

  /** Calls `next` when data of the region may be written on this device. */
  #withIntent(next: () => void): void {
    const { store } = this.group.device;
    this.#keepData();
    store.beginWrite(this.group.storage!, this.region);
    this.#writing = true;
    this.#busy = true;
    store.setIntent(this.group.storage!, this.region, (error) => this.#stepDone(error, next));
  }

  #allocate(): void {
    const { role, group } = this;
    const chunk = group.device.store.createChunk(group.storage!, this);
    if (chunk === undefined) {
      this.#busy = true;
      return group.device.store.whenSlotReady((error) => this.#stepDone(error, () => this.#allocate()));
    }
    role.join?.chunkCreated(this);
    this.flags |= FRAME_FLAGS.allocates;
    const first = role.targets.find((target) => target.join === undefined);
    if (first === undefined) return this.#forwardRest(undefined);
    this.#asking = true;
    this.waiting.push(first);
    first.link.sendOperation(this, first);
  }

  /** members[1] has room, or is gone: everybody else, and this device. */
  #forwardRest(first: Target | undefined): void {
    this.#asking = false;
    this.#guard(() => {
      this.#forward(first);
      this.#apply();
    });
  }

  #forward(except: Target | undefined): void {
    const { targets } = this.role;
    for (let index = 0; index < targets.length; index++) {
      const target = targets[index]!;
      if (target === except) continue;
      // What the copier will bring is not forwarded; the removal of a chunk is, always (3.8 step 3).
      if (target.join !== undefined && !this.#removesChunk() && target.join.isPending(this)) continue;
      this.waiting.push(target);
      target.link.sendOperation(this, target);
    }
  }

  #removesChunk(): boolean {
    const keeps = (this.flags & FRAME_FLAGS.noHole) !== 0;
    return this.kind !== FRAME_KINDS.replicate && this.lengthBytes === CHUNK_BYTES && !keeps;
  }

  /** Removal of what is not there: members are the same; a joiner is told. */
  #nothingToRemove(): void {
    this.#localDone = true;
    for (const target of this.role.targets) {
      if (target.join === undefined) continue;
      this.waiting.push(target);
      target.link.sendOperation(this, target);
    }
    this.settle();
  }

  #apply(): void {
    const { store } = this.group.device;
    assert(this.#writing, "a write begins before it changes data");
    const chunk = this.#chunk();
    assert(chunk !== undefined, "the chunk of a locked range stays");
    if (this.kind === FRAME_KINDS.replicate) {
      const write = this.#write;
      write.offsetBytes = this.offsetBytes;
      write.data = this.data.subarray(this.dataAt, this.dataAt + this.lengthBytes);
      store.writeBlocks(chunk, write);
      write.data = NO_DATA;
    } else {
      applyRemoval(store, { chunk, operation: this });
    }
    this.#applied = true;
    this.#busy = true;
    if ((this.flags & FRAME_FLAGS.fua) !== 0 || this.role.config.syncWrites) {
      store.sync().then(this.#committed, () => this.#committed("device_failed"));
    } else {
      store.afterCommit(this.#committed);
    }
    if (!this.#ended && this.#pooled === undefined) this.data = NO_DATA;
  }

  /** Kept as a property, so that the hot path makes no closure. */
  readonly #committed = (error: ErrorCode | undefined | void): void => {
    this.#busy = false;
    if (error !== undefined) return this.#unlockAndFinish("outcome_unknown");
    this.#localDone = true;
    if (this.#answered) return this.#unlockAndFinish(undefined);
    this.settle();
  };

  #step(promise: Promise<void>, next: () => void): void {
    this.#busy = true;
    promise.then(() => this.#stepDone(undefined, next), () => this.#stepDone("device_failed", next));
  }

  /** A step on this device is over: go on, unless the device failed or the role ended meanwhile. */
  #stepDone(error: ErrorCode | undefined, next: () => void): void {
    this.#busy = false;
    if (error !== undefined) return this.#unlockAndFinish(error === "pool_full" ? error : "outcome_unknown");
    if (this.role.stopped) return this.#unlockAndFinish("outcome_unknown");
    this.#guard(next);
  }

  /** A device that fails throws: its groups stop, and the SDC resends to whoever takes over. */
  #guard(next: () => void): void {
    try {
      next();
    } catch (error) {
      this.group.device.operationFailed(this.group, error);
      if (!this.#ended && !this.#busy) this.#unlockAndFinish("outcome_unknown");
    }
  }

  #unlockAndFinish(code: ErrorCode | undefined): void {
    if (this.#ended) return;
    const { device, storage } = this.group;
    if (this.#writing) device.store.endWrite(storage!, this.region);
    this.#writing = false;
    const started = this.#started;
    this.#started = false;
    device.locks.release(this);
    if (started) this.group.endOperation();
    this.#finish(code);
  }

  #finish(code: ErrorCode | undefined): void {
    this.#ended = true;
    if (this.#pooled !== undefined) this.group.device.context.buffers.give(this.#pooled);
    this.#pooled = undefined;
    this.data = NO_DATA;
    this.waiting.length = 0;
    this.role.operationEnded(this);
    this.#answer(code);
    if (idleOperations.length < IDLE_OPERATIONS_MAX) idleOperations.push(this);
  }

  #answer(code: ErrorCode | undefined): void {
    if (this.#answered) return;
    this.#answered = true;
    this.owner.operationDone(this, code);
  }

  /** Copies borrowed data, since the operation outlives the receive buffer. */
  #keepData(): void {
    if (this.#pooled !== undefined || this.#applied || this.kind !== FRAME_KINDS.replicate) return;
    const copy = this.group.device.context.buffers.take(this.lengthBytes);
    copy.set(this.data.subarray(this.dataAt, this.dataAt + this.lengthBytes));
    this.#takePooled(copy);
  }

  #takePooled(buffer: PooledBuffer): void {
    if (this.#pooled !== undefined) this.group.device.context.buffers.give(this.#pooled);
    this.#pooled = buffer;
    this.data = buffer;
    this.dataAt = 0;
  }
}

/** Carries out a trim or write-zeroes of whole blocks on a chunk that exists. */
export function applyRemoval(
  store: { deleteChunk(chunk: Chunk): void; zeroBlocks(chunk: Chunk, options: ZeroOptions): void },
  removal: { chunk: Chunk; operation: { flags: number; offsetBytes: number; lengthBytes: number; kind: number } },
): void {
  const { chunk, operation } = removal;
  const keepAllocated = operation.kind === FRAME_KINDS.replicate_zeroes && (operation.flags & FRAME_FLAGS.noHole) !== 0;
  if (operation.lengthBytes === CHUNK_BYTES && !keepAllocated) store.deleteChunk(chunk);
  else {store.zeroBlocks(chunk, {
      offsetBytes: operation.offsetBytes,
      lengthBytes: operation.lengthBytes,
      keepAllocated,
    });}
}

interface ZeroOptions {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly keepAllocated: boolean;
}

/** Idle operations kept for reuse: a few sessions' worth. */
const IDLE_OPERATIONS_MAX = 1024;
const idleOperations: PrimaryOperation[] = [];

/** A fresh or reused operation. */
export function takeOperation(): PrimaryOperation {
  return idleOperations.pop() ?? new PrimaryOperation();
}
