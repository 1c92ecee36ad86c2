/**
 * `data` and `checksums`, addressed by slot. Any write error fails the device.
 *
 * @module
 */
import type { DeviceHealth } from "@/sds/device/health.ts";
import { CHECKSUM_PAGE_BYTES, POPULATE_PIECE_BYTES, SLOT_BYTES } from "@/sds/device/layout.ts";
import type { SyncedFile } from "@/sds/device/synced_file.ts";

export const PIECES_PER_SLOT = SLOT_BYTES / POPULATE_PIECE_BYTES;

const ZERO_PIECE = new Uint8Array(POPULATE_PIECE_BYTES);
const ZERO_PAGE = new Uint8Array(CHECKSUM_PAGE_BYTES);

/** The two files that hold slots. */
export class SlotFiles {
  readonly data: SyncedFile;
  readonly checksums: SyncedFile;
  readonly #health: DeviceHealth;
  /** Bytes written to `data` since the last sync began. */
  dirtyBytes = 0;

  constructor(options: { readonly data: SyncedFile; readonly checksums: SyncedFile; readonly health: DeviceHealth }) {
    this.data = options.data;
    this.checksums = options.checksums;
    this.#health = options.health;
  }

  /** Writes at a byte offset of `data`. Borrows `bytes`. @throws {StorageError} device_failed */
  writeData(bytes: Uint8Array, positionBytes: number): void {
    try {
      this.data.file.writeSync(bytes, positionBytes);
    } catch (cause) {
      throw this.#health.fail(`Cannot write ${bytes.length} bytes of data at ${positionBytes}`, cause);
    }
    this.data.touch();
    this.dirtyBytes += bytes.length;
  }

  /** Fills `page` with the checksums of a slot; what was never written is 0. @throws {Error} from the disk. */
  readPage(slot: number, page: Uint8Array): void {
    const count = this.checksums.file.readSync(page, slot * CHECKSUM_PAGE_BYTES);
    page.fill(0, count);
  }

  /** Writes the checksums of a slot. @throws {StorageError} device_failed */
  writePage(slot: number, page: Uint8Array): void {
    try {
      this.checksums.file.writeSync(page, slot * CHECKSUM_PAGE_BYTES);
    } catch (cause) {
      throw this.#health.fail(`Cannot write checksums of slot ${slot}`, cause);
    }
    this.checksums.touch();
  }

  /** Zeroes one of the {@linkcode PIECES_PER_SLOT} pieces of a slot. @throws {Error} from the disk: the caller judges it. */
  zeroPiece(slot: number, piece: number): void {
    this.data.file.writeSync(ZERO_PIECE, slot * SLOT_BYTES + piece * POPULATE_PIECE_BYTES);
    this.data.touch();
    this.dirtyBytes += POPULATE_PIECE_BYTES;
  }

  /** Gives the checksums of a slot space of their own. @throws {Error} from the disk: the caller judges it. */
  populatePage(slot: number): void {
    this.checksums.file.writeSync(ZERO_PAGE, slot * CHECKSUM_PAGE_BYTES);
    this.checksums.touch();
  }

  /** Zeroes the checksums of a slot. @throws {StorageError} device_failed */
  zeroPage(slot: number): void {
    this.writePage(slot, ZERO_PAGE);
  }

  /**
   * Zeroes what of a slot is not zero, reading all of it: for the start.
   *
   * @throws {StorageError} device_failed, or {Error} from the disk when reading
   */
  ensureZero(slot: number): void {
    const bytes = new Uint8Array(POPULATE_PIECE_BYTES);
    for (let piece = 0; piece < PIECES_PER_SLOT; piece++) {
      const positionBytes = slot * SLOT_BYTES + piece * POPULATE_PIECE_BYTES;
      const count = this.data.file.readSync(bytes, positionBytes);
      if (count === 0) break;
      if (!isZero(bytes.fill(0, count))) this.writeData(ZERO_PIECE.subarray(0, count), positionBytes);
    }
    const page = new Uint8Array(CHECKSUM_PAGE_BYTES);
    this.readPage(slot, page);
    if (!isZero(page)) this.zeroPage(slot);
  }

  /**
   * Grows `data` with zeros to `slotCount` slots: a power loss may take its end and leave a chunk's row.
   *
   * @throws {StorageError} device_failed
   */
  extendTo(slotCount: number): void {
    const endBytes = slotCount * SLOT_BYTES;
    for (let sizeBytes = this.data.file.sizeBytes(); sizeBytes < endBytes;) {
      const pieceBytes = POPULATE_PIECE_BYTES - sizeBytes % POPULATE_PIECE_BYTES;
      this.writeData(ZERO_PIECE.subarray(0, pieceBytes), sizeBytes);
      sizeBytes += pieceBytes;
    }
  }

  /** Cuts off what a slot that could not be filled took of the disk. */
  dropUnpopulated(): void {
    this.data.file.truncate(this.populatedSlotCount() * SLOT_BYTES);
    this.data.touch();
  }

  /** Slots that were filled once: those above have no space of their own yet. */
  populatedSlotCount(): number {
    return Math.floor(this.data.file.sizeBytes() / SLOT_BYTES);
  }
}

/** True if all bytes are 0; the length is a multiple of 4 and the bytes begin at such an offset. */
export function isZero(bytes: Uint8Array): boolean {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  for (let index = 0; index < words.length; index++) {
    if (words[index] !== 0) return false;
  }
  return true;
}
