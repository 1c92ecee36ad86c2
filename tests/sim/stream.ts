/**
 * One ordered byte stream of the virtual network, in one direction. A connection is a pair of them.
 *
 *   write ──► in transit (delay, held while the path is cut) ──► arrived (the receiving kernel's buffer) ──► read
 *
 * The order is kept, the cutting is not: a write may be taken in part, and what arrives together may be read in pieces.
 * Bytes are copied when a write settles and not when it begins, so that a sender which touches a lent buffer too early
 * corrupts its own stream here as it would over a real socket.
 *
 * @module
 */
import { crc32 } from "node:zlib";
import type { Gate } from "@/tests/sim/gate.ts";
import type { Wire } from "@/tests/sim/wire.ts";

/** Bytes that wait between two processes before a write waits too. */
export const SOCKET_BUFFER_BYTES = 1024 * 1024;
/** A write in so many is taken in part, a read in so many gives less than there is. */
const PARTIAL_CHANCE = 0.03;
/** Time that a write takes, in ms, at most. */
const WRITE_MS_MAX = 0.02;

/** One end of a stream: a host and the process on it. */
export interface StreamEnd {
  readonly host: string;
  readonly gate: Gate;
}

/** The two ends and the name of a stream. */
export interface StreamOptions {
  readonly wire: Wire;
  readonly from: StreamEnd;
  readonly to: StreamEnd;
  readonly name: string;
  /** Bytes arrived at a process that is gone, on a host that is up: it answers with a reset. */
  onRefused(): void;
}

interface PendingRead {
  readonly into: Uint8Array;
  resolve(count: number | null): void;
  reject(error: unknown): void;
}

interface PendingWrite {
  readonly bytes: Uint8Array;
  resolve(count: number): void;
  reject(error: unknown): void;
}

/** Bytes, or the end of the stream. */
type Packet = { readonly atMs: number; readonly bytes: Uint8Array | null };

/** One direction. */
export class Stream {
  readonly #options: StreamOptions;
  readonly #transit: Packet[] = [];
  readonly #arrived: Uint8Array[] = [];
  #unreadBytes = 0;
  #ended = false;
  #readError: string | undefined;
  #writeError: string | undefined;
  /** The receiving end was closed, or its process died. */
  #receiverGone = false;
  #reader: PendingRead | undefined;
  readonly #writers: PendingWrite[] = [];
  #pumping = false;
  #stalledUntilMs = 0;

  constructor(options: StreamOptions) {
    this.#options = options;
  }

  /** Takes a prefix of `bytes`; settles through the sender's gate. */
  write(bytes: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      const { wire, from } = this.#options;
      wire.time.after(
        wire.random.between(0, WRITE_MS_MAX),
        () => from.gate.pass(() => this.#take({ bytes, resolve, reject })),
      );
    });
  }

  read(into: Uint8Array): Promise<number | null> {
    return new Promise((resolve, reject) => {
      if (this.#reader !== undefined) return reject(new Error("Cannot read twice at a time from one connection"));
      this.#reader = { into, resolve, reject };
      this.#serveReader();
    });
  }

  /** The sender closes: the end arrives after everything that was sent. */
  end(): void {
    this.#failWriters("the connection was closed");
    this.#send(null);
  }

  /** The receiver closes, or its process died: reads fail, and what arrives is refused. */
  abandon(reason: string): void {
    this.#receiverGone = true;
    this.#arrived.length = 0;
    this.#failReader(reason);
  }

  /** The connection breaks: what is in transit is lost, both ends fail. */
  reset(reason: string): void {
    this.#transit.length = 0;
    this.#options.wire.time.after(0, () => this.#options.to.gate.pass(() => this.#failReader(reason)));
    this.#failWriters(reason);
  }

  /** The sender's host lost power: nothing more comes, and no end either. */
  fallSilent(): void {
    this.#transit.length = 0;
    this.#writeError = "the host is down";
  }

  /** A path of the network loses what is on it for a while; TCP sends it again after that. */
  stall(untilMs: number): void {
    this.#stalledUntilMs = untilMs;
  }

  #take(write: PendingWrite): void {
    if (this.#writeError !== undefined) return write.reject(new Error(`Cannot write: ${this.#writeError}`));
    const freeBytes = SOCKET_BUFFER_BYTES - this.#unreadBytes;
    if (freeBytes <= 0) {
      this.#writers.push(write);
      return;
    }
    const { random } = this.#options.wire;
    let count = Math.min(write.bytes.length, freeBytes);
    if (count > 1 && random.chance(PARTIAL_CHANCE)) count = random.integer(1, count - 1);
    this.#unreadBytes += count;
    this.#send(write.bytes.slice(0, count));
    write.resolve(count);
  }

  #send(bytes: Uint8Array | null): void {
    const { wire } = this.#options;
    const lastMs = this.#transit.at(-1)?.atMs ?? 0;
    this.#transit.push({ atMs: Math.max(lastMs, wire.time.nowMs + wire.delayMs()), bytes });
    if (!this.#pumping) this.#pump();
  }

  /** One timer per stream, for the packet at its head. */
  #pump(): void {
    const head = this.#transit[0];
    this.#pumping = head !== undefined;
    if (head === undefined) return;
    const { wire } = this.#options;
    wire.time.after(Math.max(0, head.atMs - wire.time.nowMs), () => this.#arrive());
  }

  #arrive(): void {
    const { wire, from, to, name } = this.#options;
    const stalledMs = this.#stalledUntilMs - wire.time.nowMs;
    if (stalledMs > 0) return void wire.time.after(stalledMs, () => this.#arrive());
    if (wire.isCut(from.host, to.host)) return wire.whenHealed(from.host, to.host, () => this.#arrive());
    const head = this.#transit.shift();
    if (head !== undefined && !wire.isDown(to.host)) {
      if (this.#receiverGone) {
        if (head.bytes !== null) this.#options.onRefused();
      } else if (head.bytes === null) this.#ended = true;
      else {
        wire.log.trace(`${name} ${head.bytes.length} bytes ${crc32(head.bytes)}`);
        this.#arrived.push(head.bytes);
      }
      to.gate.pass(() => this.#serveReader());
    }
    this.#pump();
  }

  #serveReader(): void {
    const reader = this.#reader;
    if (reader === undefined) return;
    if (this.#readError !== undefined) return this.#failReader(this.#readError);
    if (this.#arrived.length === 0) {
      if (!this.#ended) return;
      this.#reader = undefined;
      return reader.resolve(null);
    }
    this.#reader = undefined;
    reader.resolve(this.#fill(reader.into));
    this.#wakeWriters();
  }

  #fill(into: Uint8Array): number {
    const { random } = this.#options.wire;
    const limit = random.chance(PARTIAL_CHANCE) ? random.integer(1, into.length) : into.length;
    let count = 0;
    while (count < limit && this.#arrived.length > 0) {
      const first = this.#arrived[0]!;
      const part = first.subarray(0, limit - count);
      into.set(part, count);
      count += part.length;
      if (part.length === first.length) this.#arrived.shift();
      else this.#arrived[0] = first.subarray(part.length);
    }
    this.#unreadBytes -= count;
    return count;
  }

  #wakeWriters(): void {
    const { wire, from } = this.#options;
    for (const write of this.#writers.splice(0)) wire.time.after(0, () => from.gate.pass(() => this.#take(write)));
  }

  #failReader(reason: string): void {
    this.#readError = reason;
    this.#arrived.length = 0;
    const reader = this.#reader;
    this.#reader = undefined;
    if (!this.#options.to.gate.dead) reader?.reject(new Error(`Cannot read: ${reason}`));
  }

  #failWriters(reason: string): void {
    const { wire, from } = this.#options;
    this.#writeError ??= reason;
    for (const write of this.#writers.splice(0)) wire.time.after(0, () => from.gate.pass(() => this.#take(write)));
  }
}
