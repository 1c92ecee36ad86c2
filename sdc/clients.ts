/**
 * The clients of one front end: accepted from its listeners up to a limit, and ended together.
 *
 * @module
 */
import type { Clock } from "@/shared/clock.ts";
import { acceptConnections } from "@/shared/net/accept_loop.ts";
import type { Connection, Listener } from "@/shared/transport.ts";

/** One connection as its front end serves it. */
export interface Client {
  /** Serves to the end; gives why it ended. Never rejects. */
  run(): Promise<string>;
  /** Asks it to end after what it is carrying out. */
  stop(): void | Promise<void>;
}

/** What the set works with. It owns the listeners. */
export interface ClientsOptions<Kind extends Client> {
  readonly listeners: readonly Listener[];
  readonly clock: Clock;
  readonly connectionsMax: number;
  /** What a client is called in reports, such as `NBD client`. */
  readonly noun: string;
  /** Gets a sentence whenever a connection ended or could not be accepted. */
  readonly report: ((message: string) => void) | undefined;
  made(connection: Connection): Kind;
}

/** See the module comment. Accepts from the moment it is made. */
export class Clients<Kind extends Client> {
  readonly #options: ClientsOptions<Kind>;
  readonly #running = new Map<Kind, Promise<void>>();
  readonly #closing = new AbortController();
  readonly #accepting: readonly Promise<void>[];

  constructor(options: ClientsOptions<Kind>) {
    this.#options = options;
    this.#accepting = options.listeners.map((listener) =>
      acceptConnections(listener, {
        clock: options.clock,
        signal: this.#closing.signal,
        onConnection: (connection) => this.#start(connection),
        onError: (error) =>
          options.report?.(`${options.noun} cannot be accepted: ${error instanceof Error ? error.message : error}`),
      })
    );
  }

  /** Who is connected. */
  all(): Kind[] {
    return [...this.#running.keys()];
  }

  /** Ends `clients`; resolves when they have ended. */
  async stop(clients: readonly Kind[]): Promise<void> {
    await Promise.all(clients.map(async (client) => {
      await client.stop();
      await this.#running.get(client);
    }));
  }

  /** Stops listening and ends everybody. */
  async close(): Promise<void> {
    this.#closing.abort();
    for (const listener of this.#options.listeners) listener.close();
    await this.stop(this.all());
    await Promise.all(this.#accepting);
  }

  #start(connection: Connection): void {
    const { connectionsMax, noun, report, made } = this.#options;
    const { peer } = connection;
    if (this.#closing.signal.aborted) return connection.close();
    if (this.#running.size >= connectionsMax) {
      connection.close();
      return report?.(`${noun} ${peer} is refused: ${connectionsMax} connections are open`);
    }
    const client = made(connection);
    const ended = client.run().then((reason) => {
      this.#running.delete(client);
      report?.(`${noun} ${peer} ended: ${reason}`);
    });
    this.#running.set(client, ended);
  }
}
