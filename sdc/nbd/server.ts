/**
 * The NBD server of an SDC: accepts clients on any number of listeners (TCP, unix socket) and serves the mapped volumes to
 * them. What a client breaks ends its own connection and nothing else.
 *
 * @module
 */
import { NbdConnection, type NbdConnectionStatus } from "@/sdc/nbd/connection.ts";
import type { NbdExports } from "@/sdc/nbd/exports.ts";
import { NBD_LIMITS, type NbdLimits } from "@/sdc/nbd/limits.ts";
import type { IoTotals } from "@/sdc/nbd/transmission.ts";
import type { BufferPool } from "@/shared/buffers.ts";
import type { Clock } from "@/shared/clock.ts";
import { acceptConnections } from "@/shared/net/accept_loop.ts";
import type { Connection, Listener } from "@/shared/transport.ts";

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
  const report = options.report ?? (() => {});
  const totals: IoTotals = { readCount: 0, writeCount: 0, readBytes: 0, writtenBytes: 0, errorCount: 0 };
  const running = new Map<NbdConnection, Promise<void>>();
  const closing = new AbortController();

  function start(connection: Connection): void {
    const { peer } = connection;
    if (closing.signal.aborted) return connection.close();
    if (running.size >= limits.connectionsMax) {
      connection.close();
      return report(`NBD client ${peer} is refused: ${limits.connectionsMax} connections are open`);
    }
    const client = new NbdConnection(connection, { ...options, limits, totals });
    const ended = client.run().then((reason) => {
      running.delete(client);
      report(`NBD client ${peer} ended: ${reason}`);
    });
    running.set(client, ended);
  }

  async function stop(clients: readonly NbdConnection[]): Promise<void> {
    await Promise.all(clients.map(async (client) => {
      await client.stop();
      await running.get(client);
    }));
  }

  const accepting = options.listeners.map((listener) =>
    acceptConnections(listener, {
      clock: options.clock,
      signal: closing.signal,
      onConnection: start,
      onError: (error) => report(`Cannot accept an NBD client: ${error instanceof Error ? error.message : error}`),
    })
  );
  async function close(): Promise<void> {
    closing.abort();
    for (const listener of options.listeners) listener.close();
    await stop([...running.keys()]);
    await Promise.all(accepting);
  }

  return {
    totals,
    connections: () => [...running.keys()].map((client) => client.status),
    disconnectExport: (name) => stop([...running.keys()].filter((client) => client.status.exportName === name)),
    close,
    [Symbol.asyncDispose]: close,
  };
}
