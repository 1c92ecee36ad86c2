/**
 * The device port of an SDC: volumes by newline-delimited JSON, for scripts, `nc` and lessons. Applications use NBD.
 *
 * @module
 */
import {
  DEVICE_LIMITS,
  DeviceConnection,
  type DeviceConnectionParts,
  type DeviceLimits,
} from "@/sdc/device_server/connection.ts";
import { acceptConnections } from "@/shared/net/accept_loop.ts";
import type { Connection, Listener } from "@/shared/transport.ts";

export type { DeviceVolumes } from "@/sdc/device_server/session.ts";
export { DEVICE_LIMITS, type DeviceLimits };

/** What a server is built from. It owns the listener. */
export interface DeviceServerOptions extends Omit<DeviceConnectionParts, "limits"> {
  readonly listener: Listener;
  /** What differs from {@linkcode DEVICE_LIMITS}. */
  readonly limits?: Partial<DeviceLimits>;
  /** Gets a sentence whenever a connection ended or could not be accepted. */
  readonly report?: (message: string) => void;
}

/** A running server. */
export interface DeviceServer extends AsyncDisposable {
  connectionCount(): number;
  /** Stops listening and ends every connection after the message that it is carrying out. */
  close(): Promise<void>;
}

/** Starts serving. */
export function serveDevices(options: DeviceServerOptions): DeviceServer {
  const limits: DeviceLimits = { ...DEVICE_LIMITS, ...options.limits };
  const report = options.report ?? (() => {});
  const running = new Map<DeviceConnection, Promise<void>>();
  const closing = new AbortController();

  function start(connection: Connection): void {
    const { peer } = connection;
    if (closing.signal.aborted) return connection.close();
    if (running.size >= limits.connectionsMax) {
      connection.close();
      return report(`Device client ${peer} is refused: ${limits.connectionsMax} connections are open`);
    }
    const client = new DeviceConnection(connection, { ...options, limits });
    const ended = client.run().then((reason) => {
      running.delete(client);
      report(`Device client ${peer} ended: ${reason}`);
    });
    running.set(client, ended);
  }

  const accepting = acceptConnections(options.listener, {
    clock: options.clock,
    signal: closing.signal,
    onConnection: start,
    onError: (error) => report(`Cannot accept a device client: ${error instanceof Error ? error.message : error}`),
  });
  async function close(): Promise<void> {
    closing.abort();
    options.listener.close();
    for (const client of running.keys()) client.stop();
    await Promise.all(running.values());
    await accepting;
  }

  return { connectionCount: () => running.size, close, [Symbol.asyncDispose]: close };
}
