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
import { mergeFragment } from "@/sds/replication/merge_fragment.ts";
import { type MutationFields, type OperationOwner, promisesSync } from "@/sds/replication/mutation.ts";
import { BLOCK_BYTES, BLOCKS_PER_CHUNK, BLOCKS_PER_FRAGMENT_MAX } from "@/shared/constants.ts";
import { assert, type ErrorCode } from "@/shared/errors.ts";
import { blocksTouched, FRAME_FLAGS, FRAME_KINDS } from "@/shared/wire/header.ts";
import { type Chunk, chunkKey } from "@/sds/device/chunk.ts";
import type { Group } from "@/sds/replication/group.ts";
import { isOnAll, type PrimaryRole, type Target } from "@/sds/replication/primary_role.ts";
import { OperationData } from "@/sds/replication/operation_data.ts";
import { type LockHolder, lockKey } from "@/sds/replication/chunk_locks.ts";
import { OperationProgress } from "@/sds/replication/operation_progress.ts";
import { Reuse } from "@/sds/replication/reuse.ts";
import { allocates, applyRemoval, removesChunk } from "@/sds/replication/removal.ts";

/** One mutation at the primary. Reused: see {@linkcode takeOperation}. */
export class PrimaryOperation implements LockHolder {
  owner!: OperationOwner;
  group!: Group;
  role!: PrimaryRole;
  kind = 0;
  flags = 0;
  request!: MutationFields;
  /** As sent to members: whole blocks once merged. */
  offsetBytes = 0;
  lengthBytes = 0;
  writeNumber = 0;
  lockKey = 0;
  firstBlock = 0;
  endBlock = 0;
  readonly shared = false;
  /** Whole blocks, or the raw fragment until it is merged. */
  readonly data = new OperationData();
  /** One per block, once the blocks are whole. */
  readonly crcs = new Uint32Array(BLOCKS_PER_FRAGMENT_MAX + 1);
  /** Targets that have not answered. */
  readonly waiting: Target[] = [];
  /** Those that have, or count no more. */
  readonly answered: Target[] = [];
  /** Raised at each reuse, so that a late answer to the last use is told apart. */
  generation = 0;

  readonly #is = new OperationProgress();

  /** Fills the operation; `borrow` sets the data of a write. */
  init(group: Group, options: { owner: OperationOwner; fields: MutationFields }): void {
    const { owner, fields } = options;
    this.generation++;
    this.group = group;
    this.role = group.primary!;
    this.owner = owner;
    this.request = fields;
    this.kind = fields.kind;
    this.flags = fields.flags;
    this.offsetBytes = fields.offsetBytes;
    this.lengthBytes = fields.lengthBytes;
    this.lockKey = lockKey(fields.vtreeId, fields.chunkIndex);
    this.firstBlock = fields.offsetBytes >>> 12;
    this.endBlock = this.firstBlock + blocksTouched(fields.offsetBytes, fields.lengthBytes);
    this.#is.reset();
  }

  /** Borrows the data of a write until `start` returns. */
  borrow(bytes: Uint8Array, at: number): void {
    this.data.borrow(bytes, { at, lengthBytes: this.lengthBytes });
  }

  /** Begins: takes the lock, or waits for it. */
  start(): void {
    // An owner that is gone by the time a held write may start has perhaps sent it again, or lost its mapping (3.6).
    if (this.role.stopped || !this.owner.alive) return this.#finish("stale_epoch");
    if (this.role.holdWrite(this)) return this.#keep();
    this.role.operations.add(this);
    if (this.group.device.locks.acquire(this)) this.#run();
    else this.#keep();
  }

  lockGranted(): void {
    if (this.role.stopped || !this.owner.alive) return this.#unlockAndFinish("stale_epoch");
    this.#run();
  }

  /** Ends an operation that waits to be started: nothing changed anywhere (I16). */
  refuse(code: ErrorCode): void {
    this.#finish(code);
  }

  /** The group is no longer served from here. */
  roleEnded(): void {
    if (this.#is.ended) return;
    if (!this.#is.started) {
      if (this.group.device.locks.abandon(this)) this.#finish("stale_epoch");
      return;
    }
    this.waiting.length = 0;
    this.#is.asking = false;
    this.#answer("outcome_unknown");
    if (!this.#is.busy) this.#unlockAndFinish(undefined);
  }

  /** A target has applied the write, or counts no more. */
  acknowledged(target: Target): void {
    if (this.#is.ended || !this.#drop(target)) return;
    if (this.#is.asking) return this.#forwardRest(target);
    this.settle();
  }

  /** A frame leaves for a target. */
  frameSent(): void {
    if (this.#is.asking) this.#is.askCount++;
  }

  /**
   * A target refused an allocation for want of space. Only the one that was asked first may, and only the first time that it was
   * asked: nothing changed anywhere then (I16). Of one that was asked again nobody knows what it applies yet, or has applied.
   */
  vetoed(target: Target): void {
    if (this.#is.ended) return;
    if (!this.#is.asking || this.#is.askCount > 1) {
      return void this.role.removeMember(target, "it has no space for a chunk that others have");
    }
    this.waiting.length = 0;
    this.#is.asking = false;
    const chunk = this.storedChunk();
    if (chunk !== undefined) this.group.device.store.deleteChunk(chunk);
    this.#unlockAndFinish("pool_full");
  }

  /** Answers when everything that must have happened has. */
  settle(): void {
    if (this.#is.ended || !this.#is.localDone) return;
    if (this.waiting.length > 0 && this.group.device.context.guards.commitRule) return;
    // Under a configuration that is still being stored the answer waits: see PrimaryRole.continueUnder.
    if (!this.role.stopped && !this.role.active) return;
    const onAll = this.#is.answered || !this.#is.applied || isOnAll(this);
    if (this.group.holds(onAll, "I5: every member has applied what is answered")) this.#unlockAndFinish(undefined);
  }

  /** True if a frame for `target` is owed. */
  owes(target: Target): boolean {
    return this.#is.started && !this.#is.ended && this.waiting.includes(target);
  }

  /** True when nothing of it is left: the object may be in use for another operation. */
  get ended(): boolean {
    return this.#is.ended;
  }

  /** The chunk as this device has it. */
  storedChunk(): Chunk | undefined {
    return this.group.device.store.chunk(this.group.storage!, chunkKey(this.request.nodeId, this.request.chunkIndex));
  }

  #sendTo(target: Target): void {
    this.waiting.push(target);
    target.link.sendOperation(this, target);
  }

  #drop(target: Target): boolean {
    const index = this.waiting.indexOf(target);
    if (index < 0) return false;
    this.waiting[index] = this.waiting[this.waiting.length - 1]!;
    this.waiting.pop();
    this.answered.push(target);
    return true;
  }

  #run(): void {
    // The role may have ended while the lock changed hands, when this operation neither held it nor waited.
    if (this.role.stopped) return this.#unlockAndFinish("stale_epoch");
    this.#guard(() => {
      const chunk = this.storedChunk();
      if (chunk === undefined && allocates(this) && !this.#is.locksChunk) return this.#lockChunk();
      this.#is.started = true;
      this.group.beginOperation();
      if (chunk?.unverified) return this.#accept(chunk);
      this.#whole(chunk);
    });
  }

  /** Who makes a chunk locks all of it, so that one operation makes it, and a veto undoes nobody else's write. */
  #lockChunk(): void {
    const { locks } = this.group.device;
    locks.release(this);
    this.#is.locksChunk = true;
    this.firstBlock = 0;
    this.endBlock = BLOCKS_PER_CHUNK;
    if (locks.acquire(this)) this.#run();
    else this.#keep();
  }

  /** This copy was activated alone after an unclean stop: what the chunk holds is its content (5.5). */
  #accept(chunk: Chunk): void {
    this.#keep();
    this.#is.busy = true;
    const next = () => this.#whole(this.storedChunk());
    this.group.device.store.acceptUnverified(chunk)
      .then(() => this.#stepDone(undefined, next), () => this.#stepDone("device_failed", next));
  }

  #whole(chunk: Chunk | undefined): void {
    const partial = (this.offsetBytes | this.lengthBytes) & (BLOCK_BYTES - 1);
    if (this.kind === FRAME_KINDS.replicate && partial !== 0) this.#merge(chunk);
    else this.#place(chunk);
  }

  /** Lays the fragment over the blocks that it touches, and goes on with whole blocks. */
  #merge(chunk: Chunk | undefined): void {
    const { buffers } = this.group.device.context;
    this.#keep();
    this.#is.busy = true;
    mergeFragment({ group: this.group, chunk, fragment: this }, (merged) => {
      this.#is.busy = false;
      if (typeof merged === "string" || this.role.stopped) {
        if (typeof merged !== "string") buffers.give(merged.bytes);
        return this.#unlockAndFinish(typeof merged === "string" ? merged : "outcome_unknown");
      }
      this.offsetBytes = merged.offsetBytes;
      this.lengthBytes = merged.lengthBytes;
      this.data.take(merged.bytes, { buffers, lengthBytes: merged.lengthBytes });
      this.crcs.set(merged.crcs);
      this.#guard(() => this.#place(this.storedChunk()));
    });
  }

  /** The blocks are whole. Forwards and applies, or asks first when the chunk is new. */
  #place(chunk: Chunk | undefined): void {
    const { role, group } = this;
    this.writeNumber = ++role.writeNumber;
    role.lastWrite.set(this.request.region, this.writeNumber);
    if (chunk === undefined) {
      return allocates(this) ? this.#withIntent(() => this.#allocate()) : this.#nothingToRemove();
    }
    this.#forward(undefined);
    if (group.storage!.hasIntent(this.request.region)) {
      group.device.store.beginWrite(group.storage!, this.request.region);
      this.#is.writing = true;
      return this.#apply();
    }
    this.#withIntent(() => this.#apply());
  }

  /** Calls `next` when data of the region may be written on this device. */
  #withIntent(next: () => void): void {
    const { store } = this.group.device;
    this.#keep();
    store.beginWrite(this.group.storage!, this.request.region);
    this.#is.writing = true;
    this.#is.busy = true;
    store.setIntent(this.group.storage!, this.request.region, (error) => this.#stepDone(error, next));
  }

  #allocate(): void {
    const { role, group } = this;
    const chunk = group.device.store.createChunk(group.storage!, this.request);
    if (chunk === undefined) {
      this.#is.busy = true;
      return group.device.store.whenSlotReady((error) => this.#stepDone(error, () => this.#allocate()));
    }
    role.join?.chunkCreated(this.request);
    this.flags |= FRAME_FLAGS.allocates;
    const first = role.targets.find((target) => target.join === undefined);
    if (first === undefined) return this.#forwardRest(undefined);
    this.#is.asking = true;
    this.#sendTo(first);
  }

  /** members[1] has room, or is gone: everybody else, and this device. */
  #forwardRest(first: Target | undefined): void {
    this.#is.asking = false;
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
      // What the copier will bring is not forwarded; the removal of a chunk is (3.8 step 3).
      if (target.join?.wants(this.request, { removes: removesChunk(this) }) !== false) this.#sendTo(target);
    }
  }

  /** Removal of what is not there: members are the same and only sync, if that is asked for; a joiner is told. */
  #nothingToRemove(): void {
    const syncs = promisesSync(this.flags, this.role.config);
    for (const target of this.role.targets) {
      if (target.join?.wants(this.request, { removes: true }) ?? syncs) this.#sendTo(target);
    }
    if (syncs) return this.#sync();
    this.#is.localDone = true;
    this.settle();
  }

  #apply(): void {
    const { store } = this.group.device;
    assert(this.#is.writing, "a write begins before it changes data");
    const chunk = this.storedChunk();
    assert(chunk !== undefined, "the chunk of a locked range stays");
    if (this.kind === FRAME_KINDS.replicate) {
      store.writeBlocks(chunk, this.data.asWrite(this));
    } else {
      applyRemoval(store, { chunk, removal: this });
    }
    this.#is.applied = true;
    this.#is.busy = true;
    if (promisesSync(this.flags, this.role.config)) this.#sync();
    else store.afterCommit(this.#committed);
    if (!this.#is.ended) this.data.forgetBorrowed();
  }

  #sync(): void {
    this.#is.busy = true;
    this.group.device.store.sync().then(this.#committed, () => this.#committed("device_failed"));
  }

  /** Kept as a property, so that the hot path makes no closure. */
  readonly #committed = (error: ErrorCode | undefined | void): void => {
    this.#is.busy = false;
    if (error !== undefined) return this.#unlockAndFinish("outcome_unknown");
    this.#is.localDone = true;
    if (this.#is.answered) return this.#unlockAndFinish(undefined);
    this.settle();
  };

  /** A step on this device is over: go on, unless the device failed or the role ended meanwhile. */
  #stepDone(error: ErrorCode | undefined, next: () => void): void {
    this.#is.busy = false;
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
      if (!this.#is.ended && !this.#is.busy) this.#unlockAndFinish("outcome_unknown");
    }
  }

  #unlockAndFinish(code: ErrorCode | undefined): void {
    if (this.#is.ended) return;
    const { device, storage } = this.group;
    if (this.#is.writing) device.store.endWrite(storage!, this.request.region);
    this.#is.writing = false;
    const started = this.#is.started;
    this.#is.started = false;
    device.locks.release(this);
    if (started) this.group.endOperation();
    this.#finish(code);
  }

  #finish(code: ErrorCode | undefined): void {
    this.#is.ended = true;
    this.data.release(this.group.device.context.buffers);
    this.waiting.length = 0;
    this.answered.length = 0;
    this.role.operationEnded(this);
    this.#answer(code);
    this.owner.operationEnded();
    operations.give(this);
  }

  /** Copies borrowed data, since the operation outlives the receive buffer. */
  #keep(): void {
    if (!this.#is.applied && this.kind === FRAME_KINDS.replicate) this.data.keep(this.group.device.context.buffers);
  }

  #answer(code: ErrorCode | undefined): void {
    if (this.#is.answered) return;
    this.#is.answered = true;
    const lies = this.#is.applied && (code === "pool_full" || code === "stale_epoch");
    const kept = this.group.holds(!lies, "I16: what is refused has changed nothing");
    this.owner.operationDone(this, kept ? code : "outcome_unknown");
  }
}

const operations = new Reuse(() => new PrimaryOperation());

/** A fresh or reused operation. */
export function takeOperation(): PrimaryOperation {
  return operations.take();
}
