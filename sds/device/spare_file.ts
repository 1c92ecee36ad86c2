/**
 * `spare`: space of the file system that is kept back for the catalogue, the intents and the checksums. A process without the right
 * to ask the system cannot know how much is free, so it holds some itself: when a slot meets a full file system the file is
 * emptied, and nothing but slots is ever refused. No slot is filled again until the file is whole.
 *
 * Its content means nothing and is never synced.
 *
 * @module
 */
import { POPULATE_PIECE_BYTES } from "@/sds/device/layout.ts";
import type { DiskFile } from "@/shared/disk.ts";

const ZERO_PIECE = new Uint8Array(POPULATE_PIECE_BYTES);

/** The open file. */
export class SpareFile {
  readonly #file: DiskFile;
  readonly #wholeBytes: number;

  /** Takes `file`. @param options.wholeBytes a multiple of 64 KiB. */
  constructor(file: DiskFile, options: { readonly wholeBytes: number }) {
    this.#file = file;
    this.#wholeBytes = options.wholeBytes;
  }

  /** Fills the file up; false, and the file is empty, if there is no space for it. @throws {Error} from the disk otherwise. */
  restore(): boolean {
    try {
      const sizeBytes = this.#file.sizeBytes();
      for (let at = sizeBytes - sizeBytes % POPULATE_PIECE_BYTES; at < this.#wholeBytes; at += POPULATE_PIECE_BYTES) {
        this.#file.writeSync(ZERO_PIECE, at);
      }
      return true;
    } catch (cause) {
      if (!isNoSpace(cause)) throw cause;
      this.release();
      return false;
    }
  }

  close(): void {
    this.#file.close();
  }

  /** Gives the space back to the file system. */
  release(): void {
    this.#file.truncate(0);
  }
}

/** True if an error of the disk says that there is no space. */
export function isNoSpace(cause: unknown): boolean {
  return cause instanceof Error && "code" in cause && cause.code === "ENOSPC";
}
