/**
 * Frames of pieces, written straight into the send buffer: header by fixed offsets, then for a write its checksums and its
 * data, copied behind the header so that all of it leaves in one write (data-path rules 3 and 9).
 *
 * @module
 */
import type { Piece } from "@/sdc/remote/volume_request.ts";
import { writeBlockCrcs } from "@/shared/checksum.ts";
import type { SendQueue } from "@/shared/net/send_queue.ts";
import {
  blocksTouched,
  COMPACT_HEADER_BYTES,
  FRAME_KINDS,
  FRAME_PREFIX_BYTES,
  HEADER_FIELDS,
  setUint53,
} from "@/shared/wire/header.ts";

const FIELD = {
  requestId: HEADER_FIELDS.requestId[0],
  handle: HEADER_FIELDS.handle[0],
  pgId: HEADER_FIELDS.pgId[0],
  epoch: HEADER_FIELDS.epoch[0],
  nodeId: HEADER_FIELDS.nodeId[0],
  chunkIndex: HEADER_FIELDS.chunkIndex[0],
  offsetBytes: HEADER_FIELDS.offsetBytes[0],
  lengthBytes: HEADER_FIELDS.lengthBytes[0],
  opSession: HEADER_FIELDS.opSession[0],
  opSeq: HEADER_FIELDS.opSeq[0],
  writeNumber: HEADER_FIELDS.writeNumber[0],
  lossGeneration: HEADER_FIELDS.lossGeneration[0],
  vtreeId: HEADER_FIELDS.vtreeId[0],
  traceId: HEADER_FIELDS.traceId[0],
} as const;

/** What a piece's frame says besides the piece. */
export interface PieceAddress {
  readonly requestId: number;
  readonly handle: number;
  readonly pgId: number;
  readonly epoch: number;
  readonly nodeId: number;
  readonly opSession: number;
}

/** Appends the frame of `piece`, and copies the data of a write. */
export function appendPiece(send: SendQueue, piece: Piece, address: PieceAddress): void {
  const { offsetBytes, lengthBytes } = piece;
  const carriesData = piece.kind === FRAME_KINDS.write;
  const checksumBytes = carriesData ? 4 * blocksTouched(offsetBytes, lengthBytes) : 0;
  const payloadBytes = carriesData ? checksumBytes + lengthBytes : 0;
  const at = send.reserve(FRAME_PREFIX_BYTES + COMPACT_HEADER_BYTES + payloadBytes);
  const view = send.view;
  view.setUint32(at, COMPACT_HEADER_BYTES);
  view.setUint32(at + 4, payloadBytes);
  const header = at + FRAME_PREFIX_BYTES;
  view.setUint32(header, piece.kind << 24 | piece.flags << 16);
  view.setUint32(header + FIELD.requestId, address.requestId);
  view.setUint32(header + FIELD.handle, address.handle);
  view.setUint32(header + FIELD.pgId, address.pgId);
  view.setUint32(header + FIELD.epoch, address.epoch);
  view.setUint32(header + FIELD.nodeId, address.nodeId);
  view.setUint32(header + FIELD.chunkIndex, piece.chunkIndex);
  view.setUint32(header + FIELD.offsetBytes, offsetBytes);
  view.setUint32(header + FIELD.lengthBytes, lengthBytes);
  const isMutation = piece.kind !== FRAME_KINDS.read;
  view.setUint32(header + FIELD.opSession, isMutation ? address.opSession : 0);
  setUint53(view, header + FIELD.opSeq, isMutation ? piece.opSeq : 0);
  view.setUint32(header + FIELD.writeNumber, 0);
  view.setUint32(header + FIELD.lossGeneration, 0);
  view.setUint32(header + FIELD.vtreeId, 0);
  view.setUint32(header + FIELD.traceId, 0);
  if (!carriesData) return;
  const { data } = piece.request!; // a piece that is sent has a request
  const payload = header + COMPACT_HEADER_BYTES;
  writeBlockCrcs(view, payload, data, piece);
  const { dataStart } = piece;
  const whole = dataStart === 0 && lengthBytes === data.length;
  send.bytes.set(whole ? data : data.subarray(dataStart, dataStart + lengthBytes), payload + checksumBytes);
}
