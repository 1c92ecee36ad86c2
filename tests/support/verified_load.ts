/**
 * A load on a volume that knows what every byte must be. It writes, zeroes and reads ranges of any size and place, many at a
 * time over several connections, and compares each read with a mirror in memory. Ranges in flight never overlap, so the mirror is
 * exact: an older byte anywhere is found by the next read there.
 *
 * When a connection ends, its requests are sent again on a new one, as an application that trusts its disk does, until `stop()`.
 * What is unanswered then is doubtful: each block of it may hold what was there or what was sent, until `verify()` has looked.
 *
 * @module
 */
import { sleep, systemClock } from "@/shared/clock.ts";
import { ConnectionLost, NBD, NBD_FLAG, type NbdAnswer, NbdPipe } from "@/tests/support/nbd_pipe.ts";
import type { NbdClient, RequestFields } from "@/tests/support/nbd_client.ts";

export interface VerifiedLoadOptions {
  /** Opens a connection to the volume; may be called again whenever one ended. */
  readonly open: () => Promise<NbdClient>;
  /** The part of the volume that belongs to this load, all zeros at the beginning. */
  readonly offsetBytes?: number;
  readonly sizeBytes: number;
  readonly seed: number;
  readonly connections?: number;
  /** Requests in flight on each connection. */
  readonly depth?: number;
}

/** What a load did so far. */
export interface LoadFigures {
  readonly operations: number;
  readonly writes: number;
  /** Longest time from the first sending of a request to its answer. */
  readonly longestMs: number;
  /** Requests sent again because a connection ended. */
  readonly repeats: number;
}

interface Range {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}
interface Doubtful extends Range {
  readonly after: Uint8Array;
}

const BLOCK_BYTES = 4096;
const UNALIGNED_BYTES_MAX = 256 * 1024;
const REOPEN_MS = 100;
/** Random bytes from which payloads are cut. */
const NOISE_BYTES = 1 << 20;
const VERIFY_PIECE_BYTES = 1 << 20;

/** See the module comment. */
export class VerifiedLoad {
  readonly #options: Required<VerifiedLoadOptions>;
  readonly #mirror: Uint8Array;
  readonly #noise: Uint8Array;
  #state: number;
  readonly #inFlight = new Set<Range>();
  #doubtful: Doubtful[] = [];
  #stopping = new AbortController();
  #workers: Promise<void>[] = [];
  #lines: Line[] = [];
  #operations = 0;
  #writes = 0;
  #longestMs = 0;
  #lapMs = 0;
  #repeats = 0;
  #failure: Error | undefined;

  constructor(options: VerifiedLoadOptions) {
    this.#options = { offsetBytes: 0, connections: 2, depth: 16, ...options };
    this.#state = options.seed >>> 0 || 1;
    this.#mirror = new Uint8Array(options.sizeBytes);
    this.#noise = Uint8Array.from({ length: NOISE_BYTES }, () => 1 + this.#below(255));
  }

  get figures(): LoadFigures {
    const { longestMs } = this;
    return { operations: this.#operations, writes: this.#writes, longestMs, repeats: this.#repeats };
  }

  get longestMs(): number {
    return Math.round(this.#longestMs);
  }

  /** Longest time of the requests answered since the last call, in ms. */
  takeLongestMs(): number {
    const taken = Math.round(this.#lapMs);
    this.#lapMs = 0;
    return taken;
  }

  /** Starts writing and reading. */
  start(): void {
    this.#stopping = new AbortController();
    this.#lines = Array.from({ length: this.#options.connections }, () => new Line(this.#options.open));
    this.#workers = this.#lines.flatMap((line) => Array.from({ length: this.#options.depth }, () => this.#work(line)));
  }

  /** Resolves after `durationMs`, or rejects as soon as a read was wrong or a request failed. */
  async runFor(durationMs: number): Promise<void> {
    const untilMs = systemClock.monotonicMs() + durationMs;
    while (systemClock.monotonicMs() < untilMs) {
      await sleep(systemClock, 20);
      if (this.#failure) throw this.#failure;
    }
  }

  /** Ends the load once all requests in flight are answered. @throws what a worker met. */
  async finish(): Promise<void> {
    await this.#end();
  }

  /** Ends the load at once: what is unanswered is doubtful. @throws what a worker met. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    for (const line of this.#lines) await line.close();
    await this.#end();
  }

  /** A flush on a connection of its own. @throws {Error} when it fails. */
  async flush(): Promise<void> {
    const pipe = new NbdPipe(await this.#options.open());
    const { errno } = await pipe.request({ type: NBD.flush });
    await pipe.close();
    if (errno !== 0) throw new Error(`The flush failed with error ${errno}`);
  }

  /** Reads the whole part and compares it with the mirror. Not while the load runs. @throws {Error} that names a wrong byte. */
  async verify(): Promise<void> {
    const pipe = new NbdPipe(await this.#options.open());
    try {
      for (let start = 0; start < this.#mirror.length; start += VERIFY_PIECE_BYTES) {
        const lengthBytes = Math.min(VERIFY_PIECE_BYTES, this.#mirror.length - start);
        const offsetBytes = this.#options.offsetBytes + start;
        const { errno, data } = await pipe.request({ type: NBD.read, offsetBytes, lengthBytes });
        if (errno !== 0) throw new Error(`Reading ${lengthBytes} bytes at ${offsetBytes} failed with error ${errno}`);
        this.#settle(start, data);
        this.#compare({ offsetBytes: start, lengthBytes }, data);
      }
    } finally {
      await pipe.close();
    }
    this.#doubtful = [];
  }

  async #end(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#workers);
    for (const line of this.#lines) await line.close();
    this.#workers = [];
    this.#lines = [];
    if (this.#failure) throw this.#failure;
  }

  async #work(line: Line): Promise<void> {
    try {
      while (!this.#stopping.signal.aborted && !this.#failure) await this.#one(line);
    } catch (error) {
      this.#failure ??= error instanceof Error ? error : new Error(String(error));
    }
  }

  async #one(line: Line): Promise<void> {
    const range = this.#freeRange();
    this.#inFlight.add(range);
    const kind = this.#below(100);
    try {
      if (kind < 35) await this.#read(line, range);
      else if (kind < 90) await this.#write(line, range);
      else if (kind < 98) await this.#zero(line, range);
      else await this.#send(line, { type: NBD.flush });
    } finally {
      this.#inFlight.delete(range);
    }
    this.#operations++;
  }

  async #read(line: Line, range: Range): Promise<void> {
    const answer = await this.#send(line, { type: NBD.read, ...this.#onVolume(range) });
    if (answer) this.#compare(range, answer.data);
  }

  async #write(line: Line, range: Range): Promise<void> {
    const at = this.#below(NOISE_BYTES - range.lengthBytes);
    await this.#change(line, { range, after: this.#noise.subarray(at, at + range.lengthBytes), type: NBD.write });
  }

  async #zero(line: Line, range: Range): Promise<void> {
    await this.#change(line, { range, after: new Uint8Array(range.lengthBytes), type: NBD.writeZeroes });
  }

  async #change(line: Line, change: { range: Range; after: Uint8Array; type: number }): Promise<void> {
    const { range, after, type } = change;
    const flags = (this.#below(20) === 0 ? NBD_FLAG.fua : 0) |
      (type === NBD.writeZeroes && this.#below(2) === 0 ? NBD_FLAG.noHole : 0);
    const payload = type === NBD.write ? after : undefined;
    const answer = await this.#send(line, { type, flags, ...this.#onVolume(range) }, payload);
    if (answer) {
      this.#mirror.set(after, range.offsetBytes);
      this.#writes++;
    } else this.#doubtful.push({ ...range, after });
  }

  /** Sends until it is answered; undefined when the load was stopped before. @throws {Error} on an error of the volume. */
  async #send(line: Line, fields: RequestFields, payload?: Uint8Array): Promise<NbdAnswer | undefined> {
    const startedMs = systemClock.monotonicMs();
    while (true) {
      const pipe = await line.pipe(this.#stopping.signal);
      if (!pipe) return undefined;
      try {
        const answer = await pipe.request(fields, payload);
        const tookMs = systemClock.monotonicMs() - startedMs;
        this.#longestMs = Math.max(this.#longestMs, tookMs);
        this.#lapMs = Math.max(this.#lapMs, tookMs);
        if (answer.errno === 0) return answer;
        const { type, offsetBytes = 0, lengthBytes = 0 } = fields;
        throw new Error(`Request ${type} of ${lengthBytes} bytes at ${offsetBytes} failed with error ${answer.errno}`);
      } catch (error) {
        if (!(error instanceof ConnectionLost)) throw error;
        this.#repeats++;
      }
    }
  }

  #onVolume({ offsetBytes, lengthBytes }: Range): Range {
    return { offsetBytes: this.#options.offsetBytes + offsetBytes, lengthBytes };
  }

  /** A range that nothing in flight and nothing doubtful touches. */
  #freeRange(): Range {
    while (true) {
      const range = this.#anyRange();
      if (![...this.#inFlight, ...this.#doubtful].some((other) => overlap(range, other))) return range;
    }
  }

  #anyRange(): Range {
    const sizeBytes = this.#mirror.length;
    if (this.#below(10) < 7) {
      return { offsetBytes: this.#below(sizeBytes / BLOCK_BYTES) * BLOCK_BYTES, lengthBytes: BLOCK_BYTES };
    }
    const lengthBytes = 1 + this.#below(this.#below(4) === 0 ? UNALIGNED_BYTES_MAX : 4 * BLOCK_BYTES);
    return { offsetBytes: this.#below(sizeBytes - lengthBytes), lengthBytes };
  }

  #compare(range: Range, data: Uint8Array): void {
    const expected = this.#mirror.subarray(range.offsetBytes, range.offsetBytes + range.lengthBytes);
    if (Buffer.compare(expected, data) === 0) return;
    const wrong = data.findIndex((byte, index) => byte !== expected[index]);
    const count = data.reduce((sum, byte, index) => sum + (byte === expected[index] ? 0 : 1), 0);
    const at = this.#options.offsetBytes + range.offsetBytes + wrong;
    throw new Error(
      `Byte ${at} is ${data[wrong]} instead of ${expected[wrong]}, ${count} of ${range.lengthBytes} are wrong` +
        ` (read at ${this.#options.offsetBytes + range.offsetBytes}, ${this.#operations} operations before)`,
    );
  }

  /** Takes over what the blocks of doubtful writes turned out to hold, if it is one of the two that are allowed. */
  #settle(start: number, data: Uint8Array): void {
    for (const doubtful of this.#doubtful) {
      for (const piece of blocksOf(doubtful, { start, end: start + data.length })) {
        const found = data.subarray(piece.offsetBytes - start, piece.offsetBytes - start + piece.lengthBytes);
        const from = piece.offsetBytes - doubtful.offsetBytes;
        const after = doubtful.after.subarray(from, from + piece.lengthBytes);
        if (Buffer.compare(found, after) === 0) this.#mirror.set(after, piece.offsetBytes);
      }
    }
  }

  /** A number from 0 to below `limit` (xorshift32). */
  #below(limit: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % Math.max(1, Math.floor(limit));
  }
}

function overlap(a: Range, b: Range): boolean {
  return a.offsetBytes < b.offsetBytes + b.lengthBytes && b.offsetBytes < a.offsetBytes + a.lengthBytes;
}

/** The parts of `range` within `window` that lie in one block each. */
function* blocksOf(range: Range, window: { start: number; end: number }): Iterable<Range> {
  const end = Math.min(range.offsetBytes + range.lengthBytes, window.end);
  for (let offsetBytes = Math.max(range.offsetBytes, window.start); offsetBytes < end;) {
    const next = Math.min(end, (Math.floor(offsetBytes / BLOCK_BYTES) + 1) * BLOCK_BYTES);
    yield { offsetBytes, lengthBytes: next - offsetBytes };
    offsetBytes = next;
  }
}

/** One connection that is opened again when it ended. */
class Line {
  readonly #open: () => Promise<NbdClient>;
  #current: NbdPipe | undefined;
  #opening: Promise<NbdPipe | undefined> | undefined;

  constructor(open: () => Promise<NbdClient>) {
    this.#open = open;
  }

  /** An open pipe, or undefined when `stopping` came first. */
  pipe(stopping: AbortSignal): Promise<NbdPipe | undefined> {
    if (this.#current && !this.#current.isLost) return Promise.resolve(this.#current);
    return this.#opening ??= this.#reopen(stopping).finally(() => this.#opening = undefined);
  }

  async #reopen(stopping: AbortSignal): Promise<NbdPipe | undefined> {
    await this.#current?.close();
    while (!stopping.aborted) {
      try {
        return this.#current = new NbdPipe(await this.#open());
      } catch {
        await sleep(systemClock, REOPEN_MS, stopping); // nobody listens now
      }
    }
    return undefined;
  }

  async close(): Promise<void> {
    await this.#opening;
    await this.#current?.close();
  }
}
