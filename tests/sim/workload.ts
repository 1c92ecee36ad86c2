/**
 * Requests of one application against one volume, under the seed: mostly small and on few blocks, so that they overlap,
 * sometimes long and across chunks. Every request goes through the oracle.
 *
 * @module
 */
import type { BlockDevice, BlockOperation } from "@/sdc/block_device.ts";
import { BLOCK_BYTES, CHUNK_BYTES, FRAGMENT_BYTES_MAX } from "@/shared/constants.ts";
import type { ErrorCode } from "@/shared/errors.ts";
import type { EventLog } from "@/tests/sim/event_log.ts";
import type { OpenFlush, OpenRequest, Oracle, OracleRequest } from "@/tests/sim/oracle.ts";
import type { SeededRandom } from "@/tests/sim/seeded_random.ts";
import { fillStamped, SECTOR_BYTES } from "@/tests/sim/stamps.ts";
import type { VirtualTime } from "@/tests/sim/virtual_time.ts";

/** How often each operation is asked for, relative to the others. */
export const OPERATION_WEIGHTS = { read: 40, write: 42, trim: 4, write_zeroes: 5, flush: 9 } as const;
const FORCE_UNIT_ACCESS_CHANCE = 0.08;
/** Kinds of ranges: within a block, some blocks, or far beyond a fragment. */
const RANGE_WEIGHTS = { part: 35, blocks: 60, long: 5 } as const;
const LONG_BYTES_MAX = 192 * 1024;
/** Requests of one application at a time. */
const IN_FLIGHT_MAX = 6;
/** Time between two requests, in ms: most come in bursts, some after a pause. */
const BURST_CHANCE = 0.6;
const BURST_GAP_MS_MAX = 4;
const PAUSE_MS_MAX = 270;
/** First blocks of these many places in the volume are used over and over. */
const HOT_PLACE_COUNT = 10;
const HOT_BLOCKS = 4;

/** What an application works with. */
export interface WorkloadOptions {
  readonly time: VirtualTime;
  readonly random: SeededRandom;
  /** Where the hot places are: equal for all clients of one volume. */
  readonly hotRandom: SeededRandom;
  readonly log: EventLog;
  readonly oracle: Oracle;
  /** Name of the client, for the oracle. */
  readonly client: string;
  readonly volumeId: number;
  readonly sizeBytes: number;
  /** The part of the volume that this client changes; it reads all of it. Two clients never write the same block (C1). */
  readonly changes: { readonly startBytes: number; readonly endBytes: number };
  /** Where they differ from {@linkcode OPERATION_WEIGHTS}. */
  readonly weights?: Partial<Record<BlockOperation & keyof typeof OPERATION_WEIGHTS, number>>;
  /** Places in the volume that are used over and over; {@linkcode HOT_PLACE_COUNT} without it. */
  readonly hotPlaceCount?: number | undefined;
  /** From this true time on nothing is flushed or written through; for ever without it. */
  readonly flushUntilMs?: number;
  /** Errors that are no failures: of disks that are full, or broken on purpose. */
  readonly tolerates?: (code: ErrorCode) => boolean;
  /** Requests to send in all. */
  readonly requestCount: number;
  /** The device as long as its SDC runs; a new object after each restart. */
  device(): BlockDevice | undefined;
  /** Gives the number of a request, unique in the run. */
  nextNumber(): number;
}

interface Running {
  readonly device: BlockDevice;
  readonly open: OpenRequest | undefined;
  readonly flush: OpenFlush | undefined;
  readonly name: string;
}

/** One application. */
export class Workload {
  readonly #options: WorkloadOptions;
  readonly #running = new Set<Running>();
  readonly #hotOffsets: number[];
  /** By number of the fragment within the volume. */
  readonly #changedPieces = new Set<number>();
  #sentCount = 0;
  #answeredCount = 0;
  /** Requests that were answered with an error, which the design does not allow while its SDC lives. */
  readonly failures: string[] = [];

  constructor(options: WorkloadOptions) {
    this.#options = options;
    const { sizeBytes, hotRandom: random } = options;
    this.#hotOffsets = Array.from({ length: options.hotPlaceCount ?? HOT_PLACE_COUNT }, (_, index) => {
      const chunk = random.integer(0, sizeBytes / CHUNK_BYTES - 1) * CHUNK_BYTES;
      if (index % 3 === 0 && chunk > 0) return chunk - 2 * BLOCK_BYTES; // across a chunk border
      return chunk + random.integer(0, CHUNK_BYTES / BLOCK_BYTES - HOT_BLOCKS) * BLOCK_BYTES;
    });
  }

  /** Begins to send. */
  start(): void {
    this.#schedule();
  }

  /** True when all requests were sent and answered, or lost with their SDC. */
  get finished(): boolean {
    return this.#sentCount >= this.#options.requestCount && this.#running.size === 0;
  }

  get answeredCount(): number {
    return this.#answeredCount;
  }

  /** Requests without an answer, for a report. */
  unanswered(): string[] {
    return [...this.#running].map((running) => running.name);
  }

  /** The SDC died: nobody will answer what it was asked. */
  deviceLost(): void {
    for (const running of this.#running) {
      if (running.open !== undefined) this.#options.oracle.failed(running.open);
      if (running.flush !== undefined) this.#options.oracle.flushEnded(running.flush, "unknown");
    }
    this.#running.clear();
  }

  /** Reads all that was ever changed, piece by piece; the oracle compares. Resolves when done. */
  async readEverything(): Promise<void> {
    for (const piece of [...this.#changedPieces].sort((a, b) => a - b)) {
      const offsetBytes = piece * FRAGMENT_BYTES_MAX;
      const lengthBytes = Math.min(FRAGMENT_BYTES_MAX, this.#options.sizeBytes - offsetBytes);
      await new Promise<void>((resolve) => {
        this.#submit({ operation: "read", offsetBytes, lengthBytes, forceUnitAccess: false, noHole: false }, resolve);
      });
    }
  }

  #schedule(): void {
    const { random, time, requestCount } = this.#options;
    if (this.#sentCount >= requestCount) return;
    const gapMs = random.between(0, random.chance(BURST_CHANCE) ? BURST_GAP_MS_MAX : PAUSE_MS_MAX);
    time.after(gapMs, () => {
      if (this.#running.size < IN_FLIGHT_MAX && this.#options.device() !== undefined) {
        this.#sentCount++;
        this.#submit(this.#nextRequest(), () => {});
      }
      this.#schedule();
    });
  }

  #nextRequest(): Wanted {
    const { random, time, flushUntilMs = Infinity } = this.#options;
    const flushes = time.nowMs < flushUntilMs;
    const drawn: BlockOperation = random.weighted({ ...OPERATION_WEIGHTS, ...this.#options.weights });
    const operation = drawn === "flush" && !flushes ? "read" : drawn;
    const changes = operation !== "read" && operation !== "flush";
    return {
      operation,
      ...(operation === "flush" ? { offsetBytes: 0, lengthBytes: 0 } : this.#nextRange({ changes })),
      forceUnitAccess: changes && random.chance(FORCE_UNIT_ACCESS_CHANCE) && flushes,
      noHole: operation === "write_zeroes" && random.chance(0.5),
    };
  }

  /** A range to read, in anybody's part, or to change, in the own one. */
  #nextRange(options: { readonly changes: boolean }): ByteRange {
    const { random, sizeBytes, changes: { startBytes, endBytes } } = this.#options;
    const range = this.#anyRange();
    const partBytes = endBytes - startBytes;
    const partStartBytes = options.changes ? startBytes : partBytes * random.integer(0, sizeBytes / partBytes - 1);
    const offsetBytes = partStartBytes + range.offsetBytes % partBytes;
    const limitBytes = options.changes ? endBytes : sizeBytes;
    return { offsetBytes, lengthBytes: Math.min(range.lengthBytes, limitBytes - offsetBytes) };
  }

  #anyRange(): ByteRange {
    const { random, sizeBytes } = this.#options;
    const blockAt = random.pick(this.#hotOffsets) + random.integer(0, HOT_BLOCKS - 1) * BLOCK_BYTES;
    switch (random.weighted(RANGE_WEIGHTS)) {
      case "part": {
        const firstSector = random.integer(0, 7);
        const offsetBytes = blockAt + firstSector * SECTOR_BYTES;
        return { offsetBytes, lengthBytes: Math.min(SECTOR_BYTES * random.integer(1, 8), sizeBytes - offsetBytes) };
      }
      case "blocks":
        return { offsetBytes: blockAt, lengthBytes: Math.min(BLOCK_BYTES * random.integer(1, 3), sizeBytes - blockAt) };
      default: {
        const lengthBytes = SECTOR_BYTES * random.integer(1, LONG_BYTES_MAX / SECTOR_BYTES);
        const offsetBytes = Math.min(blockAt + SECTOR_BYTES * random.integer(0, 7), sizeBytes - lengthBytes);
        return { offsetBytes, lengthBytes };
      }
    }
  }

  #submit(wanted: Wanted, onDone: () => void): void {
    const { oracle, log, client, volumeId } = this.#options;
    const device = this.#options.device();
    if (device === undefined) return onDone();
    const number = this.#options.nextNumber();
    const place = { volumeId, offsetBytes: wanted.offsetBytes, lengthBytes: wanted.lengthBytes };
    const data = new Uint8Array(wanted.operation === "read" || wanted.operation === "write" ? wanted.lengthBytes : 0);
    if (wanted.operation === "write") fillStamped(data, { ...place, writer: number });
    const kind = oracleKind(wanted.operation);
    if (kind !== undefined && kind !== "read") this.#noteChange(wanted);
    const { forceUnitAccess } = wanted;
    const open = kind && oracle.begin({ ...place, kind, client, number, forceUnitAccess });
    const flush = wanted.operation === "flush" ? oracle.beginFlush({ client, volumeId }) : undefined;
    const name = `${client} ${wanted.operation} ${number} at ${wanted.offsetBytes}+${wanted.lengthBytes}`;
    const running: Running = { device, open, flush, name };
    this.#running.add(running);
    log.note(`${name}${wanted.forceUnitAccess ? " FUA" : ""} begins`);
    device.submit({
      ...wanted,
      data,
      complete: (error) => {
        if (!this.#running.delete(running)) {
          if (device === this.#options.device()) this.failures.push(`${name} was answered twice`);
          return;
        }
        this.#answered(running, { error, data });
        onDone();
      },
    });
  }

  #noteChange({ offsetBytes, lengthBytes }: ByteRange): void {
    const last = Math.floor((offsetBytes + lengthBytes - 1) / FRAGMENT_BYTES_MAX);
    for (let piece = Math.floor(offsetBytes / FRAGMENT_BYTES_MAX); piece <= last; piece++) {
      this.#changedPieces.add(piece);
    }
  }

  #answered(running: Running, answer: { readonly error: ErrorCode | undefined; readonly data: Uint8Array }): void {
    const { oracle, log } = this.#options;
    const { open, flush, name } = running;
    log.note(`${name} ends ${answer.error ?? "ok"}`);
    this.#answeredCount++;
    if (flush !== undefined) oracle.flushEnded(flush, FLUSH_OUTCOMES[answer.error ?? ""] ?? "unknown");
    if (flush !== undefined && answer.error === "flush_lost") return;
    if (answer.error !== undefined) {
      if (this.#options.tolerates?.(answer.error) !== true) this.failures.push(`${name} failed: ${answer.error}`);
      if (open !== undefined) oracle.failed(open);
    } else if (open !== undefined) oracle.succeeded(open, answer.data);
  }
}

/** What the answer to a flush says of what was written. */
const FLUSH_OUTCOMES: Readonly<Record<string, "ok" | "lost">> = { "": "ok", flush_lost: "lost" };

interface ByteRange {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

interface Wanted extends ByteRange {
  readonly operation: BlockOperation;
  readonly forceUnitAccess: boolean;
  readonly noHole: boolean;
}

function oracleKind(operation: BlockOperation): OracleRequest["kind"] | undefined {
  if (operation === "write_zeroes") return "zero";
  return operation === "flush" || operation === "cache" ? undefined : operation;
}
