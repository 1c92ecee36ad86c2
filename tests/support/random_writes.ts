/**
 * Writes of 4 KiB at random places of a volume, one after the other on each of several lines, with the latency of each. A block holds
 * the number of its last write, so a late look finds a lost one.
 *
 * @module
 */
import { systemClock } from "@/shared/clock.ts";
import { BLOCK_BYTES, CHUNK_BYTES } from "@/shared/constants.ts";
import { SeededRandom } from "@/tests/sim/seeded_random.ts";
import { percentile } from "@/tests/support/kill_rounds.ts";
import type { NbdClient } from "@/tests/support/nbd_client.ts";
import { NBD, NbdPipe } from "@/tests/support/nbd_pipe.ts";

const LINES = 4;
const ROWS_PER_REGION = 4;

/** See the module comment. */
export class RandomWrites {
  readonly #open: () => Promise<NbdClient>;
  readonly #sizeBytes: number;
  readonly #random: SeededRandom;
  readonly #numbers = new Map<number, number>();
  readonly #busy = new Set<number>();
  #pipe: NbdPipe | undefined;
  #latenciesMs: number[] = [];
  #written = 0;

  /** Writes the first `sizeBytes` of the volume. */
  constructor(options: { open: () => Promise<NbdClient>; sizeBytes: number; seed: number }) {
    this.#open = options.open;
    this.#sizeBytes = options.sizeBytes;
    this.#random = new SeededRandom(`random-writes/${options.seed}`);
  }

  /** Writes so far. */
  get written(): number {
    return this.#written;
  }

  /** Writes every chunk in full once, and flushes. */
  async fill(): Promise<void> {
    for (let offsetBytes = 0; offsetBytes < this.#sizeBytes; offsetBytes += CHUNK_BYTES) {
      const fields = { type: NBD.write, offsetBytes, lengthBytes: CHUNK_BYTES };
      await this.#request(fields, this.#random.bytes(CHUNK_BYTES));
    }
    await this.#request({ type: NBD.flush });
  }

  /** Writes for `durationMs`. @throws {Error} when a write fails. */
  async runFor(durationMs: number): Promise<void> {
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(), durationMs);
    await this.runUntil(limit.signal).finally(() => clearTimeout(timer));
  }

  /** Writes until `ended`. @throws {Error} when a write fails. */
  async runUntil(ended: AbortSignal): Promise<void> {
    await Promise.all(Array.from({ length: LINES }, async () => {
      while (!ended.aborted) await this.#writeOne();
    }));
  }

  /** 99th hundredth of the latencies since the last call, in ms. */
  takeP99Ms(): number {
    const sorted = this.#latenciesMs.sort((a, b) => a - b);
    this.#latenciesMs = [];
    return percentile(sorted, 0.99);
  }

  /**
   * Bytes of the stored chunks in all regions of write intents that were written: the chunks of one of `groups` groups, four rows
   * each, of a volume whose first `filledBytes` are stored.
   */
  touchedRegionBytes(options: { readonly groups: number; readonly filledBytes: number }): number {
    const regionOf = (chunkIndex: number) => {
      const row = Math.floor(chunkIndex / options.groups);
      return `${chunkIndex % options.groups}/${Math.floor(row / ROWS_PER_REGION)}`;
    };
    const touched = new Set(
      [...this.#numbers.keys()].map((block) => regionOf(Math.floor(block * BLOCK_BYTES / CHUNK_BYTES))),
    );
    const chunks = Array.from({ length: options.filledBytes / CHUNK_BYTES }, (_, chunkIndex) => chunkIndex);
    return chunks.filter((chunkIndex) => touched.has(regionOf(chunkIndex))).length * CHUNK_BYTES;
  }

  /** Reads every block that was written. @throws {Error} when one holds something else than its last write. */
  async verify(): Promise<void> {
    for (const [block, number] of this.#numbers) {
      const data = await this.#request({ type: NBD.read, offsetBytes: block * BLOCK_BYTES, lengthBytes: BLOCK_BYTES });
      const words = new Uint32Array(data.slice().buffer);
      if (words.some((word) => word !== number)) {
        throw new Error(`Block ${block} holds write ${words[0]} instead of ${number}`);
      }
    }
  }

  async close(): Promise<void> {
    await this.#pipe?.close();
  }

  async #writeOne(): Promise<void> {
    const block = this.#random.integer(0, this.#sizeBytes / BLOCK_BYTES - 1);
    if (this.#busy.has(block)) return;
    this.#busy.add(block);
    const number = ++this.#written;
    const data = new Uint8Array(new Uint32Array(BLOCK_BYTES / 4).fill(number).buffer);
    const startedMs = systemClock.monotonicMs();
    await this.#request({ type: NBD.write, offsetBytes: block * BLOCK_BYTES, lengthBytes: BLOCK_BYTES }, data);
    this.#latenciesMs.push(systemClock.monotonicMs() - startedMs);
    this.#numbers.set(block, number);
    this.#busy.delete(block);
  }

  async #request(fields: Parameters<NbdPipe["request"]>[0], payload?: Uint8Array): Promise<Uint8Array> {
    this.#pipe = this.#pipe?.isLost === false ? this.#pipe : new NbdPipe(await this.#open());
    const { errno, data } = await this.#pipe.request(fields, payload);
    if (errno !== 0) throw new Error(`Request ${fields.type} at ${fields.offsetBytes} failed with error ${errno}`);
    return data;
  }
}
