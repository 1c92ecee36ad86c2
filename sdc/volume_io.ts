/**
 * One read or write of a mapped volume as a promise, for front ends that answer one message at a time. Whoever serves many
 * requests at once uses {@linkcode BlockDevice} itself.
 *
 * @module
 */
import type { BlockDevice, BlockRequest } from "@/sdc/block_device.ts";
import { type ErrorCode, StorageError } from "@/shared/errors.ts";

/** What to do. `data` as in {@linkcode BlockRequest}; left out for requests that carry none. */
export type VolumeIo = Pick<BlockRequest, "operation" | "offsetBytes" | "lengthBytes"> & { readonly data?: Uint8Array };

const NO_DATA = new Uint8Array(0);

/**
 * Resolves when the device is done; `data` is borrowed until then. An empty range is done at once.
 *
 * @throws {StorageError} `bad_request` for a range beyond the volume, `read_only` for a change of a read-only one, or what the
 * device failed with.
 */
export function performIo(device: BlockDevice, io: VolumeIo): Promise<void> {
  requireRange(device, io);
  if (io.operation !== "read" && io.operation !== "flush") requireWritable(device);
  if (io.lengthBytes === 0 && io.operation !== "flush") return Promise.resolve();
  return new Promise((resolve, reject) => {
    device.submit({
      forceUnitAccess: false,
      noHole: false,
      ...io,
      data: io.data ?? NO_DATA,
      complete(error: ErrorCode | undefined) {
        if (error === undefined) resolve();
        else reject(new StorageError(error, `Cannot ${io.operation} volume ${device.name}: ${error}`));
      },
    });
  });
}

function requireRange(device: BlockDevice, { offsetBytes, lengthBytes }: VolumeIo): void {
  if (offsetBytes + lengthBytes <= device.sizeBytes) return;
  const range = `${lengthBytes} bytes at ${offsetBytes}`;
  throw new StorageError("bad_request", `The range of ${range} ends beyond the volume's ${device.sizeBytes} bytes`);
}

function requireWritable(device: BlockDevice): void {
  if (device.readOnly) throw new StorageError("read_only", `Volume ${device.name} is mapped read-only`);
}
