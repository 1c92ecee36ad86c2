/**
 * The NBD server of an SDC: accepts clients on any number of listeners (TCP, unix socket) and serves the mapped volumes to
 * them. What a client breaks ends its own connection and nothing else.
 *
 * @module
 */
import { Clients } from "@/sdc/clients.ts";
import { NbdConnection, type NbdConnectionStatus } from "@/sdc/nbd/connection.ts";
import type { NbdExports } from "@/sdc/nbd/exports.ts";
import { NBD_LIMITS, type NbdLimits } from "@/sdc/nbd/limits.ts";
import type { IoTotals } from "@/sdc/nbd/transmission.ts";
import type { BufferPool } from "@/shared/buffers.ts";
import type { Clock } from "@/shared/clock.ts";
import type { Listener } from "@/shared/transport.ts";

export type { IoTotals, NbdConnectionStatus, NbdExports };

/** What a server is built from. It owns the listeners. */
export interface NbdServerOptions {
  readonly listeners: readonly Listener[];
  readonly exports: NbdExports;
  readonly clock: Clock;
  readonly buffers: BufferPool;
  /** What differs from {@linkcode NBD_LIMITS}. */
  readonly limits?: Partial<NbdLimits>;
  /** Gets a sentence whenever a connection ended or could not be accepted. */
  readonly report?: (message: string) => void;
}

/** A running server. */
export interface NbdServer extends AsyncDisposable {
  /** What clients did since the server started. */
  readonly totals: Readonly<IoTotals>;
  connections(): readonly NbdConnectionStatus[];
  /** Ends the connections to export `name`, after what is in flight is finished and answered: the volume is unmapped. */
  disconnectExport(name: string): Promise<void>;
  /** Stops listening and ends every connection likewise. */
  close(): Promise<void>;
}

/** Starts serving. */
export function serveNbd(options: NbdServerOptions): NbdServer {
  const limits: NbdLimits = { ...NBD_LIMITS, ...options.limits };
  const totals: IoTotals = { readCount: 0, writeCount: 0, readBytes: 0, writtenBytes: 0, errorCount: 0 };
  const clients = new Clients({
    listeners: options.listeners,
    clock: options.clock,
    connectionsMax: limits.connectionsMax,
    noun: "NBD client",
    report: options.report,
    made: (connection) => new NbdConnection(connection, { ...options, limits, totals }),
  });
  return {
    totals,
    connections: () => clients.all().map((client) => client.status),
    disconnectExport: (name) => clients.stop(clients.all().filter((client) => client.status.exportName === name)),
    close: () => clients.close(),
    [Symbol.asyncDispose]: () => clients.close(),
  };
}
