/**
 * A simulated host with one process on it. The host's clock, disks and databases outlive the process; its ports do not:
 * after a crash nothing of the old incarnation runs again, since everything that could wake it passes its dead gate.
 *
 * @module
 */
import type { Clock } from "@/shared/clock.ts";
import { assert } from "@/shared/errors.ts";
import type { HttpSend } from "@/shared/http_client.ts";
import type { Random } from "@/shared/random.ts";
import type { Transport } from "@/shared/transport.ts";
import { Gate } from "@/tests/sim/gate.ts";
import type { SeededRandom } from "@/tests/sim/seeded_random.ts";
import { HostClock } from "@/tests/sim/virtual_clock.ts";
import { type HttpHandler, VirtualHttp } from "@/tests/sim/virtual_http.ts";
import type { VirtualTime } from "@/tests/sim/virtual_time.ts";
import { VirtualSockets } from "@/tests/sim/virtual_transport.ts";
import { Wire, type WireOptions } from "@/tests/sim/wire.ts";

/** Wall clocks start around here (2026-01-01), each up to an hour off. */
const WALL_START_MS = Date.UTC(2026, 0, 1);
const WALL_ERROR_MS_MAX = 3_600_000;
/** Error of clock rates, either way. */
const RATE_ERROR_MAX = 0.0099;

/** The world that processes share. */
export class World {
  readonly time: VirtualTime;
  readonly wire: Wire;
  readonly sockets: VirtualSockets;
  readonly http: VirtualHttp;

  constructor(options: WireOptions) {
    this.time = options.time;
    this.wire = new Wire(options);
    this.sockets = new VirtualSockets(this.wire);
    this.http = new VirtualHttp(this.wire);
  }
}

/** Everything through which one incarnation of a process acts. */
export interface ProcessPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly transport: Transport;
  readonly http: HttpSend;
  /** Serves HTTP on `port` of this host until the answer is called. */
  serveHttp(port: number, handler: HttpHandler): () => void;
  /** For disks and other ports that the caller makes for this incarnation. */
  readonly gate: Gate;
  /** 1 for the first start. */
  readonly startCount: number;
}

/** One host and its process. */
export class SimProcess {
  /** Host name and name of the process. */
  readonly name: string;
  readonly hostClock: HostClock;
  readonly #world: World;
  readonly #random: SeededRandom;
  #gate: Gate | undefined;
  #startCount = 0;

  constructor(name: string, options: { readonly world: World; readonly random: SeededRandom }) {
    this.name = name;
    this.#world = options.world;
    this.#random = options.random.fork(name);
    this.hostClock = new HostClock({
      time: options.world.time,
      rate: 1 + this.#random.between(-RATE_ERROR_MAX, RATE_ERROR_MAX),
      wallStartMs: WALL_START_MS + this.#random.between(-WALL_ERROR_MS_MAX, WALL_ERROR_MS_MAX),
    });
  }

  get running(): boolean {
    return this.#gate !== undefined && !this.#gate.dead;
  }

  get startCount(): number {
    return this.#startCount;
  }

  get paused(): boolean {
    return this.#gate?.paused ?? false;
  }

  /** Ports for a new incarnation; the last one is dead. */
  start(): ProcessPorts {
    assert(!this.running, `${this.name} runs once at a time`);
    const world = this.#world;
    const gate = new Gate(world.time);
    const end = { host: this.name, gate };
    const clock = this.hostClock.forProcess(gate);
    this.#gate = gate;
    this.#startCount++;
    world.wire.setDown(this.name, false);
    world.wire.log.note(`${this.name} starts (${this.#startCount})`);
    return {
      clock,
      gate,
      random: this.#random.fork(`start-${this.#startCount}`),
      transport: world.sockets.transportOf(end),
      http: world.http.senderOf(end, clock),
      serveHttp: (port, handler) => world.http.serve(end, { port, handler }),
      startCount: this.#startCount,
    };
  }

  /** SIGKILL, or the host loses power: then its peers hear nothing, and it stays away until the next start. */
  crash(options: { readonly hostDown?: boolean } = {}): void {
    const gate = this.#gate;
    if (gate === undefined || gate.dead) return;
    const world = this.#world;
    world.wire.log.note(`${this.name} ${options.hostDown ? "loses power" : "is killed"}`);
    if (options.hostDown) world.wire.setDown(this.name, true);
    gate.kill();
    world.sockets.processDied({ host: this.name, gate });
    world.http.processDied({ host: this.name, gate });
  }

  /** SIGSTOP: the kernel goes on receiving, the process does nothing. */
  pause(): void {
    if (!this.running) return;
    this.#world.wire.log.note(`${this.name} is stopped`);
    this.#gate?.pause();
  }

  /** SIGCONT. */
  resume(): void {
    if (!this.paused) return;
    this.#world.wire.log.note(`${this.name} goes on`);
    this.#gate?.resume();
  }
}
