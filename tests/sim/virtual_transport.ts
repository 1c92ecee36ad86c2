/**
 * `Transport` over the virtual network: listeners, connections, and what becomes of them when a process dies, a host loses
 * power or a connection breaks.
 *
 * @module
 */
import { type Address, addressText, type Connection, type Listener, type Transport } from "@/shared/transport.ts";
import { Stream, type StreamEnd } from "@/tests/sim/stream.ts";
import type { Wire } from "@/tests/sim/wire.ts";

/** Tries of a connect whose packets do not get through, and the wait before the first repeat, which doubles. */
const CONNECT_TRIES_MAX = 5;
const CONNECT_RETRY_MS = 1_000;
/** Connections that wait to be accepted at one listener. */
const BACKLOG_MAX = 128;
const EPHEMERAL_PORT_FIRST = 50_000;

interface PendingAccept {
  resolve(connection: Connection | null): void;
}

class VirtualListener implements Listener {
  readonly port: number;
  readonly owner: StreamEnd;
  readonly #backlog: Connection[] = [];
  readonly #onClose: () => void;
  #acceptors: PendingAccept[] = [];
  #closed = false;

  constructor(port: number, options: { readonly owner: StreamEnd; onClose(): void }) {
    this.port = port;
    this.owner = options.owner;
    this.#onClose = () => options.onClose();
  }

  accept(): Promise<Connection | null> {
    if (this.#closed) return Promise.resolve(null);
    const waiting = this.#backlog.shift();
    if (waiting !== undefined) return Promise.resolve(waiting);
    return new Promise((resolve) => this.#acceptors.push({ resolve }));
  }

  /** False: too many wait. */
  offer(connection: Connection): boolean {
    if (this.#backlog.length >= BACKLOG_MAX) return false;
    this.#backlog.push(connection);
    this.owner.gate.pass(() => {
      const acceptor = this.#acceptors[0];
      const next = acceptor && this.#backlog.shift();
      if (next === undefined) return;
      this.#acceptors.shift();
      acceptor?.resolve(next);
    });
    return true;
  }

  close(): void {
    if (this.#closed || this.owner.gate.dead) return;
    this.#closed = true;
    this.#onClose();
    for (const connection of this.#backlog.splice(0)) connection.close();
    for (const acceptor of this.#acceptors.splice(0)) acceptor.resolve(null);
  }
}

/** Both streams of a connection. */
interface Pair {
  readonly client: StreamEnd;
  readonly server: StreamEnd;
  readonly toServer: Stream;
  readonly toClient: Stream;
  /** Ends that were not closed yet. */
  openEnds: number;
}

/** All listeners and connections of a run. */
export class VirtualSockets {
  readonly #wire: Wire;
  readonly #listeners = new Map<string, VirtualListener>();
  readonly #pairs = new Set<Pair>();
  #connectionCount = 0;
  #portCount = 0;

  constructor(wire: Wire) {
    this.#wire = wire;
  }

  /** The transport of the process behind `end`. */
  transportOf(end: StreamEnd): Transport {
    return {
      connect: (address) => this.#connect(end, address),
      listen: (address) => this.#listen(end, address),
    };
  }

  /** Connections between two hosts, either way, break: what is in transit on them is lost. */
  resetBetween(a: string, b: string): void {
    for (const pair of [...this.#pairs]) {
      const hosts = [pair.client.host, pair.server.host];
      if (hosts.includes(a) && hosts.includes(b)) this.#reset(pair, "the connection was reset");
    }
  }

  /** What is sent on the present connections from one host to another arrives only after `forMs`; new ones are well. */
  stallFrom(from: string, to: string, forMs: number): void {
    const untilMs = this.#wire.time.nowMs + forMs;
    for (const { client, server, toServer, toClient } of this.#pairs) {
      if (client.host === from && server.host === to) toServer.stall(untilMs);
      if (server.host === from && client.host === to) toClient.stall(untilMs);
    }
  }

  /** The process behind `end` died. Its host's kernel tells the peers, unless the host is down too. */
  processDied(end: StreamEnd): void {
    const hostDown = this.#wire.isDown(end.host);
    for (const [name, listener] of [...this.#listeners]) {
      if (listener.owner.gate === end.gate) this.#listeners.delete(name);
    }
    for (const pair of [...this.#pairs]) {
      const isClient = pair.client.gate === end.gate;
      if (!isClient && pair.server.gate !== end.gate) continue;
      const outgoing = isClient ? pair.toServer : pair.toClient;
      const incoming = isClient ? pair.toClient : pair.toServer;
      incoming.abandon("the process died");
      if (hostDown) outgoing.fallSilent();
      else if (this.#wire.random.chance(0.5)) outgoing.end();
      else this.#reset(pair, "the peer reset the connection");
    }
  }

  #listen(owner: StreamEnd, address: Address): Listener {
    const wanted = "path" in address ? undefined : address.port;
    const port = wanted === 0 ? EPHEMERAL_PORT_FIRST + this.#portCount++ : wanted ?? 0;
    const name = "path" in address ? `${owner.host}${address.path}` : `${owner.host}:${port}`;
    if (owner.gate.dead) throw new Error("A dead process listens to nothing");
    if (this.#listeners.has(name)) throw new Error(`Cannot listen on ${addressText(address)}: the address is in use`);
    const listener = new VirtualListener(port, { owner, onClose: () => this.#listeners.delete(name) });
    this.#listeners.set(name, listener);
    return listener;
  }

  async #connect(client: StreamEnd, address: Address): Promise<Connection> {
    const host = "path" in address ? client.host : address.hostname;
    const name = "path" in address ? `${host}${address.path}` : addressText(address);
    for (let tryCount = 0; tryCount < CONNECT_TRIES_MAX; tryCount++) {
      const outcome = await client.gate.later(this.#wire.delayMs() * 2, () => this.#tryConnect(client, { host, name }));
      if (outcome !== undefined) return outcome;
      await client.gate.later(CONNECT_RETRY_MS * 2 ** tryCount, () => {});
    }
    throw new Error(`Cannot connect to ${name}: no answer`);
  }

  /** Undefined: nobody answers. */
  #tryConnect(client: StreamEnd, target: { readonly host: string; readonly name: string }): Connection | undefined {
    const wire = this.#wire;
    const reached = !wire.isCut(client.host, target.host) && !wire.isCut(target.host, client.host);
    if (!reached || wire.isDown(target.host)) return undefined;
    const listener = this.#listeners.get(target.name);
    if (listener === undefined) throw new Error(`Cannot connect to ${target.name}: connection refused`);
    const pair = this.#pair(client, listener.owner);
    if (!listener.offer(this.#end(pair, "server"))) {
      this.#pairs.delete(pair);
      throw new Error(`Cannot connect to ${target.name}: connection refused`);
    }
    return this.#end(pair, "client");
  }

  #pair(client: StreamEnd, server: StreamEnd): Pair {
    const name = `c${++this.#connectionCount}`;
    const wire = this.#wire;
    const onRefused = () => this.#reset(pair, "the peer reset the connection");
    const pair: Pair = {
      client,
      server,
      toServer: new Stream({
        wire,
        from: client,
        to: server,
        name: `${name} ${client.host}>${server.host}`,
        onRefused,
      }),
      toClient: new Stream({
        wire,
        from: server,
        to: client,
        name: `${name} ${server.host}>${client.host}`,
        onRefused,
      }),
      openEnds: 2,
    };
    this.#pairs.add(pair);
    return pair;
  }

  #end(pair: Pair, side: "client" | "server"): Connection {
    const outgoing = side === "client" ? pair.toServer : pair.toClient;
    const incoming = side === "client" ? pair.toClient : pair.toServer;
    const own = side === "client" ? pair.client : pair.server;
    let closed = false;
    const onClosed = () => {
      if (--pair.openEnds === 0) this.#pairs.delete(pair);
    };
    return {
      peer: (side === "client" ? pair.server : pair.client).host,
      read: (into) => incoming.read(into),
      write: (bytes) => outgoing.write(bytes),
      close() {
        if (closed || own.gate.dead) return;
        closed = true;
        incoming.abandon("the connection was closed");
        outgoing.end();
        onClosed();
      },
    };
  }

  #reset(pair: Pair, reason: string): void {
    if (!this.#pairs.delete(pair)) return;
    pair.toServer.reset(reason);
    pair.toClient.reset(reason);
  }
}
