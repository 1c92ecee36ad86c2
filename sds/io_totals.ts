/**
 * Operations since the process started, per volume and SDC (replication design, section 6.5). Handles count for themselves while
 * they are open; what a closed one did is added here.
 *
 * @module
 */
import type { IoCounts } from "@/shared/api/sds.ts";
import { type ErrorCode, errorTraits } from "@/shared/errors.ts";
import type { NodeId, VolumeId } from "@/shared/ids.ts";
import type { VolumeHandle } from "@/sds/data/handles.ts";

type Sums = { -readonly [Field in "reads" | "writes" | "readBytes" | "writtenBytes"]: number };

/** The counters of one SDS. */
export class IoTotals {
  readonly #closed = new Map<string, IoCounts>();
  readonly #open = new Set<VolumeHandle>();

  /** The volume that last used a layer through this SDS. */
  readonly volumeOfNode = new Map<NodeId, VolumeId>();
  /** Requests that were refused or failed for good. */
  errors = 0;
  /** Reads and writes of sessions that have ended. */
  servedOperations = 0;
  #underWay = 0;
  /** Sum of the times of all reads and writes so far, up to `#changedAtMs`. */
  #timeMs = 0;
  #changedAtMs = 0;

  /** A read or write begins. What all take together is the sum over time of how many are under way. */
  begun(nowMs: number): void {
    this.#advance(nowMs);
    this.#underWay++;
  }

  ended(nowMs: number): void {
    this.#advance(nowMs);
    this.#underWay--;
    this.servedOperations++;
  }

  /** Time that reads and writes took together, in ms. */
  servedMs(nowMs: number): number {
    this.#advance(nowMs);
    return this.#timeMs;
  }

  #advance(nowMs: number): void {
    this.#timeMs += this.#underWay * (nowMs - this.#changedAtMs);
    this.#changedAtMs = nowMs;
  }

  opened(handle: VolumeHandle): void {
    this.#open.add(handle);
    this.volumeOfNode.set(handle.token.nodeId, handle.token.volumeId);
  }

  closed(handle: VolumeHandle): void {
    if (this.#open.delete(handle)) addTo(this.#closed, handle);
  }

  /** Counts a refusal, if asking again would not help: others are part of how roles move. */
  refused(code: ErrorCode): void {
    if (errorTraits(code).retry === "never") this.errors++;
  }

  /** Counts what was done without a handle. */
  add(counts: IoCounts): void {
    addCounts(this.#closed, counts);
  }

  /** One entry per volume and SDC. */
  counts(): IoCounts[] {
    const sums = new Map([...this.#closed].map(([key, counts]) => [key, { ...counts }]));
    for (const handle of this.#open) addTo(sums, handle);
    return [...sums.values()];
  }

  sum(): Readonly<Sums> {
    const total: Sums = { reads: 0, writes: 0, readBytes: 0, writtenBytes: 0 };
    for (const counts of this.counts()) {
      total.reads += counts.reads;
      total.writes += counts.writes;
      total.readBytes += counts.readBytes;
      total.writtenBytes += counts.writtenBytes;
    }
    return total;
  }
}

function addTo(sums: Map<string, IoCounts>, handle: VolumeHandle): void {
  const { volumeId, sdcId } = handle.token;
  const { reads, writes, readBytes, writtenBytes } = handle;
  addCounts(sums, { volumeId, sdcId, reads, writes, readBytes, writtenBytes });
}

function addCounts(sums: Map<string, IoCounts>, counts: IoCounts): void {
  const { volumeId, sdcId } = counts;
  const key = `${volumeId}/${sdcId}`;
  const sum = sums.get(key) ?? { volumeId, sdcId, reads: 0, writes: 0, readBytes: 0, writtenBytes: 0 };
  sum.reads += counts.reads;
  sum.writes += counts.writes;
  sum.readBytes += counts.readBytes;
  sum.writtenBytes += counts.writtenBytes;
  sums.set(key, sum);
}
