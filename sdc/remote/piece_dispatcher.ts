/**
 * Brings each piece to the SDS that is primary of its group, again and again until it has an answer that counts (3.6, 3.7).
 * Within a session a piece keeps its opId.
 *
 *   dispatch ──► waits at its SDS ──► in flight ──► done
 *      ▲               │                 │ refused, lost: parked until the map or the token changes, or the back-off is over
 *      └───────────────┴─────────────────┘ route changed: to the new primary at once, whatever the old one still does: under
 *                                          an older epoch it can change nothing any more
 *
 * @module
 */
import type { SdcContext } from "@/sdc/context.ts";
import { afterRefusal, backoffMs, changedNothing } from "@/sdc/core/retry.ts";
import { type Lane, ticksOf } from "@/sdc/remote/lane.ts";
import { appendPiece } from "@/sdc/remote/piece_frame.ts";
import type { VolumeAtSds } from "@/sdc/remote/volume_at_sds.ts";
import type { Piece, PieceOwner } from "@/sdc/remote/volume_request.ts";
import type { VolumeRoutes } from "@/sdc/remote/volume_routes.ts";
import type { Timer } from "@/shared/clock.ts";
import type { ErrorCode } from "@/shared/errors.ts";
import { FRAME_FLAGS, FRAME_KINDS } from "@/shared/wire/header.ts";

/** Beyond the primary's own limits an answer may take this long before the connection counts as dead, in ms. */
export const ANSWER_MARGIN_MS = 2_000;

/** What the dispatcher asks of its volume. */
export interface DispatcherOwner {
  readonly opSession: () => number;
  readonly routes: () => VolumeRoutes;
  /** The volume at the SDS that is primary of the group; undefined while none is known. */
  targetOf(pgIndex: number): VolumeAtSds | undefined;
  wantToken(): void;
  /** The piece has its final answer: an error, or none and for a mutation the group's lossGeneration. */
  pieceDone(piece: Piece, error: ErrorCode | undefined, lossGeneration: number): void;
  fenced(): void;
}

/** See the module comment. */
export class PieceDispatcher implements PieceOwner {
  readonly #context: SdcContext;
  readonly #owner: DispatcherOwner;
  #parked: Piece[] = [];
  #timer: Timer | undefined;
  #timerAtMs = Infinity;
  readonly #answerTicks: number;
  readonly #syncTicks: number;
  /** Attempts that were refused or lost, since the start. */
  retryCount = 0;

  constructor(context: SdcContext, owner: DispatcherOwner) {
    this.#context = context;
    this.#owner = owner;
    const { replicationTimeoutMs, graceMs, flushTimeoutMs } = context.times;
    this.#answerTicks = ticksOf(replicationTimeoutMs + graceMs + ANSWER_MARGIN_MS);
    this.#syncTicks = ticksOf(replicationTimeoutMs + graceMs + flushTimeoutMs + ANSWER_MARGIN_MS);
  }

  get parked(): readonly Piece[] {
    return this.#parked;
  }

  dispatchPiece(piece: Piece): void {
    const target = this.#owner.targetOf(piece.pgIndex);
    piece.target = target;
    if (target !== undefined) return target.submit(piece);
    this.#owner.routes().want();
    this.#park(piece, backoffMs(piece.attempt, this.#context.random.fraction()));
  }

  transmitPiece(piece: Piece, lane: Lane, handle: number): void {
    const table = this.#owner.routes().table!; // a piece has a target only when there are routes
    const { pgIndex } = piece;
    const syncs = (piece.flags & FRAME_FLAGS.fua) !== 0;
    const requestId = lane.begin(piece, syncs ? this.#syncTicks : this.#answerTicks);
    const epoch = table.epochs[pgIndex]!;
    piece.sentEpoch = epoch;
    piece.sentLane = lane.number;
    appendPiece(lane.send, piece, {
      requestId,
      handle,
      pgId: table.pgIds[pgIndex]!,
      epoch,
      nodeId: table.nodeId,
      opSession: this.#owner.opSession(),
    });
  }

  pieceAcknowledged(piece: Piece, lossGeneration: number): void {
    if (piece.kind === FRAME_KINDS.read) return this.pieceLost(piece);
    this.#owner.pieceDone(piece, undefined, lossGeneration);
  }

  pieceRead(piece: Piece): void {
    this.#owner.pieceDone(piece, undefined, 0);
  }

  pieceRefused(piece: Piece, code: ErrorCode, epoch: number): void {
    if (!piece.wanted) return;
    const { random } = this.#context;
    if (!changedNothing(code)) this.#noteUnknown(piece);
    const table = this.#owner.routes().table!;
    // A member came or went and the primary stayed, most likely: try the epoch it names once, without asking anybody.
    if (code === "stale_epoch" && piece.attempt === 0 && table.guessEpoch(piece.pgIndex, epoch)) {
      piece.attempt++;
      this.retryCount++;
      return this.dispatchPiece(piece);
    }
    const decision = afterRefusal(code, piece.attempt, random.fraction());
    if (decision.kind === "stop") return this.#owner.fenced();
    if (decision.kind === "fail") return this.#owner.pieceDone(piece, code, 0);
    piece.attempt++;
    this.retryCount++;
    // Another piece may have brought the newer epoch already.
    if (code === "stale_epoch" && table.epochs[piece.pgIndex]! > piece.sentEpoch) return this.dispatchPiece(piece);
    piece.waitsForToken = decision.needs === "token";
    if (piece.waitsForToken) this.#owner.wantToken();
    else this.#owner.routes().want();
    this.#park(piece, decision.delayMs);
  }

  pieceLost(piece: Piece): void {
    if (!piece.wanted) return;
    this.#noteUnknown(piece);
    this.retryCount++;
    this.#owner.routes().want();
    if (piece.attempt++ === 0) return this.dispatchPiece(piece);
    this.#park(piece, backoffMs(piece.attempt - 1, this.#context.random.fraction()));
  }

  pieceLate(): void {
    this.#owner.routes().want();
  }

  /** Sends the parked pieces of these groups, whose routes changed. */
  releaseRouted(pgIndexes: ReadonlySet<number>): void {
    this.#release((piece) => pgIndexes.has(piece.pgIndex));
  }

  /** Sends the parked pieces that waited for a new token at this SDS. */
  releaseWithToken(target: VolumeAtSds): void {
    this.#release((piece) => piece.waitsForToken && piece.target === target);
  }

  /** Takes `piece`, in flight at an SDS that is not its primary any more, to the new one. */
  takeOver(piece: Piece): void {
    this.#noteUnknown(piece);
    piece.lane?.forget(piece);
    this.retryCount++;
    this.dispatchPiece(piece);
  }

  close(): void {
    this.#timer?.cancel();
    this.#parked = [];
  }

  /** Remembers the attempt that just ended, or is given up, without an answer. Called while lane and target are still set. */
  #noteUnknown(piece: Piece): void {
    if (piece.kind !== FRAME_KINDS.read && piece.target !== undefined) {
      piece.unknown = { peer: piece.target.peer, lane: piece.sentLane };
    }
  }

  #park(piece: Piece, delayMs: number): void {
    piece.retryAtMs = this.#context.clock.monotonicMs() + delayMs;
    this.#parked.push(piece);
    if (piece.retryAtMs < this.#timerAtMs) this.#arm(piece.retryAtMs);
  }

  #arm(atMs: number): void {
    const { clock } = this.#context;
    this.#timer?.cancel();
    this.#timerAtMs = atMs;
    this.#timer = clock.setTimer(Math.max(0, atMs - clock.monotonicMs()), () => {
      this.#timer = undefined;
      this.#timerAtMs = Infinity;
      const nowMs = clock.monotonicMs();
      this.#release((piece) => piece.retryAtMs <= nowMs);
      const nextMs = this.#parked.reduce((least, piece) => Math.min(least, piece.retryAtMs), Infinity);
      if (nextMs < this.#timerAtMs) this.#arm(nextMs);
    });
  }

  #release(isDue: (piece: Piece) => boolean): void {
    const due: Piece[] = [];
    const kept: Piece[] = [];
    for (const piece of this.#parked) if (piece.wanted) (isDue(piece) ? due : kept).push(piece);
    this.#parked = kept;
    for (const piece of due) {
      piece.waitsForToken = false;
      this.dispatchPiece(piece);
    }
  }
}
