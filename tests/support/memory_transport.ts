/**
 * Byte streams within the process: a `Transport` whose connections are pairs of pipes. Bytes arrive in order, in pieces as
 * they were written; nothing waits on the network, so a test decides what happens when. A listener may be closed with its
 * connections cut, as a process that dies does.
 *
 * @module
 */
import { type Address, addressText, type Connection, type Listener, type Transport } from "@/shared/transport.ts";

/** First port that is given to who listens on port 0. */
const FIRST_FREE_PORT = 40_000;

/** One direction of a connection. Writes are taken at once and whole. */
class Pipe {
  readonly #chunks: Uint8Array[] = [];
  #ended = false;
  #broken = false;
  #waiting: { into: Uint8Array; resolve(count: number | null): void; reject(error: Error): void } | undefined;

  write(bytes: Uint8Array): Promise<number> {
    if (this.#ended || this.#broken) return Promise.reject(new Error("broken pipe"));
    if (bytes.length > 0) this.#chunks.push(bytes.slice());
    this.#serve();
    return Promise.resolve(bytes.length);
  }

  read(into: Uint8Array): Promise<number | null> {
    if (this.#broken) return Promise.reject(new Error("connection reset"));
    const { promise, resolve, reject } = Promise.withResolvers<number | null>();
    this.#waiting = { into, resolve, reject };
    this.#serve();
    return promise;
  }

  /** No more is written. */
  end(): void {
    this.#ended = true;
    this.#serve();
  }

  /** The reader closed, or the connection was cut: what is underway is lost. */
  break(): void {
    this.#broken = true;
    this.#chunks.length = 0;
    this.#waiting?.reject(new Error("connection reset"));
    this.#waiting = undefined;
  }

  #serve(): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    const chunk = this.#chunks[0];
    if (chunk === undefined) {
      if (!this.#ended) return;
      this.#waiting = undefined;
      return waiting.resolve(null);
    }
    const count = Math.min(chunk.length, waiting.into.length);
    waiting.into.set(chunk.subarray(0, count));
    if (count === chunk.length) this.#chunks.shift();
    else this.#chunks[0] = chunk.subarray(count);
    this.#waiting = undefined;
    waiting.resolve(count);
  }
}

/** One end of a connection. */
function connectionOf(incoming: Pipe, outgoing: Pipe, peer: string): Connection {
  return {
    peer,
    read: (into) => incoming.read(into),
    write: (bytes) => outgoing.write(bytes),
    close() {
      outgoing.end();
      incoming.break();
    },
  };
}

interface ListenerState {
  readonly queue: Connection[];
  readonly connections: Set<{ readonly client: Connection; readonly server: Connection }>;
  wake: ((connection: Connection | null) => void) | undefined;
  closed: boolean;
}

/** A transport whose addresses exist only within it. */
export class MemoryTransport implements Transport {
  readonly #listeners = new Map<string, ListenerState>();
  #nextPort = FIRST_FREE_PORT;
  /** Connections that were opened so far. */
  connectCount = 0;

  async connect(address: Address): Promise<Connection> {
    await Promise.resolve();
    const state = this.#listeners.get(addressText(address));
    if (state === undefined || state.closed) throw new Error(`connection refused by ${addressText(address)}`);
    this.connectCount++;
    const [toServer, toClient] = [new Pipe(), new Pipe()];
    const client = connectionOf(toClient, toServer, addressText(address));
    const server = connectionOf(toServer, toClient, `client-${this.connectCount}`);
    state.connections.add({ client, server });
    if (state.wake) state.wake(server);
    else state.queue.push(server);
    state.wake = undefined;
    return client;
  }

  listen(address: Address): Listener {
    const bound = "path" in address || address.port !== 0 ? address : { ...address, port: this.#nextPort++ };
    const name = addressText(bound);
    const taken = this.#listeners.get(name);
    if (taken !== undefined && !taken.closed) throw new Error(`address ${name} is taken`);
    const state: ListenerState = { queue: [], connections: new Set(), wake: undefined, closed: false };
    this.#listeners.set(name, state);
    return {
      port: "path" in bound ? 0 : bound.port,
      accept() {
        const connection = state.queue.shift();
        if (connection !== undefined) return Promise.resolve(connection);
        if (state.closed) return Promise.resolve(null);
        return new Promise((resolve) => state.wake = resolve);
      },
      close() {
        state.closed = true;
        state.wake?.(null);
        state.wake = undefined;
      },
    };
  }

  /** Closes the listener and cuts all its connections at both ends, as when its process dies. */
  kill(address: Address): void {
    const state = this.#listeners.get(addressText(address));
    if (state === undefined) return;
    state.closed = true;
    state.wake?.(null);
    state.wake = undefined;
    for (const { client, server } of state.connections) {
      server.close();
      client.close();
    }
    state.connections.clear();
  }
}
