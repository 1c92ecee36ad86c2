/**
 * A volume of the cluster as a block device: the bottom of the layers. It orders overlapping writes, cuts requests into
 * pieces, hands them to the dispatcher, and completes a request when all its pieces are done. IO waits while nobody serves
 * a group, and fails only with what is final, or after `ioGiveUpMs`.
 *
 *   submit ──► waits for the first map ──► waits for overlapping writes ──► pieces under way ──► complete
 *                                                       given up with a piece in doubt ──► abandoned: blocks stay locked
 *
 * @module
 */
import type { BlockDevice, BlockRequest, Extent } from "@/sdc/block_device.ts";
import type { SdcContext } from "@/sdc/context.ts";
import { RangeLocks } from "@/sdc/core/range_locks.ts";
import { roundedInward } from "@/sdc/core/split.ts";
import { AbandonedWrites } from "@/sdc/remote/abandoned_writes.ts";
import { PieceDispatcher } from "@/sdc/remote/piece_dispatcher.ts";
import { RequestCutter } from "@/sdc/remote/request_cutter.ts";
import { emptyTotals, type IoFailure, type VolumeEvents, type VolumeTotals } from "@/sdc/remote/volume_events.ts";
import { VolumeFlushes } from "@/sdc/remote/volume_flushes.ts";
import type { VolumeLink } from "@/sdc/remote/volume_link.ts";
import { IDLE_REQUESTS_MAX, type Piece, VolumeRequest } from "@/sdc/remote/volume_request.ts";
import { volumeExtents } from "@/sdc/remote/volume_extents.ts";
import type { Timer } from "@/shared/clock.ts";
import { BLOCK_BYTES, CHUNK_BYTES } from "@/shared/constants.ts";
import type { ErrorCode } from "@/shared/errors.ts";
import { FRAME_FLAGS, FRAME_KINDS } from "@/shared/wire/header.ts";

/** Period of the look for requests that are given up, in ms. */
export const GIVE_UP_TICK_MS = 1_000;

/** See the module comment. */
export class RemoteVolume implements BlockDevice {
  readonly name: string;
  readonly readOnly = false;
  readonly totals: VolumeTotals = emptyTotals();
  readonly #context: SdcContext;
  readonly #link: VolumeLink;
  readonly #events: VolumeEvents;
  readonly #dispatcher: PieceDispatcher;
  readonly #cutter: RequestCutter;
  readonly #locks = new RangeLocks<VolumeRequest>();
  readonly #abandoned = new AbandonedWrites();
  /** What came before the first map. */
  #held: VolumeRequest[] = [];
  readonly #active: VolumeRequest[] = [];
  readonly #idleRequests: VolumeRequest[] = [];
  readonly #flushes: VolumeFlushes;
  /** Routes are known. */
  #opened = false;
  #tickTimer: Timer | undefined;
  #stopped: ErrorCode | undefined;
  readonly #startRequest = (request: VolumeRequest) => this.#cut(request);

  constructor(
    context: SdcContext,
    options: { readonly name: string; readonly link: VolumeLink; readonly events: VolumeEvents },
  ) {
    this.#context = context;
    this.#link = options.link;
    this.#events = options.events;
    this.name = options.name;
    this.#dispatcher = new PieceDispatcher(context, {
      opSession: () => this.#link.opSession,
      routes: () => this.#link.routes,
      targetOf: (pgIndex) => this.#link.targetOf(pgIndex),
      wantToken: () => this.#link.wantToken(),
      pieceDone: (piece, error, lossGeneration) => this.#pieceDone(piece, error, lossGeneration),
      fenced: () => this.#fence("an SDS says that this session is revoked"),
    });
    this.#flushes = new VolumeFlushes(context, {
      table: () => this.#link.routes.table!, // flushes begin with it
      targetOf: (pgIndex) => this.#link.targetOf(pgIndex),
      wantMap: () => this.#link.routes.want(),
      wantToken: () => this.#link.wantToken(),
      fenced: () => this.#fence("an SDS says that this session is revoked"),
      keptGenerations: () => this.#events.keptGenerations(),
      keepGenerations: (generations) => this.#events.keepGenerations(generations),
      roundFailed: (code, lostPgIds) => this.#flushFailed(code, lostPgIds),
    });
    this.#cutter = new RequestCutter({ owner: this.#dispatcher, nextOpSeq: () => this.#link.nextOpSeq() });
    this.#link.attach({
      routesChanged: (pgIndexes) => this.#routesChanged(pgIndexes),
      handleOpened: (target) => {
        this.#dispatcher.releaseWithToken(target);
        this.#settleAbandoned();
      },
      suspects: () => this.#suspects(),
      needsRoutes: () => this.#needsRoutes(),
      fenced: (reason) => this.#fence(reason),
    });
  }

  /** Size that the MDM's last token covers; 0 before the first. */
  get sizeBytes(): number {
    return this.#link.sizeBytes;
  }

  /** Why the volume stopped; undefined while it serves. */
  get stopped(): ErrorCode | undefined {
    return this.#stopped;
  }

  /** Requests that are not completed. */
  get pendingCount(): number {
    return this.#active.length;
  }

  /** The requests that are not completed, for people; flushes are not among them. */
  pending() {
    const nowMs = this.#context.clock.monotonicMs();
    return this.#active.map((request) => ({
      operation: request.operation,
      offset_bytes: request.startBytes,
      length_bytes: request.endBytes - request.startBytes,
      age_ms: Math.round(nowMs - request.startedAtMs),
      pieces_left: request.piecesLeft,
    }));
  }

  /** Attempts that had to be repeated, since the start. */
  get retryCount(): number {
    return this.#dispatcher.retryCount;
  }

  submit(block: BlockRequest): void {
    if (this.#stopped !== undefined) return block.complete(this.#stopped);
    if (block.operation === "cache") return block.complete(undefined);
    if (this.#tickTimer === undefined) this.#armTick();
    if (block.operation === "flush") return this.#flushes.submit(block);
    const request = this.#idleRequests.pop() ?? new VolumeRequest();
    request.block = block;
    request.operation = block.operation;
    request.data = block.data;
    request.startBytes = block.offsetBytes;
    request.endBytes = block.offsetBytes + block.lengthBytes;
    if (block.operation === "trim") {
      const { startBytes, endBytes } = roundedInward(block.offsetBytes, block.lengthBytes);
      request.startBytes = startBytes;
      request.endBytes = endBytes;
    }
    if (request.startBytes === request.endBytes) {
      this.#recycle(request);
      return block.complete(undefined);
    }
    this.#count(request);
    request.activeIndex = this.#active.length;
    this.#active.push(request);
    if (this.#opened) this.#start(request);
    else this.#held.push(request);
  }

  async extents(offsetBytes: number, lengthBytes: number): Promise<readonly Extent[]> {
    return await volumeExtents(this.#context, {
      link: this.#link,
      offsetBytes,
      lengthBytes,
      stopped: () => this.#stopped,
    });
  }

  /** Ends the volume: what is under way and what comes fails with `code`. Stopping twice does nothing. */
  stop(code: ErrorCode): void {
    if (this.#stopped !== undefined) return;
    this.#stopped = code;
    this.#tickTimer?.cancel();
    this.#link.close();
    this.#dispatcher.close();
    this.#abandoned.clear();
    this.#locks.clear();
    this.#held = [];
    this.#flushes.fail(code);
    for (const request of [...this.#active]) {
      this.#detachPieces(request);
      this.#complete(request, code);
    }
  }

  #fence(reason: string): void {
    if (this.#stopped !== undefined) return;
    this.#context.log.warning("Volume {name} stops: {reason}", { name: this.name, reason });
    this.stop("fenced");
    this.#events.fenced();
  }

  #count(request: VolumeRequest): void {
    const { totals } = this;
    const nowMs = this.#context.clock.monotonicMs();
    request.startedAtMs = totals.lastIoAtMs = nowMs;
    if (request.operation === "read") {
      totals.reads++;
      totals.readBytes += request.endBytes - request.startBytes;
    } else {
      totals.writes++;
      if (request.operation === "write") totals.writtenBytes += request.endBytes - request.startBytes;
    }
  }

  #timed(request: VolumeRequest): void {
    this.totals.timedOperations++;
    this.totals.timedMs += this.#context.clock.monotonicMs() - request.startedAtMs;
  }

  #start(request: VolumeRequest): void {
    if (request.operation === "read") return this.#cut(request);
    request.startBlock = Math.floor(request.startBytes / BLOCK_BYTES);
    request.endBlock = Math.ceil(request.endBytes / BLOCK_BYTES);
    if (this.#locks.enter(request)) this.#cut(request);
  }

  /** Cuts the request into pieces and dispatches them; its turn has come. */
  #cut(request: VolumeRequest): void {
    const { block } = request;
    // It was given up while it waited for its turn.
    if (block === undefined) return this.#locks.leave(request, this.#startRequest);
    this.#cutter.cut(request, block, this.#link.routes.table!); // requests are held until there is a table
    if (request.pieces.length === 1) return this.#dispatcher.dispatchPiece(request.pieces[0]!);
    // A copy: pieces may be done, and the request with its list reused, while the others are dispatched.
    for (const piece of request.pieces.slice()) if (piece.request === request) this.#dispatcher.dispatchPiece(piece);
  }

  #pieceDone(piece: Piece, error: ErrorCode | undefined, lossGeneration: number): void {
    const { request } = piece;
    if (request === undefined) return;
    if (error !== undefined) request.error ??= error;
    else if (request.operation !== "read" && (piece.flags & FRAME_FLAGS.fua) === 0) {
      this.#flushes.wrote(piece.pgIndex, lossGeneration);
    }
    piece.request = undefined;
    if (--request.piecesLeft > 0) return;
    this.#cutter.recycle(request.pieces);
    this.#complete(request, request.error);
  }

  /** Completes the request, frees its blocks and recycles it. */
  #complete(request: VolumeRequest, error: ErrorCode | undefined): void {
    const { block } = request;
    this.#deactivate(request);
    request.block = undefined;
    if (error !== undefined && block !== undefined) this.#failed(block, error);
    else if (error === undefined) this.#timed(request);
    if (request.lockIndex >= 0) this.#locks.leave(request, this.#startRequest);
    this.#recycle(request);
    block?.complete(error);
  }

  #deactivate(request: VolumeRequest): void {
    const last = this.#active.pop()!;
    if (last !== request) {
      this.#active[request.activeIndex] = last;
      last.activeIndex = request.activeIndex;
    }
    request.activeIndex = -1;
  }

  #recycle(request: VolumeRequest): void {
    request.clear();
    if (this.#idleRequests.length < IDLE_REQUESTS_MAX) this.#idleRequests.push(request);
  }

  #failed(block: BlockRequest, code: ErrorCode): void {
    const { operation, offsetBytes, lengthBytes } = block;
    const message = `Cannot ${operation} ${lengthBytes} bytes at ${offsetBytes} of volume ${this.name}: ${code}`;
    this.#report({ operation, offsetBytes, lengthBytes, code, message });
  }

  #routesChanged(pgIndexes: readonly number[]): void {
    if (this.#stopped !== undefined) return;
    if (!this.#opened) this.#firstMap();
    const changed = new Set(pgIndexes);
    for (const target of this.#link.targets()) {
      for (const exchange of target.takeWaiting()) exchange.rerouted();
    }
    for (const request of [...this.#active]) {
      for (const piece of request.pieces.slice()) {
        const isInFlight = piece.request === request && piece.lane !== undefined && changed.has(piece.pgIndex);
        if (isInFlight && this.#link.targetOf(piece.pgIndex) !== piece.target) this.#dispatcher.takeOver(piece);
      }
    }
    this.#dispatcher.releaseRouted(changed);
    this.#flushes.routesChanged(changed);
    this.#settleAbandoned();
  }

  /** Starts what was held. */
  #firstMap(): void {
    this.#opened = true;
    this.#flushes.begin(this.#link.routes.table!, Math.ceil(this.#link.mapSizeBytes / CHUNK_BYTES)); // the map came
    for (const request of this.#held.splice(0)) if (request.block !== undefined) this.#start(request);
  }

  #flushFailed(code: ErrorCode, lostPgIds: readonly number[]): void {
    const message = code === "flush_lost"
      ? `Unflushed writes of volume ${this.name} were lost in placement groups ${lostPgIds.join(", ")}`
      : `Cannot flush volume ${this.name}: ${code}`;
    this.#report({ operation: "flush", offsetBytes: 0, lengthBytes: 0, code, message });
  }

  /** Counts a failed request and tells of it; what fails because the volume stopped is told of once, elsewhere. */
  #report(failure: IoFailure): void {
    this.totals.errors++;
    if (this.#stopped === undefined) this.#events.ioFailed(failure);
  }

  #needsRoutes(): boolean {
    return this.#dispatcher.parked.length > 0 || this.#abandoned.count > 0 ||
      this.#flushes.unsentPgIndexes.length > 0;
  }

  /** Groups of all that is not answered. */
  #suspects(): readonly number[] {
    const groups = new Set<number>(this.#abandoned.pgIndexes());
    for (const pgIndex of this.#flushes.unsentPgIndexes) groups.add(pgIndex);
    for (const request of this.#active) {
      for (const piece of request.pieces) if (piece.request !== undefined) groups.add(piece.pgIndex);
    }
    return [...groups];
  }

  #armTick(): void {
    this.#tickTimer = this.#context.clock.setTimer(GIVE_UP_TICK_MS, () => {
      this.#tickTimer = undefined;
      this.#giveUpOverdue();
      if (this.#stopped !== undefined) return;
      if (this.#active.length > 0 || this.#abandoned.count > 0 || this.#flushes.isBusy) this.#armTick();
    });
  }

  #giveUpOverdue(): void {
    const { ioGiveUpMs } = this.#context.times;
    if (this.#abandoned.count > 0) this.#pursueAbandoned();
    if (ioGiveUpMs === 0) return;
    const oldestMs = this.#context.clock.monotonicMs() - ioGiveUpMs;
    for (const request of [...this.#active]) {
      if (request.activeIndex >= 0 && request.startedAtMs <= oldestMs) this.#abandon(request);
    }
    this.#flushes.giveUp(oldestMs);
  }

  /** Fails the request; its blocks stay locked while an attempt of it may still take effect. */
  #abandon(request: VolumeRequest): void {
    const { block } = request;
    const attempts = this.#detachPieces(request);
    this.#deactivate(request);
    request.block = undefined;
    if (attempts.length > 0) {
      this.#abandoned.add({ request, attempts });
      this.#pursueAbandoned();
    } else if (request.lockIndex >= 0 && request.blockedByCount === 0) {
      this.#locks.leave(request, this.#startRequest);
    }
    if (block === undefined) return;
    this.#failed(block, "give_up");
    block.complete("give_up");
  }

  /** Takes the pieces out of wherever they wait; gives the attempts whose effect is not known. */
  #detachPieces(request: VolumeRequest) {
    const attempts = [];
    for (const piece of request.pieces) {
      if (piece.request !== request) continue;
      if (piece.lane !== undefined && piece.target !== undefined) {
        if (piece.kind !== FRAME_KINDS.read) piece.unknown = { peer: piece.target.peer, lane: piece.lane.number };
        piece.lane.forget(piece);
      }
      if (piece.unknown !== undefined) attempts.push({ ...piece.unknown, pgIndex: piece.pgIndex });
      piece.request = undefined;
    }
    request.pieces.length = 0; // left to the collector: queues may still hold them
    return attempts;
  }

  /** Sees to it that a newer lane is opened where abandoned writes may still wait. */
  #pursueAbandoned(): void {
    this.#link.routes.want();
    this.#settleAbandoned();
    for (const pgIndex of this.#abandoned.pgIndexes()) {
      const peer = this.#link.targetOf(pgIndex)?.peer;
      if (peer?.lane !== undefined) peer.reopen("writes were given up on the older lane");
      else peer?.wake();
    }
  }

  #settleAbandoned(): void {
    if (this.#abandoned.count === 0) return;
    for (const request of this.#abandoned.takeSettled((pgIndex) => this.#link.targetOf(pgIndex)?.peer)) {
      this.#locks.leave(request, this.#startRequest);
    }
  }
}
