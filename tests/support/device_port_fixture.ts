/**
 * The device port over volumes in memory, on a TCP port of loopback, and clients that send what a test says.
 *
 * @module
 */
import type { BlockDevice } from "@/sdc/block_device.ts";
import { type DeviceServer, serveDevices } from "@/sdc/device_server/server.ts";
import { BufferPool } from "@/shared/buffers.ts";
import { type Clock, systemClock } from "@/shared/clock.ts";
import { denoTransport } from "@/shared/transport_deno.ts";
import { JsonClient } from "@/tests/support/json_client.ts";
import { MemoryBlockDevice } from "@/tests/support/memory_block_device.ts";

/** Size of {@linkcode memoryVolume}. */
export const DEVICE_SIZE_BYTES = 4 << 20;

/** A volume named `demo`. */
export function memoryVolume(
  options: Partial<ConstructorParameters<typeof MemoryBlockDevice>[0]> = {},
): MemoryBlockDevice {
  return new MemoryBlockDevice({ name: "demo", sizeBytes: DEVICE_SIZE_BYTES, ...options });
}

/** See the module comment. The volume that it is made with has id 1. */
export class DevicePortFixture implements AsyncDisposable {
  readonly volumes = new Map<number, BlockDevice>();
  readonly server: DeviceServer;
  readonly port: number;
  readonly #clients: JsonClient[] = [];

  constructor(volume: BlockDevice, clock: Clock = systemClock) {
    this.volumes.set(1, volume);
    const listener = denoTransport.listen({ hostname: "127.0.0.1", port: 0 });
    this.port = listener.port;
    this.server = serveDevices({
      listener,
      volumes: {
        openById: (volumeId) => this.volumes.get(volumeId),
        tokenIdOf: (volumeId) => `token-of-${volumeId}`,
      },
      clock,
      buffers: new BufferPool(),
    });
  }

  async client(): Promise<JsonClient> {
    const client = await JsonClient.connect(denoTransport, { hostname: "127.0.0.1", port: this.port });
    this.#clients.push(client);
    return client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.close();
    await this.server.close();
  }
}
