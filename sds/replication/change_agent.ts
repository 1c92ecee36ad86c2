/**
 * Changes of configurations that this device asks the MDM for (replication design, section 3.2). Requests of one turn travel in
 * one call; a call without an answer is repeated until there is one, since the guard at the MDM makes repeats harmless. Every
 * answer carries the newest configuration, which is adopted.
 *
 * @module
 */
import type { PgChange, PgChangeAnswer, PgChangeCall } from "@/shared/api/pg.ts";
import { sleep } from "@/shared/clock.ts";
import type { PgId } from "@/shared/ids.ts";
import type { ReplicaDevice } from "@/sds/replication/replica_device.ts";

/** Pause before a call without an answer is repeated. */
const REPEAT_MS = 250;
/** Changes in one call. */
const CHANGES_MAX = 1024;

interface Asked {
  readonly change: PgChange;
  readonly done: () => void;
}

/** Asks the MDM on behalf of one device. */
export class ChangeAgent {
  readonly #device: ReplicaDevice;
  readonly #send: (call: PgChangeCall) => Promise<PgChangeAnswer>;
  #queue: Asked[] = [];
  #running = false;
  readonly #stop = new AbortController();

  constructor(device: ReplicaDevice, send: (call: PgChangeCall) => Promise<PgChangeAnswer>) {
    this.#device = device;
    this.#send = send;
  }

  /** Resolves when the MDM has answered, or the group's epoch has moved on so that the request is void. */
  ask(change: PgChange): Promise<void> {
    return new Promise((resolve) => {
      this.#queue.push({ change, done: resolve });
      if (!this.#running) this.#run();
    });
  }

  stop(): void {
    this.#stop.abort();
    for (const asked of this.#queue.splice(0)) asked.done();
  }

  async #run(): Promise<void> {
    this.#running = true;
    // One turn's requests gather before the first call.
    await Promise.resolve();
    while (this.#queue.length > 0 && !this.#stop.signal.aborted) {
      const batch = this.#takeBatch();
      if (batch.length === 0) continue;
      try {
        await this.#callOnce(batch);
      } catch (error) {
        this.#device.context.log.debug("The MDM does not answer a change request: {error}", { error });
        this.#queue.unshift(...batch);
        await sleep(this.#device.context.clock, REPEAT_MS, this.#stop.signal);
      }
    }
    this.#running = false;
  }

  /** Requests whose epoch is still current; the others are void and done. */
  #takeBatch(): Asked[] {
    const batch = this.#queue.splice(0, CHANGES_MAX);
    return batch.filter((asked) => {
      const current = (this.#device.groups.get(asked.change.pgId)?.epoch ?? 0) === asked.change.epoch;
      if (!current) asked.done();
      return current;
    });
  }

  async #callOnce(batch: readonly Asked[]): Promise<void> {
    const { deviceId, incarnation } = this.#device;
    const answer = await this.#send({ asker: { deviceId, incarnation }, changes: batch.map((asked) => asked.change) });
    const refused = new Map<PgId, string>();
    for (const result of answer.results) {
      if (result.config !== null) this.#device.adopt(result.config);
      if (result.outcome === "refused") refused.set(result.pgId, result.reason);
    }
    if (refused.size > 0) {
      this.#device.context.log.info("The MDM refused {count} changes: {reasons}", {
        count: refused.size,
        reasons: [...new Set(refused.values())],
      });
    }
    for (const asked of batch) asked.done();
  }
}
