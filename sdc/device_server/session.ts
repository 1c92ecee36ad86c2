/**
 * What one client of the device port may do: nothing before CONNECT, then IO to that volume for as long as it is mapped.
 * The volume is looked up for every message, so an unmapped one is refused from the next message on.
 *
 * @module
 */
import type { BlockDevice, BlockRequest } from "@/sdc/block_device.ts";
import type { DeviceCommand } from "@/sdc/device_server/messages.ts";
import { CHUNK_BYTES } from "@/shared/constants.ts";
import { type ErrorCode, StorageError, unreachable } from "@/shared/errors.ts";

/** The mapped volumes, as the device port asks for them. */
export interface DeviceVolumes {
  /** The volume of that id, or undefined when it is not mapped here. */
  openById(volumeId: number): BlockDevice | undefined;
}

/** Fields of an answer besides `ok` and `id`. */
export type AnswerFields = Readonly<Record<string, string | number>>;

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
  async perform(command: DeviceCommand): Promise<AnswerFields> {
    switch (command.kind) {
      case "connect":
        return this.#connect(command.volumeId);
      case "read": {
        const { offsetBytes, lengthBytes } = command;
        const device = this.#deviceFor(offsetBytes, lengthBytes);
        const data = new Uint8Array(lengthBytes);
        await submitted(device, { operation: "read", offsetBytes, lengthBytes, data });
        return { data_b64: data.toBase64(), length_bytes: lengthBytes, bytes_read: lengthBytes };
      }
      case "write": {
        const { offsetBytes, data } = command;
        const device = this.#writableFor(offsetBytes, data.length);
        await submitted(device, { operation: "write", offsetBytes, lengthBytes: data.length, data });
        return { bytes_written: data.length };
      }
      case "trim": {
        const { offsetBytes, lengthBytes } = command;
        await submitted(this.#writableFor(offsetBytes, lengthBytes), { operation: "trim", offsetBytes, lengthBytes });
        return { length_bytes: lengthBytes };
      }
      case "flush":
        await submitted(this.#deviceFor(0, 0), { operation: "flush", offsetBytes: 0, lengthBytes: 0 });
        return {};
      case "disconnect":
        this.#volumeId = undefined;
        return {};
      default:
        return unreachable(command);
    }
  }

  #connect(volumeId: number): AnswerFields {
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
    };
  }

  #deviceFor(offsetBytes: number, lengthBytes: number): BlockDevice {
    if (this.#volumeId === undefined) throw new StorageError("bad_request", "CONNECT to a volume first");
    const device = this.#volumes.openById(this.#volumeId);
    if (device === undefined) throw new StorageError("not_found", `Volume ${this.#volumeId} is not mapped any more`);
    if (offsetBytes + lengthBytes > device.sizeBytes) {
      const range = `${lengthBytes} bytes at ${offsetBytes}`;
      throw new StorageError("bad_request", `The range of ${range} ends beyond the volume's ${device.sizeBytes} bytes`);
    }
    return device;
  }

  #writableFor(offsetBytes: number, lengthBytes: number): BlockDevice {
    const device = this.#deviceFor(offsetBytes, lengthBytes);
    if (device.readOnly) throw new StorageError("read_only", `Volume ${device.name} is mapped read-only`);
    return device;
  }
}

const NO_DATA = new Uint8Array(0);

/** Resolves when the device is done. An empty range is done at once. */
function submitted(
  device: BlockDevice,
  request: Pick<BlockRequest, "operation" | "offsetBytes" | "lengthBytes"> & { readonly data?: Uint8Array },
): Promise<void> {
  if (request.lengthBytes === 0 && request.operation !== "flush") return Promise.resolve();
  return new Promise((resolve, reject) => {
    device.submit({
      forceUnitAccess: false,
      noHole: false,
      ...request,
      data: request.data ?? NO_DATA,
      complete(error: ErrorCode | undefined) {
        if (error === undefined) resolve();
        else reject(new StorageError(error, `Cannot ${request.operation} volume ${device.name}: ${error}`));
      },
    });
  });
}
