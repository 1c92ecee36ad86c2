/**
 * Scrub (replication design, section 5.6): every stored block of the groups that are led from here is read on all copies once per
 * interval, compared, and mended where one copy is bad. Slow on purpose: at its own rate, and slower while clients are busy.
 *
 *   each look: groups that are due ─► the oldest ─► chunk by chunk: pause, rate, `repairBlocks` ─► row in the catalogue
 *
 * A run goes on where it was left, also after a restart of the process: the row keeps the last chunk. A group is looked at only with
 * all copies there and no join under way, else what a copy that is away may still have would count as lost.
 *
 * @module
 */
import { every, sleep, type Timer } from "@/shared/clock.ts";
import { CHUNK_BYTES, COPIES } from "@/shared/constants.ts";
import { StorageError } from "@/shared/errors.ts";
import type { PgId, PoolId } from "@/shared/ids.ts";
import type { ScrubRow } from "@/sds/device/catalogue.ts";
import { chunkKey } from "@/sds/device/chunk.ts";
import { repairBlocks, wholeChunk } from "@/sds/replication/block_repair.ts";
import type { Group } from "@/sds/replication/group.ts";
import { RateBudget } from "@/sds/replication/rate_budget.ts";
import type { ReplicaDevice } from "@/sds/replication/replica_device.ts";

/** Time between two looks for groups that are due, in ms. */
export const SCRUB_LOOK_MS = 10_000;
/** Chunks between two rows that say how far the run is. */
const CHUNKS_PER_ROW = 16;
/** Client operations per second at this SDS from which on the scrub waits. */
const BUSY_OPERATIONS_PER_SECOND = 500;
/** Time over which client operations are counted, in ms. */
const QUIET_LOOK_MS = 50;
/** A chunk waits for quieter times this often, a second each, before it is looked at all the same. */
const BUSY_SECONDS_MAX = 2;

/** How a scrub goes. */
export interface ScrubSettings {
  /** Time from the end of one run of a group to the next, in ms. */
  readonly intervalMs: number;
  readonly bytesPerSecond: number;
}

/** What the scrubs of a device found since its process started. */
export interface ScrubCounts {
  readonly chunks: number;
  /** Blocks that no copy has, each time they were seen. */
  readonly damagedBlocks: number;
}

/** The scrub of one device. */
export class Scrub {
  readonly #device: ReplicaDevice;
  readonly #settings: ScrubSettings;
  readonly #clientOperations: () => number;
  readonly #budget: RateBudget;
  readonly #stopped = new AbortController();
  readonly #timer: Timer;
  readonly #rows = new Map<PgId, ScrubRow>();
  /** Groups that were asked for, until they were looked at. */
  readonly #asked = new Set<PgId>();
  #counts: ScrubCounts = { chunks: 0, damagedBlocks: 0 };
  #running: Promise<void> | undefined;
  #again = false;

  /** @param options.clientOperations what this SDS has served clients since it started. */
  constructor(
    device: ReplicaDevice,
    options: { readonly settings: ScrubSettings; readonly clientOperations: () => number },
  ) {
    const { clock } = device.context;
    this.#device = device;
    this.#settings = options.settings;
    this.#clientOperations = options.clientOperations;
    this.#budget = new RateBudget(clock, options.settings.bytesPerSecond);
    this.#timer = every(clock, SCRUB_LOOK_MS, () => this.#look());
  }

  get counts(): ScrubCounts {
    return this.#counts;
  }

  /** Looks at every group of the pool that is led from here, now and at the whole rate. */
  ask(poolId: PoolId): void {
    for (const { pgId, primary } of this.#device.groups.values()) {
      if (primary?.config.poolId === poolId) this.#asked.add(pgId);
    }
    this.#look();
  }

  /** How far each group is that is led from here; those that were not looked at so far are left out. */
  rows(): ScrubRow[] {
    return [...this.#device.groups.values()].filter(({ primary }) => primary !== undefined)
      .flatMap(({ pgId }) => this.#rows.get(pgId) ?? []);
  }

  /** Resolves when nothing of it runs any more. */
  async stop(): Promise<void> {
    this.#timer.cancel();
    this.#stopped.abort();
    await this.#running;
  }

  #look(): void {
    if (this.#stopped.signal.aborted || this.#device.store.failed !== undefined) return;
    this.#again = this.#running !== undefined;
    if (this.#again) return;
    this.#running = this.#runDue().catch((error) => {
      const { context, deviceId } = this.#device;
      if (error instanceof StorageError) context.log.debug("A scrub of device {deviceId} ended", { deviceId, error });
      else context.log.error("A scrub of device {deviceId} broke an invariant: {error}", { deviceId, error });
    }).finally(() => {
      this.#running = undefined;
      if (this.#again) this.#look();
    });
  }

  async #runDue(): Promise<void> {
    const due = [...this.#device.groups.values()].filter((group) => this.#isDue(group));
    due.sort((a, b) => this.#rowOf(a).endedMs - this.#rowOf(b).endedMs);
    for (const group of due) await this.#run(group);
  }

  #isDue(group: Group): boolean {
    if (!mayScrub(group)) return false;
    const { afterKey, endedMs } = this.#rowOf(group);
    const sinceMs = Math.abs(this.#device.context.clock.wallMs() - endedMs);
    return afterKey >= 0 || sinceMs >= this.#settings.intervalMs || this.#asked.has(group.pgId);
  }

  /** A group that was never looked at begins its interval now: what it holds was just written or copied here. */
  #rowOf({ pgId }: Group): ScrubRow {
    const known = this.#rows.get(pgId) ?? this.#device.store.scrubs.getScrub(pgId);
    if (known === undefined) {
      return this.#put({ pgId, run: 0, afterKey: -1, endedMs: this.#device.context.clock.wallMs() });
    }
    this.#rows.set(pgId, known);
    return known;
  }

  #put(row: ScrubRow): ScrubRow {
    this.#device.store.scrubs.putScrub(row);
    this.#rows.set(row.pgId, row);
    return row;
  }

  /** One group, from where it was left; a run that cannot go on is left as it is. */
  async #run(group: Group): Promise<void> {
    const { context, store } = this.#device;
    const row = this.#rowOf(group);
    let { afterKey } = row;
    while (mayScrub(group)) {
      const ids = store.listPgChunks(group.storage!, { afterKey, limit: CHUNKS_PER_ROW });
      for (const id of ids) {
        if (!this.#asked.has(group.pgId)) await this.#waitForQuiet();
        await this.#budget.take(CHUNK_BYTES, this.#stopped.signal);
        if (this.#stopped.signal.aborted || !mayScrub(group)) return;
        const found = await repairBlocks(group, wholeChunk(id), { locked: false, compare: true });
        if (found.unknown > 0) return;
        const { chunks, damagedBlocks } = this.#counts;
        this.#counts = { chunks: chunks + 1, damagedBlocks: damagedBlocks + found.damaged };
        afterKey = chunkKey(id.nodeId, id.chunkIndex);
      }
      if (ids.length < CHUNKS_PER_ROW) {
        this.#put({ ...row, run: row.run + 1, afterKey: -1, endedMs: context.clock.wallMs() });
        this.#asked.delete(group.pgId);
        return;
      }
      this.#put({ ...row, afterKey });
    }
  }

  async #waitForQuiet(): Promise<void> {
    const { clock } = this.#device.context;
    for (let seconds = 0; seconds < BUSY_SECONDS_MAX && !this.#stopped.signal.aborted; seconds++) {
      const before = this.#clientOperations();
      await sleep(clock, QUIET_LOOK_MS, this.#stopped.signal);
      const perSecond = (this.#clientOperations() - before) * 1000 / QUIET_LOOK_MS;
      if (perSecond < BUSY_OPERATIONS_PER_SECOND) return;
      await sleep(clock, 1000 - QUIET_LOOK_MS, this.#stopped.signal);
    }
  }
}

function mayScrub(group: Group): boolean {
  const role = group.primary;
  if (role === undefined || group.storage === undefined || !role.mayServe()) return false;
  return role.join === undefined && role.config.members.length >= COPIES;
}
