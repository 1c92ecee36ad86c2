/**
 * Fills the list of pieces of a request whose turn has come, from recycled objects.
 *
 * @module
 */
import type { BlockRequest } from "@/sdc/block_device.ts";
import type { RouteTable } from "@/sdc/core/route_table.ts";
import { type BlockRange, pieceEnd, zeroesPieceOf } from "@/sdc/core/split.ts";
import { IDLE_PIECES_MAX, Piece, type PieceOwner, type VolumeRequest } from "@/sdc/remote/volume_request.ts";
import { BLOCK_BYTES, CHUNK_BYTES, FRAGMENT_BYTES_MAX } from "@/shared/constants.ts";
import { FRAME_FLAGS, FRAME_KINDS } from "@/shared/wire/header.ts";

/** What the ragged edges of a write_zeroes write. */
const ZERO_BLOCK = new Uint8Array(BLOCK_BYTES);

/** Cuts requests and recycles their pieces. */
export class RequestCutter {
  readonly #owner: PieceOwner;
  readonly #nextOpSeq: () => number;
  readonly #idle: Piece[] = [];

  /** @param options.owner of every piece. */
  constructor(options: { readonly owner: PieceOwner; readonly nextOpSeq: () => number }) {
    this.#owner = options.owner;
    this.#nextOpSeq = options.nextOpSeq;
  }

  /** Cuts `request`, which carries out `block`; each piece of a mutation becomes an operation with an opId of its own. */
  cut(request: VolumeRequest, block: BlockRequest, table: RouteTable): void {
    const { operation, startBytes, endBytes, pieces } = request;
    if (operation === "write_zeroes") return this.#cutZeroes(request, block, table);
    const unitBytes = operation === "trim" ? CHUNK_BYTES : FRAGMENT_BYTES_MAX;
    const isMutation = operation !== "read";
    const flags = isMutation && block.forceUnitAccess ? FRAME_FLAGS.fua : 0;
    const kind = FRAME_KINDS[operation as "read" | "write" | "trim"]; // the others are not cut here
    for (let at = startBytes; at < endBytes;) {
      const end = pieceEnd(at, endBytes, unitBytes);
      const piece = this.#add(request, table, { startBytes: at, endBytes: end });
      piece.kind = kind;
      piece.flags = flags;
      piece.dataStart = at - startBytes;
      piece.opSeq = isMutation ? this.#nextOpSeq() : 0;
      at = end;
    }
    request.piecesLeft = pieces.length;
  }

  /** Whole blocks are zeroed by their range alone; parts of blocks are written, since they have to be merged. */
  #cutZeroes(request: VolumeRequest, block: BlockRequest, table: RouteTable): void {
    const fua = block.forceUnitAccess ? FRAME_FLAGS.fua : 0;
    request.data = ZERO_BLOCK;
    for (let at = request.startBytes; at < request.endBytes;) {
      const { endBytes, ragged } = zeroesPieceOf(at, request.endBytes);
      const piece = this.#add(request, table, { startBytes: at, endBytes });
      piece.kind = ragged ? FRAME_KINDS.write : FRAME_KINDS.write_zeroes;
      piece.flags = fua | (block.noHole && !ragged ? FRAME_FLAGS.noHole : 0);
      piece.dataStart = 0;
      piece.opSeq = this.#nextOpSeq();
      at = endBytes;
    }
    request.piecesLeft = request.pieces.length;
  }

  /** A piece of the range, which is within one chunk. */
  #add(request: VolumeRequest, table: RouteTable, range: BlockRange): Piece {
    const { startBytes, endBytes } = range;
    const piece = this.#idle.pop() ?? new Piece(this.#owner);
    const chunkIndex = Math.floor(startBytes / CHUNK_BYTES);
    piece.request = request;
    piece.chunkIndex = chunkIndex;
    piece.pgIndex = table.pgIndexOfChunk(chunkIndex);
    piece.offsetBytes = startBytes - chunkIndex * CHUNK_BYTES;
    piece.lengthBytes = endBytes - startBytes;
    request.pieces.push(piece);
    return piece;
  }

  /** Takes back the pieces of a request that are all done. */
  recycle(pieces: readonly Piece[]): void {
    for (const piece of pieces) {
      if (this.#idle.length >= IDLE_PIECES_MAX) return;
      piece.reset();
      this.#idle.push(piece);
    }
  }
}
