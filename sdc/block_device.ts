/**
 * The one interface between front ends (NBD, device port) and what serves a volume. Layers implement it over another
 * `BlockDevice`; the remote volume at the bottom speaks to SDSs.
 *
 * A request is an object that its front end owns and reuses: no allocation per request on the hot path. The front end
 * fills it, calls `submit`, and must not touch it or `data` until `complete` was called, exactly once, perhaps within
 * `submit`. Requests complete in any order. Overlapping requests of one volume are ordered by the volume's range lock.
 *
 * @module
 */
import type { ErrorCode } from "@/shared/errors.ts";

/** What a request asks for. */
export type BlockOperation = "read" | "write" | "flush" | "trim" | "write_zeroes" | "cache";

/** One request to a block device. */
export interface BlockRequest {
  operation: BlockOperation;
  /** Start of the range; any byte offset. 0 for `flush`. */
  offsetBytes: number;
  /** Length of the range; `offsetBytes + lengthBytes` is within the device: the front end checks. 0 for `flush`. */
  lengthBytes: number;
  /** Write, trim, write_zeroes: on stable storage of every copy before completion (FUA). */
  forceUnitAccess: boolean;
  /** write_zeroes: keep the space allocated (NBD_CMD_FLAG_NO_HOLE). */
  noHole: boolean;
  /** Read: `lengthBytes` long, filled by the device. Write: the bytes to write. Otherwise empty. Borrowed until completion. */
  data: Uint8Array;
  /** Called once when done; `error` is undefined on success, and then reads have filled `data`. */
  complete(error: ErrorCode | undefined): void;
}

/** A run of bytes of one kind, for NBD's `base:allocation`. */
export interface Extent {
  readonly lengthBytes: number;
  /** False: no space is allocated (a hole). */
  readonly allocated: boolean;
  /** True: the bytes read as zeros. */
  readonly zero: boolean;
}

/** A volume as an application sees it. */
export interface BlockDevice {
  /** Export name. */
  readonly name: string;
  /** Current size; grows when the volume is extended. */
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  /** Starts `request`. Never throws: errors go to `complete`. */
  submit(request: BlockRequest): void;
  /**
   * Whether this write_zeroes request would be done by metadata alone, without writing data anywhere. Absent: never. A
   * layer passes it on, or leaves it out. For NBD_CMD_FLAG_FAST_ZERO, which is refused when the answer is no.
   */
  zeroesFast?(request: BlockRequest): boolean;
  /** The extents of the range in order, together exactly as long as it. @throws {StorageError} as reads do. */
  extents(offsetBytes: number, lengthBytes: number): Promise<readonly Extent[]>;
}
