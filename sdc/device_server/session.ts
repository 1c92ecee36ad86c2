/**
 * What one client of the device port may do: nothing before CONNECT, then IO to that volume for as long as it is mapped.
 * The volume is looked up for every message, so an unmapped one is refused from the next message on.
 *
 * @module
 */
import type { BlockDevice } from "@/sdc/block_device.ts";
import type { DeviceCommand } from "@/sdc/device_server/messages.ts";
import { performIo } from "@/sdc/volume_io.ts";
import { CHUNK_BYTES } from "@/shared/constants.ts";
import { StorageError, unreachable } from "@/shared/errors.ts";

/** The mapped volumes, as the device port asks for them. */
export interface DeviceVolumes {
  /** The volume of that id, or undefined when it is not mapped here. */
  openById(volumeId: number): BlockDevice | undefined;
  /** Id of the token under which the volume is used; undefined before the first one came. */
  tokenIdOf(volumeId: number): string | undefined;
}

/** Fields of an answer besides `ok` and `id`. */
export type AnswerFields = Readonly<Record<string, string | number | boolean>>;

/** What a command gave. `data` is of a READ, and belongs to whoever sends it. */
export interface Performed {
  readonly fields: AnswerFields;
  readonly data?: Uint8Array;
}

/** See the module comment. */
export class DeviceSession {
  readonly #volumes: DeviceVolumes;
  #volumeId: number | undefined;

  constructor(volumes: DeviceVolumes) {
    this.#volumes = volumes;
  }

  /**
   * Carries out one command. One at a time: a FLUSH covers every WRITE that was answered before it.
   * @throws {StorageError} when it is refused or the volume fails.
   */
  async perform(command: DeviceCommand): Promise<Performed> {
    switch (command.kind) {
      case "connect":
        return { fields: this.#connect(command) };
      case "read": {
        const { offsetBytes, lengthBytes } = command;
        const data = new Uint8Array(lengthBytes);
        await performIo(this.#device(), { operation: "read", offsetBytes, lengthBytes, data });
        return { fields: { length_bytes: lengthBytes, bytes_read: lengthBytes }, data };
      }
      case "write": {
        const { offsetBytes, data } = command;
        await performIo(this.#device(), { operation: "write", offsetBytes, lengthBytes: data.length, data });
        const tokenId = this.#volumes.tokenIdOf(this.#volumeId!); // there was a device
        return { fields: { bytes_written: data.length, ...(tokenId !== undefined && { token_id: tokenId }) } };
      }
      case "trim": {
        const { offsetBytes, lengthBytes } = command;
        await performIo(this.#device(), { operation: "trim", offsetBytes, lengthBytes });
        return { fields: { length_bytes: lengthBytes } };
      }
      case "flush":
        await performIo(this.#device(), { operation: "flush", offsetBytes: 0, lengthBytes: 0 });
        return { fields: {} };
      case "disconnect":
        this.#volumeId = undefined;
        return { fields: {} };
      default:
        return unreachable(command);
    }
  }

  #connect({ volumeId, framing }: Extract<DeviceCommand, { kind: "connect" }>): AnswerFields {
    const device = this.#volumes.openById(volumeId);
    if (device === undefined) throw new StorageError("not_found", `Volume ${volumeId} is not mapped to this client`);
    this.#volumeId = volumeId;
    return {
      volume_id: volumeId,
      size_bytes: device.sizeBytes,
      volume_size_bytes: device.sizeBytes,
      chunk_size_bytes: CHUNK_BYTES,
      access_mode: device.readOnly ? "readOnly" : "readWrite",
      message: `Connected to volume ${device.name}`,
      ...(framing !== undefined && { framing }),
    };
  }

  /** The volume of this connection. */
  #device(): BlockDevice {
    if (this.#volumeId === undefined) throw new StorageError("bad_request", "CONNECT to a volume first");
    const device = this.#volumes.openById(this.#volumeId);
    if (device === undefined) throw new StorageError("not_found", `Volume ${this.#volumeId} is not mapped any more`);
    return device;
  }
}
