/**
 * A block device over memory. It keeps which 4 KiB blocks are allocated, as a thin volume does. A test may hold requests
 * back, let them complete in another order, and make them fail.
 *
 * @module
 */
import type { BlockDevice, BlockOperation, BlockRequest, Extent } from "@/sdc/block_device.ts";
import { BLOCK_BYTES } from "@/shared/constants.ts";
import { assert, type ErrorCode, StorageError } from "@/shared/errors.ts";
import type { Random } from "@/shared/random.ts";

/** How a device behaves. */
export interface MemoryBlockDeviceOptions {
  readonly name?: string;
  readonly sizeBytes: number;
  readonly readOnly?: boolean;
  /** Runs or keeps `finish`, which carries the request out and completes it. Default: at once. */
  readonly schedule?: (finish: () => void) => void;
  /** Asked for each request; a code makes it fail without effect. */
  readonly failure?: (request: BlockRequest) => ErrorCode | undefined;
  /** The device says whether zeroing is done by metadata: whole blocks are, unless they must stay allocated. */
  readonly tellsFastZeroes?: boolean;
}

/** State of one block. */
const HOLE = 0;
const DATA = 1;
const ZERO = 2;

/** See the module comment. */
export class MemoryBlockDevice implements BlockDevice {
  readonly name: string;
  readonly readOnly: boolean;
  readonly bytes: Uint8Array;
  /** Requests by operation, those with `forceUnitAccess` also as `fua`. */
  readonly counts: Record<BlockOperation | "fua", number> = {
    read: 0,
    write: 0,
    flush: 0,
    trim: 0,
    write_zeroes: 0,
    cache: 0,
    fua: 0,
  };
  readonly zeroesFast?: (request: BlockRequest) => boolean;
  readonly #blocks: Uint8Array;
  readonly #options: MemoryBlockDeviceOptions;

  constructor(options: MemoryBlockDeviceOptions) {
    this.#options = options;
    this.name = options.name ?? "memory";
    this.readOnly = options.readOnly ?? false;
    this.bytes = new Uint8Array(options.sizeBytes);
    this.#blocks = new Uint8Array(Math.ceil(options.sizeBytes / BLOCK_BYTES));
    if (options.tellsFastZeroes) {
      this.zeroesFast = (request) =>
        !request.noHole && request.offsetBytes % BLOCK_BYTES === 0 && request.lengthBytes % BLOCK_BYTES === 0;
    }
  }

  get sizeBytes(): number {
    return this.bytes.length;
  }

  submit(request: BlockRequest): void {
    assert(request.offsetBytes + request.lengthBytes <= this.sizeBytes, "the front end checks the range");
    const { schedule } = this.#options;
    if (schedule === undefined) this.#finish(request);
    else schedule(() => this.#finish(request));
  }

  extents(offsetBytes: number, lengthBytes: number): Promise<readonly Extent[]> {
    const extents: Extent[] = [];
    let position = offsetBytes;
    while (position < offsetBytes + lengthBytes) {
      const index = Math.floor(position / BLOCK_BYTES);
      const end = Math.min((index + 1) * BLOCK_BYTES, offsetBytes + lengthBytes);
      const state = this.#blocks[index];
      extents.push({ lengthBytes: end - position, allocated: state !== HOLE, zero: state !== DATA });
      position = end;
    }
    const code = this.#options.failure?.({ ...NO_REQUEST, offsetBytes, lengthBytes });
    if (code !== undefined) return Promise.reject(new StorageError(code, "Cannot describe the range"));
    return Promise.resolve(extents);
  }

  #finish(request: BlockRequest): void {
    this.counts[request.operation]++;
    if (request.forceUnitAccess) this.counts.fua++;
    const code = this.#options.failure?.(request);
    if (code === undefined) this.#carryOut(request);
    request.complete(code);
  }

  #carryOut(request: BlockRequest): void {
    const { offsetBytes, lengthBytes } = request;
    const end = offsetBytes + lengthBytes;
    switch (request.operation) {
      case "read":
        assert(request.data.length === lengthBytes, "a read brings as much memory as it asks for");
        request.data.set(this.bytes.subarray(offsetBytes, end));
        return;
      case "write":
        assert(request.data.length === lengthBytes, "a write brings as much data as it says");
        this.bytes.set(request.data, offsetBytes);
        this.#blocks.fill(DATA, Math.floor(offsetBytes / BLOCK_BYTES), Math.ceil(end / BLOCK_BYTES));
        return;
      case "trim":
      case "write_zeroes": {
        this.bytes.fill(0, offsetBytes, end);
        const first = Math.ceil(offsetBytes / BLOCK_BYTES);
        const last = end === this.sizeBytes ? this.#blocks.length : Math.floor(end / BLOCK_BYTES);
        if (first < last) this.#blocks.fill(request.noHole ? ZERO : HOLE, first, last);
        return;
      }
      case "flush":
      case "cache":
        return;
    }
  }
}

const NO_REQUEST: BlockRequest = {
  operation: "cache",
  offsetBytes: 0,
  lengthBytes: 0,
  forceUnitAccess: false,
  noHole: false,
  data: new Uint8Array(0),
  complete() {},
};

/** A `schedule` that completes what gathered in one turn of the event loop together, in random order. */
export function shuffledSchedule(random: Random): (finish: () => void) => void {
  const waiting: (() => void)[] = [];
  return (finish) => {
    waiting.push(finish);
    if (waiting.length > 1) return;
    setTimeout(() => {
      const due = waiting.splice(0);
      while (due.length > 0) due.splice(Math.floor(random.fraction() * due.length), 1)[0]!();
    }, 0);
  };
}

/** A `schedule` that keeps requests until the test finishes them, one by one in any order. */
export function heldSchedule(): { schedule(finish: () => void): void; readonly held: (() => void)[] } {
  const held: (() => void)[] = [];
  return { held, schedule: (finish) => void held.push(finish) };
}
