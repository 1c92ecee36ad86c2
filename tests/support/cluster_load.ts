/**
 * A simulated cluster (`tests/sim/cluster.ts`) with a load that goes on while a test stops, kills and starts processes, and that
 * tells how long the slowest request took.
 *
 * @module
 */
import type { BlockRequest } from "@/sdc/block_device.ts";
import { BLOCK_BYTES, CHUNK_BYTES, REGIONS_KEPT_SET } from "@/shared/constants.ts";
import { assert } from "@/shared/errors.ts";
import { ALL_GUARDS } from "@/shared/guards.ts";
import { Cluster, type ClusterOptions } from "@/tests/sim/cluster.ts";
import { EventLog } from "@/tests/sim/event_log.ts";
import { World } from "@/tests/sim/process.ts";
import { SeededRandom } from "@/tests/sim/seeded_random.ts";
import { VirtualTime } from "@/tests/sim/virtual_time.ts";

/** Virtual time that a test may take. */
const TEST_MS_MAX = 1_200_000;
/** Virtual time that `until` waits. */
const UNTIL_MS_MAX = 240_000;
/** Blocks that the load writes: spread over all groups. */
const LOAD_CHUNKS = 32;

/** Runs `test` over a cluster that is up. Virtual time goes on while it waits. */
export async function withCluster(
  options: Partial<Omit<ClusterOptions, "world" | "random">>,
  test: (fixture: ClusterFixture) => Promise<void>,
): Promise<void> {
  const time = new VirtualTime();
  const random = new SeededRandom("cluster-load");
  const world = new World({ time, random: random.fork("wire"), log: new EventLog({ nowMs: () => time.nowMs }) });
  const cluster = new Cluster({
    sdcCount: 1,
    sharedVolume: false,
    regionsKeptSet: REGIONS_KEPT_SET,
    guards: ALL_GUARDS,
    ...options,
    world,
    random,
  });
  const fixture = new ClusterFixture(cluster, time);
  let outcome: { readonly error?: unknown } | undefined;
  cluster.setUp().then(() => test(fixture)).then(() => outcome = {}, (error) => outcome = { error });
  try {
    await time.run({ limitMs: TEST_MS_MAX, done: () => outcome !== undefined });
  } finally {
    cluster.close();
  }
  if (outcome === undefined) throw new Error(`The test has not ended after ${TEST_MS_MAX} ms of virtual time`);
  if ("error" in outcome) throw outcome.error;
}

/** See the module comment. */
export class ClusterFixture {
  readonly cluster: Cluster;
  readonly #time: VirtualTime;

  constructor(cluster: Cluster, time: VirtualTime) {
    this.cluster = cluster;
    this.#time = time;
  }

  get nowMs(): number {
    return this.#time.nowMs;
  }

  sleep(durationMs: number): Promise<void> {
    return new Promise((resolve) => this.#time.after(durationMs, resolve));
  }

  /** Waits until `holds`, and gives how long that took in ms. */
  async until(what: string, holds: () => boolean | Promise<boolean>): Promise<number> {
    const startMs = this.nowMs;
    while (!(await holds())) {
      assert(this.nowMs - startMs < UNTIL_MS_MAX, `${what} within ${UNTIL_MS_MAX} ms`);
      await this.sleep(100);
    }
    return this.nowMs - startMs;
  }

  /** Every group has all its copies, and no member is superfluous. */
  untilWhole(): Promise<number> {
    return this.until("every group is whole", () => this.cluster.isWhole());
  }

  /** Writes and reads blocks of the first volume, one at a time from each of `count` applications, until it is ended. */
  startLoad(count = 4): Load {
    return new Load(this, count);
  }

  /** One request of the first volume; resolves with its error, if it has one. */
  request(operation: "read" | "write" | "flush", place: { offsetBytes: number; data: Uint8Array }): Promise<unknown> {
    const { volumeId, sdc } = this.cluster.mappings[0]!;
    const device = sdc.device(volumeId);
    assert(device !== undefined, "the volume is mapped");
    return new Promise((complete) => {
      const request: BlockRequest = {
        ...{ operation, ...place, lengthBytes: place.data.length, forceUnitAccess: false, noHole: false, complete },
      };
      device.submit(request);
    });
  }
}

/** Requests under way; each block's last written value is known, and every read is compared with it. */
export class Load {
  readonly #fixture: ClusterFixture;
  readonly #workers: Promise<void>[];
  #ended = false;
  #answered = 0;
  /** The slowest request so far, in ms. */
  slowestMs = 0;

  constructor(fixture: ClusterFixture, count: number) {
    this.#fixture = fixture;
    this.#workers = Array.from({ length: count }, (_, index) => this.#work(index, count));
  }

  /** Answered requests. */
  get answeredCount(): number {
    return this.#answered;
  }

  /** Ends the load. @throws {Error} when a request failed or a read differed from what was written. */
  async end(): Promise<void> {
    this.#ended = true;
    await Promise.all(this.#workers);
  }

  async #work(worker: number, count: number): Promise<void> {
    const data = new Uint8Array(BLOCK_BYTES);
    for (let round = 0; !this.#ended; round++) {
      const chunk = (round * count + worker) % LOAD_CHUNKS;
      const offsetBytes = chunk * CHUNK_BYTES + worker * BLOCK_BYTES;
      const value = 1 + round % 250;
      await this.#timed("write", { offsetBytes, data: data.fill(value) });
      await this.#timed("read", { offsetBytes, data: data.fill(0) });
      if (data.some((byte) => byte !== value)) {
        throw new Error(`a read of chunk ${chunk} differs from what was written`);
      }
      await this.#fixture.sleep(10);
    }
  }

  async #timed(operation: "read" | "write", place: { offsetBytes: number; data: Uint8Array }): Promise<void> {
    const startMs = this.#fixture.nowMs;
    const error = await this.#fixture.request(operation, place);
    if (error !== undefined) throw new Error(`a ${operation} failed: ${error}`);
    this.slowestMs = Math.max(this.slowestMs, this.#fixture.nowMs - startMs);
    this.#answered++;
  }
}
