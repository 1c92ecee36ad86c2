/**
 * The joiner's side of a join (replication design, section 3.8): from `join_begin` to the adoption of the configuration that
 * makes this copy a member. Until then the copy is not complete; if the join ends early it stays departed, as it was.
 *
 *   begin ─► copying: region lists, chunk copies, forwarded writes ─► join_sync ─► join_final ─► complete, grants the lease
 *
 * @module
 */
import { type PgConfig, pgConfigIsSigned } from "@/shared/api/pg.ts";
import { blockCrc } from "@/shared/checksum.ts";
import { BLOCK_BYTES, BLOCKS_PER_FRAGMENT_MAX, CHUNK_BYTES } from "@/shared/constants.ts";
import { assert, StorageError } from "@/shared/errors.ts";
import type { NodeId, VtreeId } from "@/shared/ids.ts";
import type { Frame } from "@/shared/net/frame_channel.ts";
import type { LinkRequest } from "@/shared/wire/control.ts";
import { FRAME_FLAGS, HEADER_FIELDS } from "@/shared/wire/header.ts";
import { type Chunk, type ChunkId, chunkKey } from "@/sds/device/chunk.ts";
import type { Group } from "@/sds/replication/group.ts";
import type { LinkSession } from "@/sds/replication/link_in.ts";
import { replaceBlock } from "@/sds/replication/local_blocks.ts";
import { LockWait } from "@/sds/replication/lock_wait.ts";

type JoinRequest = LinkRequest & { kind: `join_${string}` };

/** Chunks deleted per turn of the event loop when a copy is discarded. */
const DISCARD_BATCH = 256;

/** A copy that is being made, at the joiner. */
export class JoiningCopy {
  readonly session: LinkSession;
  readonly group: Group;
  readonly epoch: number;
  readonly joinSession: number;
  /** From the answer to join_final on: the primary counts this copy for commit, lease and sync. */
  grantsLease = false;

  private constructor(session: LinkSession, options: { group: Group; epoch: number; joinSession: number }) {
    this.session = session;
    this.group = options.group;
    this.epoch = options.epoch;
    this.joinSession = options.joinSession;
  }

  /**
   * Begins a join: stores the primary's epoch, marks the copy incomplete, waits for everything this process still runs on the
   * group, and in full mode discards what it has. The answer tells which regions may differ.
   * @throws {StorageError} `stale_epoch` when this copy has stored a higher epoch.
   */
  static async begin(
    session: LinkSession,
    options: { group: Group; request: JoinRequest & { kind: "join_begin" } },
  ): Promise<object> {
    const { group, request } = options;
    const { device } = group;
    if (!pgConfigIsSigned(request.config, device.context.keys.configKeyHex)) {
      throw new StorageError("unauthorized", `Cannot join group ${group.pgId}: the configuration is not the MDM's`);
    }
    requireJoinable(group, { config: request.config, session });
    group.adopt(request.config);
    const joining = new JoiningCopy(session, { group, epoch: request.epoch, joinSession: request.joinSession });
    group.joining = joining;
    const { store } = device;
    group.storage ??= store.createPg(group.pgId, { epoch: request.epoch, complete: false });
    store.storePg(group.storage, { epoch: request.epoch, complete: false });
    group.rowChanged = true;
    await group.idle();
    joining.#requireCurrent();
    if (request.mode === "full") await joining.#counted(() => joining.#discard());
    await store.commitFull();
    joining.#requireCurrent();
    return { kind: "join_begun", resyncHex: store.resyncBitmap(group.storage).toHex() };
  }

  /** Any later request of the join. */
  async handle(request: JoinRequest): Promise<object> {
    switch (request.kind) {
      case "join_region":
        await this.#counted(() => this.#keepOnly(request.region, request.chunks));
        return { kind: "done" };
      case "join_damaged":
        await this.#counted(() => this.#markDamaged(request));
        return { kind: "done" };
      case "join_sync":
        if (this.#syncs) await this.group.device.store.sync();
        this.#requireCurrent();
        return { kind: "done" };
      case "join_final":
        await this.#final(request);
        return { kind: "done" };
      case "join_abort":
        this.group.joining = undefined;
        return { kind: "done" };
      default:
        throw new StorageError("bad_request", `Cannot take ${request.kind}: the join has begun`);
    }
  }

  /** Runs deletions as an operation of the group, so that a newer join begins after the last of them. */
  async #counted(work: () => Promise<void>): Promise<void> {
    this.group.beginOperation();
    try {
      await work();
    } finally {
      this.group.endOperation();
    }
  }

  /** Stores one piece of a chunk: sets the intent, writes, reads back, verifies, answers. Borrows the frame. */
  copy(frame: Frame): void {
    const piece = pieceOf(frame, this.group);
    const requestId = frame.header.getUint32(frame.headerAt + HEADER_FIELDS.requestId[0]);
    this.session.beginOperation();
    this.group.beginOperation();
    this.#store(piece).then(
      () => this.session.answer(requestId, undefined),
      (error) => {
        this.group.device.operationFailed(this.group, error);
        this.session.answer(requestId, error instanceof StorageError ? error.code : "io_error");
      },
    ).finally(() => {
      this.group.endOperation();
      this.session.endOperation();
    });
  }

  async #store(piece: CopyPieceIn): Promise<void> {
    const { device, storage: pg } = this.group;
    const { store } = device;
    store.beginWrite(pg!, piece.id.region);
    using lock = await LockWait.take(device.locks, {
      vtreeId: piece.id.vtreeId,
      chunkIndex: piece.id.chunkIndex,
      offsetBytes: piece.offsetBytes,
      lengthBytes: piece.lengthBytes,
    });
    void lock;
    try {
      await device.intent(this.group, piece.id.region);
      const key = chunkKey(piece.id.nodeId, piece.id.chunkIndex);
      // A chunk of which nothing is written is made all the same, with its last piece: both copies hold the same keys.
      if (piece.runs.length === 0 && !piece.last && store.chunk(pg!, key) === undefined) return;
      this.#write(await device.ensureChunk(this.group, piece.id), piece);
      await this.#verify(store.chunk(pg!, key)!, piece);
      if (piece.last) store.markVerified(store.chunk(pg!, key)!);
      await device.committed();
    } finally {
      store.endWrite(pg!, piece.id.region);
    }
  }

  async #markDamaged({ chunk, blocks }: JoinRequest & { kind: "join_damaged" }): Promise<void> {
    const { group } = this;
    const id = { ...chunk, region: group.device.regionOf(group, chunk) };
    using lock = await LockWait.take(group.device.locks, { ...id, offsetBytes: 0, lengthBytes: CHUNK_BYTES });
    void lock;
    for (const block of blocks) {
      this.#requireCurrent();
      await replaceBlock(group, { id, block, content: "damaged" });
    }
  }

  #write(chunk: Chunk, piece: CopyPieceIn): void {
    const { store } = this.group.device;
    for (const hole of piece.holes) store.zeroBlocks(chunk, { ...hole, keepAllocated: false });
    for (const run of piece.runs) store.writeBlocks(chunk, run);
  }

  async #verify(chunk: Chunk, piece: CopyPieceIn): Promise<void> {
    const { buffers } = this.group.device.context;
    // An unverified chunk is not read through its checksums; the piece's own blocks were just written.
    if (chunk.unverified) return;
    const buffer = buffers.take(BLOCKS_PER_FRAGMENT_MAX * BLOCK_BYTES);
    try {
      for (const run of piece.runs) {
        const read = { offsetBytes: run.offsetBytes, lengthBytes: run.data.length, into: buffer, intoOffset: 0 };
        await this.group.device.readVerified(chunk, read);
      }
    } finally {
      buffers.give(buffer);
    }
  }

  /** Deletes the chunks of a region that the primary does not have. */
  async #keepOnly(region: number, chunks: readonly { nodeId: NodeId; chunkIndex: number }[]): Promise<void> {
    const { device, storage: pg } = this.group;
    const keep = new Set(chunks.map(({ nodeId, chunkIndex }) => chunkKey(nodeId, chunkIndex)));
    for (const id of device.store.listChunks(pg!, region)) {
      if (keep.has(chunkKey(id.nodeId, id.chunkIndex))) continue;
      await this.#delete(id);
      this.#requireCurrent();
    }
    await device.committed();
  }

  async #delete(id: ChunkId): Promise<void> {
    const { device, storage: pg } = this.group;
    using lock = await LockWait.take(device.locks, { ...id, offsetBytes: 0, lengthBytes: CHUNK_BYTES });
    void lock;
    device.store.beginWrite(pg!, id.region);
    try {
      await device.intent(this.group, id.region);
      const chunk = device.store.chunk(pg!, chunkKey(id.nodeId, id.chunkIndex));
      if (chunk !== undefined) device.store.deleteChunk(chunk);
    } finally {
      device.store.endWrite(pg!, id.region);
    }
  }

  /** Full mode: the copy begins empty. Every region is set, since nothing is known of what was here. */
  async #discard(): Promise<void> {
    const { device, storage: pg } = this.group;
    await device.store.setAllIntents(pg!);
    while (pg!.chunkCount > 0) {
      for (const id of device.store.listPgChunks(pg!, { afterKey: -1, limit: DISCARD_BATCH })) {
        await this.#delete(id);
        this.#requireCurrent();
      }
      await device.committed();
    }
  }

  /** Nothing is pending any more: the same keys, the primary's intents, everything on stable storage, then complete. */
  async #final(request: JoinRequest & { kind: "join_final" }): Promise<void> {
    const { device, storage: pg } = this.group;
    const { store } = device;
    if (String(pg!.keyHash) !== request.keysHash) {
      throw new StorageError(
        "conflict",
        `Cannot finish joining group ${this.group.pgId}: the copies hold different chunks`,
      );
    }
    await store.mergeResync(pg!, Uint8Array.fromHex(request.resyncHex));
    if (this.#syncs) await store.sync();
    this.#requireCurrent();
    assert(this.group.runningCount === 0, "I9: nothing is received after the sync that ends the join");
    store.storePg(pg!, { epoch: this.epoch, complete: true });
    this.group.rowChanged = true;
    await store.commitFull();
    this.#requireCurrent();
    this.grantsLease = true;
  }

  get #syncs(): boolean {
    return this.group.device.context.guards.syncBeforeMember;
  }

  /** After an await: the join may have been replaced or the session retired. @throws {StorageError} stale_session */
  #requireCurrent(): void {
    if (this.group.joining === this && this.session.accepting) return;
    throw new StorageError("stale_session", `Cannot go on joining group ${this.group.pgId}: the join was replaced`);
  }
}

function requireJoinable(group: Group, options: { config: PgConfig; session: LinkSession }): void {
  const { config, session } = options;
  if (group.epoch > config.epoch) {
    throw new StorageError(
      "stale_epoch",
      `Cannot join group ${group.pgId} under epoch ${config.epoch}: this copy has stored epoch ${group.epoch}`,
    );
  }
  if (config.members[0]!.deviceId !== session.client.fromDeviceId) {
    throw new StorageError("not_primary", `Cannot join group ${group.pgId}: the caller is not its primary`);
  }
  if (group.role !== "none" && group.config?.epoch === config.epoch) {
    throw new StorageError("conflict", `Cannot join group ${group.pgId}: this device is a member already`);
  }
}

/** One piece of a chunk as it came: runs of written blocks and holes between them. */
interface CopyPieceIn {
  readonly id: ChunkId;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly last: boolean;
  readonly runs: readonly { offsetBytes: number; data: Uint8Array; crcs: Uint32Array; crcIndex: number }[];
  readonly holes: readonly { offsetBytes: number; lengthBytes: number }[];
}

/** Copies the piece out of its frame. @throws {StorageError} bad_request, checksum_mismatch */
function pieceOf(frame: Frame, group: Group): CopyPieceIn {
  const { header, headerAt: at, view } = frame;
  const nodeId = header.getUint32(at + HEADER_FIELDS.nodeId[0]) as NodeId;
  const vtreeId = header.getUint32(at + HEADER_FIELDS.vtreeId[0]) as VtreeId;
  const chunkIndex = header.getUint32(at + HEADER_FIELDS.chunkIndex[0]);
  const offsetBytes = header.getUint32(at + HEADER_FIELDS.offsetBytes[0]);
  const lengthBytes = header.getUint32(at + HEADER_FIELDS.lengthBytes[0]);
  const blockCount = lengthBytes / BLOCK_BYTES;
  const fits = Number.isInteger(blockCount) && blockCount >= 1 && blockCount <= BLOCKS_PER_FRAGMENT_MAX &&
    offsetBytes % BLOCK_BYTES === 0 && offsetBytes + lengthBytes <= CHUNK_BYTES && frame.payloadBytes >= blockCount * 4;
  if (!fits) {
    throw new StorageError("bad_request", `Cannot take a copy: ${lengthBytes} bytes at ${offsetBytes} are no piece`);
  }
  const crcs = new Uint32Array(blockCount);
  for (let block = 0; block < blockCount; block++) crcs[block] = view.getUint32(frame.payloadAt + block * 4);
  const runs: { offsetBytes: number; data: Uint8Array; crcs: Uint32Array; crcIndex: number }[] = [];
  const holes: { offsetBytes: number; lengthBytes: number }[] = [];
  let dataAt = frame.payloadAt + blockCount * 4;
  for (let block = 0; block < blockCount;) {
    let end = block;
    const written = crcs[block] !== 0;
    while (end < blockCount && (crcs[end] !== 0) === written) end++;
    const bytes = (end - block) * BLOCK_BYTES;
    if (written) {
      if (dataAt + bytes > frame.payloadAt + frame.payloadBytes) {
        throw new StorageError("bad_request", "Cannot take a copy: its payload is shorter than its blocks");
      }
      const data = frame.bytes.slice(dataAt, dataAt + bytes);
      for (let index = 0; index < end - block; index++) {
        if (blockCrc(data, index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES) !== crcs[block + index]) {
          throw new StorageError("checksum_mismatch", "Cannot take a copy: a block differs from its checksum");
        }
      }
      runs.push({ offsetBytes: offsetBytes + block * BLOCK_BYTES, data, crcs, crcIndex: block });
      dataAt += bytes;
    } else {
      holes.push({ offsetBytes: offsetBytes + block * BLOCK_BYTES, lengthBytes: bytes });
    }
    block = end;
  }
  const region = group.device.regionOf(group, { vtreeId, chunkIndex });
  const last = (header.getUint8(at + HEADER_FIELDS.flags[0]) & FRAME_FLAGS.last) !== 0;
  return { id: { vtreeId, nodeId, chunkIndex, region }, offsetBytes, lengthBytes, last, runs, holes };
}
