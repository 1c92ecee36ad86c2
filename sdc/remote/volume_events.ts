/**
 * What a volume counts and what it tells its owner, who records it off the IO path.
 *
 * @module
 */
import type { FlushedGeneration } from "@/sdc/remote/flusher.ts";
import type { ErrorCode } from "@/shared/errors.ts";

/** What a volume counts, since it was attached. */
export interface VolumeTotals {
  reads: number;
  /** Writes, trims and write_zeroes. */
  writes: number;
  readBytes: number;
  /** Bytes of writes that carried data. */
  writtenBytes: number;
  /** Requests that failed. */
  errors: number;
  /** Reads, writes, trims and write_zeroes that ended well. */
  timedOperations: number;
  /** Sum of their times from submission to completion, in ms. */
  timedMs: number;
  /** When the last request was submitted, by the monotonic clock; -1 before the first. */
  lastIoAtMs: number;
}

/** Totals before the first request. */
export function emptyTotals(): VolumeTotals {
  return {
    reads: 0,
    writes: 0,
    readBytes: 0,
    writtenBytes: 0,
    errors: 0,
    timedOperations: 0,
    timedMs: 0,
    lastIoAtMs: -1,
  };
}

/** Recorder of one volume. Nothing here may block. */
export interface VolumeEvents {
  /** The lossGeneration by pgId with which the flush list begins; empty at the first attach. Asked once. */
  keptGenerations(): ReadonlyMap<number, number>;
  /** Values to keep for the next attach (4.3). */
  keepGenerations(generations: readonly FlushedGeneration[]): void;
  /** A request failed. */
  ioFailed(failure: IoFailure): void;
  /** The cluster fenced the volume; it has stopped. */
  fenced(): void;
}

/** One failed request. */
export interface IoFailure {
  readonly operation: string;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly code: ErrorCode;
  /** One sentence. */
  readonly message: string;
}
