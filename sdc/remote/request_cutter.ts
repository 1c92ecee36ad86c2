/**
 * Fills the list of pieces of a request whose turn has come, from recycled objects.
 *
 * @module
 */
import type { BlockRequest } from "@/sdc/block_device.ts";
import type { RouteTable } from "@/sdc/core/route_table.ts";
import { pieceEnd } from "@/sdc/core/split.ts";
import { IDLE_PIECES_MAX, Piece, type PieceOwner, type VolumeRequest } from "@/sdc/remote/volume_request.ts";
import { CHUNK_BYTES, FRAGMENT_BYTES_MAX } from "@/shared/constants.ts";
import { FRAME_FLAGS, FRAME_KINDS } from "@/shared/wire/header.ts";

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
    const unitBytes = operation === "read" || operation === "write" ? FRAGMENT_BYTES_MAX : CHUNK_BYTES;
    const isMutation = operation !== "read";
    const flags = (isMutation && block.forceUnitAccess ? FRAME_FLAGS.fua : 0) |
      (operation === "write_zeroes" && block.noHole ? FRAME_FLAGS.noHole : 0);
    const kind = FRAME_KINDS[operation as "read" | "write" | "trim" | "write_zeroes"]; // the others are not cut
    for (let at = startBytes; at < endBytes;) {
      const end = pieceEnd(at, endBytes, unitBytes);
      const piece = this.#idle.pop() ?? new Piece(this.#owner);
      const chunkIndex = Math.floor(at / CHUNK_BYTES);
      piece.request = request;
      piece.kind = kind;
      piece.flags = flags;
      piece.chunkIndex = chunkIndex;
      piece.pgIndex = table.pgIndexOfChunk(chunkIndex);
      piece.offsetBytes = at - chunkIndex * CHUNK_BYTES;
      piece.lengthBytes = end - at;
      piece.dataStart = at - startBytes;
      piece.opSeq = isMutation ? this.#nextOpSeq() : 0;
      pieces.push(piece);
      at = end;
    }
    request.piecesLeft = pieces.length;
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
