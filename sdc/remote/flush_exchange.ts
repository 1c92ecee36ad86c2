/**
 * One flush frame: the groups of one volume whose primary is at one SDS, and their results.
 *
 * @module
 */
import type { FlushTarget } from "@/sdc/core/flush_list.ts";
import type { RouteTable } from "@/sdc/core/route_table.ts";
import type { Exchange } from "@/sdc/remote/exchange.ts";
import { type Lane, ticksOf } from "@/sdc/remote/lane.ts";
import type { VolumeAtSds } from "@/sdc/remote/volume_at_sds.ts";
import { type ErrorCode, errorOfWire } from "@/shared/errors.ts";
import type { Frame } from "@/shared/net/frame_channel.ts";
import {
  COMPACT_HEADER_BYTES,
  encodeCompactHeader,
  FLUSH_ENTRY_BYTES,
  FRAME_PREFIX_BYTES,
} from "@/shared/wire/header.ts";

/** What a flush frame is made of and whom it tells. */
export interface FlushExchangeOptions {
  readonly targets: readonly FlushTarget[];
  readonly timeoutMs: number;
  table(): RouteTable;
  /** The result of one group; `code` is undefined when its writes are stable. */
  answered(pgIndex: number, code: ErrorCode | undefined, lossGeneration: number): void;
  /** The frame is over: undefined after its answer, a code when it was refused as a whole, "lost" with the connection. */
  ended(code: ErrorCode | "lost" | undefined): void;
  late(): void;
}

/** See the module comment. */
export class FlushExchange implements Exchange {
  lane: Lane | undefined;
  requestId = 0;
  wanted = true;
  readonly at: VolumeAtSds;
  readonly #options: FlushExchangeOptions;
  readonly #pgIndexes: ReadonlySet<number>;

  constructor(at: VolumeAtSds, options: FlushExchangeOptions) {
    this.at = at;
    this.#pgIndexes = new Set(options.targets.map(({ pgIndex }) => pgIndex));
    this.#options = options;
  }

  get targets(): readonly FlushTarget[] {
    return this.#options.targets;
  }

  /** Nobody waits for it any more. */
  cancel(): void {
    this.wanted = false;
    this.lane?.forget(this);
  }

  transmit(lane: Lane, handle: number): void {
    const { targets, timeoutMs, table } = this.#options;
    const { pgIds, epochs } = table();
    const requestId = lane.begin(this, ticksOf(timeoutMs));
    const payloadBytes = targets.length * FLUSH_ENTRY_BYTES;
    const at = lane.send.reserve(FRAME_PREFIX_BYTES + COMPACT_HEADER_BYTES + payloadBytes);
    const view = lane.send.view;
    view.setUint32(at, COMPACT_HEADER_BYTES);
    view.setUint32(at + 4, payloadBytes);
    encodeCompactHeader(view, at + FRAME_PREFIX_BYTES, { kind: "flush", requestId, handle });
    let to = at + FRAME_PREFIX_BYTES + COMPACT_HEADER_BYTES;
    for (const { pgIndex, lossGeneration } of targets) {
      view.setUint32(to, pgIds[pgIndex]!);
      view.setUint32(to + 4, epochs[pgIndex]!);
      view.setUint32(to + 8, lossGeneration);
      to += FLUSH_ENTRY_BYTES;
    }
  }

  flushAnswered(frame: Frame): void {
    if (!this.wanted) return;
    const { view, payloadAt, payloadBytes } = frame;
    const table = this.#options.table();
    // Groups that the answer leaves out stay open and are asked for again.
    for (let at = payloadAt; at + FLUSH_ENTRY_BYTES <= payloadAt + payloadBytes; at += FLUSH_ENTRY_BYTES) {
      const pgIndex = table.indexOfPg(view.getUint32(at));
      const status = view.getUint32(at + 4);
      if (pgIndex === undefined || !this.#pgIndexes.has(pgIndex)) continue;
      this.#options.answered(pgIndex, status === 0 ? undefined : errorOfWire(status), view.getUint32(at + 8));
      if (!this.wanted) return;
    }
    this.#end(undefined);
  }

  refused(code: ErrorCode): void {
    this.#end(code);
  }

  connectionLost(): void {
    this.#end("lost");
  }

  acknowledged(): void {
    this.#end("lost");
  }

  dataArrived(): void {
    this.#end("lost");
  }

  late(): void {
    this.#options.late();
  }

  rerouted(): void {
    this.#end("lost");
  }

  #end(code: ErrorCode | "lost" | undefined): void {
    if (!this.wanted) return;
    this.wanted = false;
    this.#options.ended(code);
  }
}
