/**
 * Asks the management listeners of all SDSs and SDCs how they are, once per pass of the poller, and writes down figures of the
 * cluster. The MDM's overview says what it heard of them by heartbeats; this says whether MGMT reaches them itself.
 *
 * @module
 */
import { z } from "zod";
import type { Overview } from "@/shared/api/overview.ts";
import type { Clock } from "@/shared/clock.ts";
import type { HttpSend } from "@/shared/http_client.ts";
import type { Logger } from "@/shared/log.ts";
import { type AnswerTable, type ComponentAnswer, KEPT_LONG_EVERY_MS, snapshotsOf } from "@/mgmt/core/monitoring.ts";
import { type RateTable, sdcKey, sdsKey } from "@/mgmt/core/rates.ts";
import type { Snapshots } from "@/mgmt/store/snapshots.ts";

/** Time that a listener gets for its answer. */
export const ANSWER_MS_MAX = 2_000;
/** Tries per listener and pass. */
export const TRIES = 2;
/** Listeners that are asked at the same time. */
export const ASKED_AT_ONCE_MAX = 8;
/** Time for which a good answer counts when later ones fail. */
export const ANSWER_KEPT_MS = 30_000;
/** Word for a listener that said nothing. */
export const NO_ANSWER = "no answer";

const healthSchema = z.object({
  status: z.string(),
  online_devices: z.number().optional(),
  total_devices: z.number().optional(),
  active_connections: z.number().optional(),
  uptime_seconds: z.number().optional(),
});

interface MonitorParts {
  readonly send: HttpSend;
  readonly clock: Clock;
  /** Time between two passes. */
  readonly pollMs: number;
  readonly log: Logger;
  readonly snapshots: Pick<Snapshots, "add">;
}

interface Listener {
  readonly key: string;
  readonly url: string;
}

/** The monitor. `noteOverview` begins a pass when one is due; dispose waits for the one that runs. */
export class Monitor implements AsyncDisposable {
  readonly #parts: MonitorParts;
  #answers = new Map<string, ComponentAnswer>();
  #pass: Promise<void> | undefined;
  #passAtMs = -Infinity;
  #keptLongAtMs = -Infinity;
  #stopped = false;

  constructor(parts: MonitorParts) {
    this.#parts = parts;
  }

  /** What the listeners said last. */
  answers(): AnswerTable {
    return this.#answers;
  }

  /** Resolves when the pass that runs is over. */
  async settled(): Promise<void> {
    await this.#pass;
  }

  /** Tells of a new overview; begins a pass when the last one is long enough ago. */
  noteOverview(overview: Overview, rates: RateTable): void {
    const { clock, pollMs, log } = this.#parts;
    // Polls come a little early or late; none of them is to be left out for that.
    if (this.#stopped || this.#pass || clock.monotonicMs() - this.#passAtMs < 0.9 * pollMs) return;
    this.#passAtMs = clock.monotonicMs();
    this.#pass = this.#runPass(overview, rates)
      .catch((error) => log.error("Cannot write monitoring figures down: {error}", { error: String(error) }))
      .finally(() => this.#pass = undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    await this.#pass;
  }

  async #runPass(overview: Overview, rates: RateTable): Promise<void> {
    const { clock, snapshots } = this.#parts;
    const listeners = listenersOf(overview);
    const answers = new Map<string, ComponentAnswer>();
    let nextIndex = 0;
    const askOneAfterAnother = async () => {
      for (let listener = listeners[nextIndex++]; listener; listener = listeners[nextIndex++]) {
        answers.set(listener.key, await this.#ask(listener));
      }
    };
    await Promise.all(Array.from({ length: ASKED_AT_ONCE_MAX }, askOneAfterAnother));
    this.#answers = answers;
    const nowMs = clock.monotonicMs();
    const isKeptLong = nowMs - this.#keptLongAtMs >= KEPT_LONG_EVERY_MS;
    if (isKeptLong) this.#keptLongAtMs = nowMs;
    snapshots.add(snapshotsOf(overview, { atMs: clock.wallMs(), isKeptLong, rates, answers }));
  }

  /** The listener's answer; after all tries failed the last good one if it is not too old, else what went wrong. */
  async #ask({ key, url }: Listener): Promise<ComponentAnswer> {
    const { send, clock } = this.#parts;
    let detail = "";
    for (let tryIndex = 0; tryIndex < TRIES && !this.#stopped; tryIndex++) {
      const startedMs = clock.monotonicMs();
      try {
        const { status, body } = await send({ method: "GET", url, timeoutMs: ANSWER_MS_MAX });
        if (status !== 200) throw new Error(`it answered with status ${status}`);
        const health = healthSchema.parse(JSON.parse(body));
        const answerMs = clock.monotonicMs() - startedMs;
        return { atMs: clock.wallMs(), status: health.status, detail: detailOf(health), answerMs };
      } catch (error) {
        detail = error instanceof z.ZodError ? "its answer is of another shape" : messageOf(error);
      }
    }
    const last = this.#answers.get(key);
    if (last?.answerMs !== undefined && clock.wallMs() - last.atMs < ANSWER_KEPT_MS) return last;
    return { atMs: clock.wallMs(), status: NO_ANSWER, detail, answerMs: undefined };
  }
}

function listenersOf(overview: Overview): Listener[] {
  const url = (host: string, port: number, path: string) =>
    `http://${host.includes(":") && !host.startsWith("[") ? `[${host}]` : host}:${port}${path}`;
  const isKnown = ({ host, mgmtPort }: { host: string; mgmtPort: number }) => host !== "" && mgmtPort > 0;
  return [
    ...overview.sdss.filter(isKnown).map(({ sdsId, host, mgmtPort }) => ({
      key: sdsKey(sdsId),
      url: url(host, mgmtPort, "/mgmt/health"),
    })),
    ...overview.sdcs.filter(isKnown).map(({ sdcId, host, mgmtPort }) => ({
      key: sdcKey(sdcId),
      url: url(host, mgmtPort, "/health"),
    })),
  ];
}

function detailOf(health: z.output<typeof healthSchema>): string {
  const { online_devices: online, total_devices: total, active_connections: connections } = health;
  if (online !== undefined && total !== undefined) return `${online} of ${total} devices work`;
  return connections === undefined ? "" : `${connections} connections`;
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError") return "no answer in time";
  return /refused/i.test(error.message) ? "the connection was refused" : error.message;
}
