/**
 * The device port of an SDC: volumes by newline-delimited JSON, for scripts, `nc` and lessons. Applications use NBD.
 *
 * @module
 */
import { Clients } from "@/sdc/clients.ts";
import {
  DEVICE_LIMITS,
  DeviceConnection,
  type DeviceConnectionParts,
  type DeviceLimits,
} from "@/sdc/device_server/connection.ts";
import type { Listener } from "@/shared/transport.ts";

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
  const clients = new Clients({
    listeners: [options.listener],
    clock: options.clock,
    connectionsMax: limits.connectionsMax,
    noun: "Device client",
    report: options.report,
    made: (connection) => new DeviceConnection(connection, { ...options, limits }),
  });
  return {
    connectionCount: () => clients.all().length,
    close: () => clients.close(),
    [Symbol.asyncDispose]: () => clients.close(),
  };
}
