/**
 * A request of a front end on its way, and the pieces it is cut into. Both are recycled: the hot path allocates nothing per
 * request (data-path rule 11).
 *
 * @module
 */
import type { BlockOperation, BlockRequest } from "@/sdc/block_device.ts";
import type { RangeLockEntry } from "@/sdc/core/range_locks.ts";
import type { Exchange } from "@/sdc/remote/exchange.ts";
import type { Lane } from "@/sdc/remote/lane.ts";
import type { SdsPeer } from "@/sdc/remote/sds_peer.ts";
import type { VolumeAtSds } from "@/sdc/remote/volume_at_sds.ts";
import type { ErrorCode } from "@/shared/errors.ts";
import type { Frame } from "@/shared/net/frame_channel.ts";

const NO_DATA = new Uint8Array(0);

/** Finished objects that are kept for reuse. */
export const IDLE_REQUESTS_MAX = 1_024;
export const IDLE_PIECES_MAX = 4_096;

/** One request between `submit` and the end of its last piece. */
export class VolumeRequest implements RangeLockEntry {
  startBlock = 0;
  endBlock = 0;
  blockedByCount = 0;
  lockIndex = -1;

  /** The front end's request; undefined once it was completed. */
  block: BlockRequest | undefined;
  operation: BlockOperation = "read";
  /** Range that is carried out: trim's is rounded inward. */
  startBytes = 0;
  endBytes = 0;
  data: Uint8Array = NO_DATA;
  startedAtMs = 0;
  error: ErrorCode | undefined;
  piecesLeft = 0;
  readonly pieces: Piece[] = [];
  /** Place in the list of active requests; -1 outside. */
  activeIndex = -1;

  /** Lets go of what it borrowed. */
  clear(): void {
    this.block = undefined;
    this.data = NO_DATA;
    this.error = undefined;
    this.pieces.length = 0;
    this.piecesLeft = 0;
  }
}

/** What a piece reports to. */
export interface PieceOwner {
  transmitPiece(piece: Piece, lane: Lane, handle: number): void;
  pieceAcknowledged(piece: Piece, lossGeneration: number): void;
  pieceRead(piece: Piece): void;
  pieceRefused(piece: Piece, code: ErrorCode, epoch: number): void;
  pieceLost(piece: Piece): void;
  pieceLate(piece: Piece): void;
  dispatchPiece(piece: Piece): void;
}

/** An attempt of a write of which nobody knows whether it took effect. */
export interface UnknownAttempt {
  readonly peer: SdsPeer;
  readonly lane: number;
}

/** A part of a request that is one operation at one placement group. */
export class Piece implements Exchange {
  lane: Lane | undefined;
  requestId = 0;

  /** Undefined once nobody waits for the piece. */
  request: VolumeRequest | undefined;
  /** A number of `FRAME_KINDS`. */
  kind = 0;
  flags = 0;
  chunkIndex = 0;
  pgIndex = 0;
  offsetBytes = 0;
  lengthBytes = 0;
  /** Where its bytes begin in the request's data. */
  dataStart = 0;
  /** Number of a mutation within the session; kept across retries. */
  opSeq = 0;
  /** Refusals and losses so far. */
  attempt = 0;
  /** While parked: when it is sent again at latest, by the monotonic clock; and whether a new token may send it earlier. */
  retryAtMs = 0;
  waitsForToken = false;
  /** Where it waits or is in flight. */
  target: VolumeAtSds | undefined;
  /** Epoch and lane number of the last attempt. */
  sentEpoch = 0;
  sentLane = 0;
  /** The last attempt that ended without an answer. */
  unknown: UnknownAttempt | undefined;
  readonly #owner: PieceOwner;

  constructor(owner: PieceOwner) {
    this.#owner = owner;
  }

  get wanted(): boolean {
    return this.request !== undefined;
  }

  /** Prepares the object for another piece. */
  reset(): void {
    this.request = undefined;
    this.lane = undefined;
    this.target = undefined;
    this.unknown = undefined;
    this.attempt = 0;
    this.waitsForToken = false;
  }

  transmit(lane: Lane, handle: number): void {
    this.#owner.transmitPiece(this, lane, handle);
  }

  acknowledged(lossGeneration: number): void {
    this.#owner.pieceAcknowledged(this, lossGeneration);
  }

  dataArrived(frame: Frame): void {
    const request = this.request;
    if (request === undefined) return;
    if (request.operation !== "read" || frame.payloadBytes !== this.lengthBytes) return this.#owner.pieceLost(this);
    const { bytes, payloadAt } = frame;
    request.data.set(bytes.subarray(payloadAt, payloadAt + this.lengthBytes), this.dataStart);
    this.#owner.pieceRead(this);
  }

  flushAnswered(): void {
    this.#owner.pieceLost(this);
  }

  refused(code: ErrorCode, epoch: number): void {
    this.#owner.pieceRefused(this, code, epoch);
  }

  connectionLost(): void {
    this.#owner.pieceLost(this);
  }

  late(): void {
    this.#owner.pieceLate(this);
  }

  rerouted(): void {
    this.#owner.dispatchPiece(this);
  }
}
