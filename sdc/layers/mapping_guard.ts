/**
 * The top layer of a mapped volume: what the mapping allows. It stays the same object as long as the volume is mapped, while
 * its size and mode follow the MDM.
 *
 * | request | answer |
 * | --- | --- |
 * | any, after the mapping ended | `fenced` |
 * | write, trim, write_zeroes of a read-only mapping | `read_only` |
 * | beyond the size | `bad_request` |
 * | anything else | the layer below |
 *
 * @module
 */
import type { BlockDevice, BlockRequest, Extent } from "@/sdc/block_device.ts";
import type { SdcMapping } from "@/shared/api/sdc.ts";
import { CHUNK_BYTES } from "@/shared/constants.ts";
import { type ErrorCode, StorageError } from "@/shared/errors.ts";

/** See the module comment. */
export class MappingGuard implements BlockDevice {
  readonly name: string;
  readonly #below: BlockDevice;
  #mapping: SdcMapping;
  #ended: ErrorCode | undefined;

  constructor(mapping: SdcMapping, below: BlockDevice) {
    this.name = mapping.volumeName;
    this.#mapping = mapping;
    this.#below = below;
  }

  /** The mapping as the MDM told it last. */
  get mapping(): SdcMapping {
    return this.#mapping;
  }

  /** What the newest token covers; before the first, what the mapping says. */
  get sizeBytes(): number {
    return this.#below.sizeBytes === 0 ? this.#mapping.sizeBytes : this.#below.sizeBytes;
  }

  get readOnly(): boolean {
    return this.#mapping.accessMode === "readOnly";
  }

  /** The MDM changed size or mode. */
  update(mapping: SdcMapping): void {
    this.#mapping = mapping;
  }

  /** Refuses everything from now on. */
  end(code: ErrorCode): void {
    this.#ended ??= code;
  }

  submit(request: BlockRequest): void {
    const problem = this.#problemOf(request);
    if (problem === undefined) this.#below.submit(request);
    else request.complete(problem);
  }

  /** Whole chunks are dropped by their rows alone, unless their space must stay allocated. */
  zeroesFast(request: BlockRequest): boolean {
    const endBytes = request.offsetBytes + request.lengthBytes;
    return !request.noHole && request.offsetBytes % CHUNK_BYTES === 0 &&
      (endBytes % CHUNK_BYTES === 0 || endBytes === this.sizeBytes);
  }

  async extents(offsetBytes: number, lengthBytes: number): Promise<readonly Extent[]> {
    if (this.#ended !== undefined) {
      throw new StorageError(this.#ended, `Cannot tell the extents of ${this.name}: it is not mapped any more`);
    }
    return await this.#below.extents(offsetBytes, lengthBytes);
  }

  #problemOf(request: BlockRequest): ErrorCode | undefined {
    if (this.#ended !== undefined) return this.#ended;
    const { operation } = request;
    if (operation !== "read" && operation !== "flush" && operation !== "cache" && this.readOnly) return "read_only";
    return request.offsetBytes + request.lengthBytes > this.sizeBytes ? "bad_request" : undefined;
  }
}
