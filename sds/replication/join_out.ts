/**
 * The primary's side of a join (replication design, section 3.8): copies to the joiner what may differ, forwards it what is
 * written meanwhile, and asks the MDM to make it a member.
 *
 *   connecting ─► join_begin ─► copying ─► join_sync ─► writes held, join_final ─► addMember outstanding ─► member
 *                     └───────────┴───────────┴── failed: the joiner stays departed, as it was
 *
 * From the moment at which `addMember` is outstanding the joiner counts as a member for commits, leases and syncs (I8), since
 * the MDM may have recorded the change although its answer was lost. To give up then takes a `bump`.
 *
 * @module
 */
import type { PgConfig } from "@/shared/api/pg.ts";
import type { JoinReport, JoinTask } from "@/shared/api/sds.ts";
import { sleep } from "@/shared/clock.ts";
import { BLOCK_BYTES, BLOCKS_PER_FRAGMENT_MAX, CHUNK_BYTES, FRAGMENT_BYTES_MAX } from "@/shared/constants.ts";
import { assert, StorageError } from "@/shared/errors.ts";
import type { DeviceId, NodeId } from "@/shared/ids.ts";
import { FRAME_FLAGS } from "@/shared/wire/header.ts";
import { JoinPlan, type PlannedChunk } from "@/sds/core/join_plan.ts";
import { mergeBits } from "@/sds/device/bitmap.ts";
import { type ChunkId, chunkKey } from "@/sds/device/chunk.ts";
import type { Group } from "@/sds/replication/group.ts";
import { readForCopy } from "@/sds/replication/join_source.ts";
import type { LinkOut } from "@/sds/replication/link_out.ts";
import { LockWait } from "@/sds/replication/lock_wait.ts";
import type { PrimaryRole, Target } from "@/sds/replication/primary_role.ts";

interface JoinChunk extends PlannedChunk, ChunkId {}

/** Pause between two looks at something that comes by itself: a link, a lease. */
const POLL_MS = 50;
/** Pause before `addMember` is asked again after "not yet". */
const NOT_YET_MS = 200;

/** One join at the primary. */
export class JoinOut {
  readonly task: JoinTask;
  readonly group: Group;
  readonly role: PrimaryRole;
  readonly link: LinkOut;
  addMemberOutstanding = false;
  /** True from sending join_final on: the joiner takes part in every sync (I8). */
  takesPartInSyncs = false;
  state: JoinReport["state"] = "running";
  alarm = false;
  message = "";
  chunksCopied = 0;
  bytesCopied = 0;
  #target: Target | undefined;
  #plan: JoinPlan<JoinChunk> | undefined;
  #bumpAsked = false;
  /** True if it ended because the joiner did not answer. */
  #unreachable = false;
  readonly #ended = Promise.withResolvers<void>();
  readonly #joinSession: number;
  readonly #abort = new AbortController();

  constructor(role: PrimaryRole, options: { task: JoinTask; joinSession: number }) {
    this.role = role;
    this.group = role.group;
    this.task = options.task;
    this.#joinSession = options.joinSession;
    this.link = this.group.device.linkTo(options.task.deviceId);
  }

  get deviceId(): DeviceId {
    return this.task.deviceId;
  }

  /** True while writes of the chunk are not forwarded. */
  #isPending(chunk: { nodeId: NodeId; chunkIndex: number; region: number }): boolean {
    const key = chunkKey(chunk.nodeId, chunk.chunkIndex);
    return this.#plan?.isPending({ key, region: chunk.region }) ?? true;
  }

  /**
   * True if an operation is forwarded to the joiner: not before the join has begun there, since what is changed until then is
   * in a region to visit. After that removals of chunks always are (3.8 step 3).
   */
  wants(operation: { nodeId: NodeId; chunkIndex: number; region: number }, options: { removes: boolean }): boolean {
    return this.#plan !== undefined && (options.removes || !this.#isPending(operation));
  }

  /** A write made a chunk here. */
  chunkCreated(chunk: ChunkId): void {
    const { vtreeId, nodeId, chunkIndex, region } = chunk;
    this.#plan?.chunkCreated({ key: chunkKey(nodeId, chunkIndex), vtreeId, nodeId, chunkIndex, region });
  }

  /** Resolves once `state` is `done` or `failed`, whatever the run still waits for then. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Runs until nothing of the join is under way. Never rejects. */
  async run(): Promise<void> {
    const { log } = this.group.device.context;
    const facts = { pgId: this.group.pgId, epoch: this.task.epoch, deviceId: this.deviceId, mode: this.task.mode };
    this.role.join = this;
    this.#target = this.role.addJoiner(this, this.link);
    try {
      await this.#copyAll();
      await this.#finish();
      if (this.state === "running") await this.#becomeMember();
    } catch (error) {
      this.alarm ||= error instanceof StorageError && error.code === "conflict" && this.takesPartInSyncs;
      this.#fail(error instanceof Error ? error.message : String(error));
    }
    if (this.state === "done") {
      log.debug("Join of device {deviceId} into group {pgId} finished: {chunksCopied} chunks copied", {
        ...facts,
        chunksCopied: this.chunksCopied,
        bytesCopied: this.bytesCopied,
      });
    } else if (this.#unreachable) {
      // That the member is lost is told once, by its link.
      log.debug("Join of device {deviceId} into group {pgId} ended: {reason}", { ...facts, reason: this.message });
    } else log.warn("Join of device {deviceId} into group {pgId} ended: {reason}", { ...facts, reason: this.message });
  }

  report(): JoinReport {
    const { state, alarm, chunksCopied, bytesCopied, message } = this;
    const { pgId, epoch, deviceId } = this.task;
    // A full copy is as large as the group is here now.
    const chunksTotal = this.task.mode === "full" ? this.group.storage?.chunkCount : undefined;
    const verifying = this.takesPartInSyncs && this.state === "running";
    return {
      ...(chunksTotal !== undefined && { chunksTotal: Math.max(chunksTotal, chunksCopied) }),
      ...(verifying && { verifying }),
      ...{ pgId, epoch, deviceId, state, alarm, unreachable: this.#unreachable, chunksCopied, bytesCopied, message },
    };
  }

  /** The group has a newer configuration: either the joiner is in it, or the join is over. */
  epochChanged(config: PgConfig): void {
    const joined = config.members.some((member) => member.deviceId === this.deviceId);
    if (joined) this.#end("done", "");
    else this.abandon("the group's epoch changed");
  }

  /** Ends the join without the MDM, which is only allowed while `addMember` is not outstanding or the epoch is past. */
  abandon(reason: string): void {
    if (this.state !== "running") return;
    this.#fail(reason);
  }

  /** The joiner's session is gone, and with it what it knew of this join. */
  linkLost(reason: string): void {
    this.memberSilent(`the link to the joiner broke: ${reason}`);
  }

  /** The joiner does not answer: give up on it, through the MDM if it may be a member already. */
  memberSilent(reason: string): void {
    if (!this.addMemberOutstanding || !this.group.device.context.guards.joinerCounts) {
      this.#unreachable ||= this.state === "running";
      return this.abandon(reason);
    }
    if (this.#bumpAsked) return;
    this.#bumpAsked = true;
    const { pgId, device } = this.group;
    device.changes.ask({ kind: "bump", pgId, epoch: this.role.config.epoch }).then(() => this.#bumpAsked = false);
  }

  #fail(message: string): void {
    if (this.#target !== undefined && this.link.up && this.state === "running") {
      const request = { kind: "join_abort" as const, ...this.#names() };
      this.link.request(request).catch(() => {});
    }
    this.#end("failed", message);
  }

  #end(state: "done" | "failed", message: string): void {
    if (this.state !== "running") return;
    this.state = state;
    this.message = message;
    this.addMemberOutstanding = false;
    if (this.role.join === this) this.role.join = undefined;
    this.#abort.abort();
    if (state === "failed" && this.#target !== undefined) this.role.dropTarget(this.#target);
    this.role.releaseWrites();
    this.#ended.resolve();
  }

  #names() {
    return { pgId: this.group.pgId, epoch: this.task.epoch, joinSession: this.#joinSession };
  }

  /** After an await: the join may be over. @throws {StorageError} to leave the run. */
  #requireRunning(): void {
    // Not `conflict`, which is the joiner's word for copies that differ.
    if (this.state !== "running") throw new StorageError("unavailable", this.message || "the join is over");
  }

  async #copyAll(): Promise<void> {
    const { store } = this.group.device;
    const pg = this.group.storage!;
    await this.#linkReady();
    const { mode } = this.task;
    const answer = await this.link.request({ kind: "join_begin", ...this.#names(), config: this.role.config, mode });
    this.#requireRunning();
    if (answer.kind !== "join_begun") {
      throw new StorageError("bad_request", "the joiner answers join_begin with something else");
    }
    const toVisit = Uint8Array.fromHex(answer.resyncHex);
    if (mode === "full") toVisit.fill(0xff);
    mergeBits(toVisit, store.resyncBitmap(pg));
    const plan = this.#plan = new JoinPlan<JoinChunk>(toVisit);
    const chunksOf = (region: number): JoinChunk[] =>
      store.listChunks(pg, region).map((id) => ({ ...id, key: chunkKey(id.nodeId, id.chunkIndex) }));
    for (let next = plan.nextRegion(chunksOf); next !== undefined; next = plan.nextRegion(chunksOf)) {
      // A joiner that discarded everything needs no list of an empty region.
      if (mode === "delta" || next.chunks.length > 0) await this.#announce(next.region, next.chunks);
      for (let chunk = plan.nextChunk(); chunk !== undefined; chunk = plan.nextChunk()) {
        await this.#copyChunk(chunk);
        this.#requireRunning();
      }
    }
    await this.link.request({ kind: "join_sync", ...this.#names() });
    this.#requireRunning();
  }

  async #linkReady(): Promise<void> {
    const { clock, times } = this.group.device.context;
    const deadlineMs = clock.monotonicMs() + times.replicationTimeoutMs;
    while (!this.link.up) {
      if (clock.monotonicMs() > deadlineMs) {
        this.#unreachable = true;
        throw new StorageError("unavailable", "no link to the joiner could be opened");
      }
      await sleep(clock, POLL_MS, this.#abort.signal);
      this.#requireRunning();
    }
  }

  async #announce(region: number, chunks: readonly ChunkId[]): Promise<void> {
    const names = chunks.map(({ vtreeId, nodeId, chunkIndex }) => ({ vtreeId, nodeId, chunkIndex }));
    await this.link.request({ kind: "join_region", ...this.#names(), region, chunks: names });
    this.#requireRunning();
  }

  /** Locks the chunk, reads and verifies it, sends it in pieces, and notes it as copied before it is unlocked. */
  async #copyChunk(chunk: JoinChunk): Promise<void> {
    const { device, storage: pg } = this.group;
    const crcs = device.store.chunk(pg!, chunk.key)?.checksums;
    const writtenBytes = crcs?.reduce((bytes, crc) => bytes + (crc === 0 ? 0 : BLOCK_BYTES), 0) ?? 0;
    await device.rebuildBudget.take(writtenBytes, this.#abort.signal);
    using lock = await LockWait.take(device.locks, { ...chunk, offsetBytes: 0, lengthBytes: CHUNK_BYTES });
    void lock;
    this.#requireRunning();
    const stored = device.store.chunk(pg!, chunk.key);
    if (stored !== undefined) {
      stored.pin();
      try {
        if (stored.unverified) await device.store.acceptUnverified(stored);
        const damaged = await this.#sendPieces(chunk, stored.checksums);
        await this.#tellDamaged(chunk, damaged);
      } finally {
        stored.unpin();
      }
      this.chunksCopied++;
    }
    this.#requireRunning();
    this.#plan!.chunkCopied(chunk);
  }

  /** Gives the blocks that no copy has; they travel as never written. */
  async #sendPieces(chunk: JoinChunk, checksums: Uint32Array): Promise<number[]> {
    const { device } = this.group;
    const answers: Promise<void>[] = [];
    const damaged: number[] = [];
    for (let offsetBytes = 0; offsetBytes < CHUNK_BYTES; offsetBytes += FRAGMENT_BYTES_MAX) {
      const firstBlock = offsetBytes / BLOCK_BYTES;
      const buffer = device.context.buffers.take(FRAGMENT_BYTES_MAX);
      const connection = this.link.connection;
      try {
        damaged.push(...await readForCopy(this.group, { id: chunk, firstBlock, into: buffer }));
        // As they are now: what was bad may have been mended.
        const crcs = checksums.slice(firstBlock, firstBlock + BLOCKS_PER_FRAGMENT_MAX);
        for (const block of damaged) if (block >= firstBlock) crcs[block - firstBlock] = 0;
        // A join that is over sends nothing more, so that no copy of it arrives after the begin of the next one (9, row 10).
        if (device.context.guards.joinSessions) this.#requireRunning();
        if (connection === undefined) throw new StorageError("unavailable", "the link to the joiner is down");
        const last = offsetBytes + FRAGMENT_BYTES_MAX === CHUNK_BYTES;
        const flags = (offsetBytes === 0 ? FRAME_FLAGS.first : 0) | (last ? FRAME_FLAGS.last : 0);
        const answer = connection.copy({
          pgId: this.group.pgId,
          epoch: this.task.epoch,
          vtreeId: chunk.vtreeId,
          nodeId: chunk.nodeId,
          chunkIndex: chunk.chunkIndex,
          offsetBytes,
          lengthBytes: FRAGMENT_BYTES_MAX,
          flags,
          crcs,
          data: buffer,
        });
        answer.catch(() => {});
        answers.push(answer);
        this.bytesCopied += crcs.reduce((bytes, crc) => bytes + (crc === 0 ? 0 : BLOCK_BYTES), 0);
      } finally {
        device.context.buffers.give(buffer);
      }
    }
    await Promise.all(answers);
    return damaged;
  }

  /** What is damaged here is damaged there, and no valid zeros. */
  async #tellDamaged({ vtreeId, nodeId, chunkIndex }: JoinChunk, blocks: number[]): Promise<void> {
    if (blocks.length === 0) return;
    this.#requireRunning();
    const chunk = { vtreeId, nodeId, chunkIndex };
    await this.link.request({ kind: "join_damaged", ...this.#names(), chunk, blocks });
  }

  /** Step 5: with new writes held and the running ones finished, the joiner compares, merges, syncs and is complete. */
  async #finish(): Promise<void> {
    const { store } = this.group.device;
    await this.role.holdWrites();
    this.#requireRunning();
    this.takesPartInSyncs = true;
    const pg = this.group.storage!;
    await this.link.request({
      kind: "join_final",
      ...this.#names(),
      resyncHex: store.resyncBitmap(pg).toHex(),
      keysHash: String(pg.keyHash),
    });
    this.#requireRunning();
  }

  /** Step 6: a lease from the joiner, then `addMember`, again and again until the epoch moves on. */
  async #becomeMember(): Promise<void> {
    const { clock } = this.group.device.context;
    const target = this.#target!;
    const deadlineMs = clock.monotonicMs() + this.group.device.context.times.replicationTimeoutMs;
    while (!this.link.leaseHolds()) {
      if (clock.monotonicMs() > deadlineMs) throw new StorageError("unavailable", "the joiner grants no lease");
      await sleep(clock, POLL_MS, this.#abort.signal);
      this.#requireRunning();
    }
    assert(this.takesPartInSyncs && this.role.targets.includes(target), "I8: the joiner counts for commits and syncs");
    this.link.covers(target);
    this.addMemberOutstanding = true;
    this.role.releaseWrites();
    while (this.state === "running") {
      await this.group.device.changes.ask({
        kind: "add_member",
        pgId: this.group.pgId,
        epoch: this.task.epoch,
        joiner: { deviceId: this.deviceId, incarnation: this.task.incarnation },
      });
      if (this.state === "running") await sleep(clock, NOT_YET_MS, this.#abort.signal);
    }
  }
}
