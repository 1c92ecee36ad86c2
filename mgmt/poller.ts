/**
 * Asks the MDM for its overview, every `pollMs`, and each {@linkcode WATCHED_POLL_MS} while somebody looks at a page. The one
 * owner of what MGMT knows of the cluster; pages and streams read it with `view()`.
 *
 * @module
 */
import { z } from "zod";
import { type Overview, overviewSchema } from "@/shared/api/overview.ts";
import { type Clock, sleep, type Timer } from "@/shared/clock.ts";
import type { Logger } from "@/shared/log.ts";
import type { AlertEngine } from "@/mgmt/alert_engine.ts";
import type { ClusterView, Contact, Snapshot } from "@/mgmt/core/cluster_view.ts";
import {
  CLUSTER_KEY,
  type CounterSample,
  counterSample,
  type HistoryPoint,
  ratesOver,
  type RateTable,
  withPoint,
  withSample,
} from "@/mgmt/core/rates.ts";
import type { Monitor } from "@/mgmt/monitor.ts";
import type { MdmClient } from "@/mgmt/mdm_client.ts";

/** Time between two polls while somebody watches. */
export const WATCHED_POLL_MS = 1_000;
/** Longest wait of a request for current figures. */
export const REFRESH_MS_MAX = 500;
/** Time between two writes of the last known overview. */
export const CACHE_SAVED_EVERY_MS = 30_000;
/** Open pages that are kept up to date at a time. */
export const WATCHERS_MAX = 64;

interface PollerParts {
  readonly mdm: MdmClient;
  readonly mdmUrl: string;
  readonly clock: Clock;
  readonly pollMs: number;
  readonly log: Logger;
  /** The last known overview of an earlier run. */
  readonly remembered: Snapshot | undefined;
  /** Keeps an overview for the next run. */
  readonly remember: (snapshot: Snapshot) => void;
  /** Judges what each poll brought. */
  readonly alerts: Pick<AlertEngine, "evaluate" | "open">;
  /** Asks the other processes and writes figures down. */
  readonly monitor: Pick<Monitor, "noteOverview" | "answers">;
  /** Told how long each poll took, and whether it brought an overview. */
  readonly onPolled?: (outcome: { readonly durationMs: number; readonly ok: boolean }) => void;
}

/** The poller. `start` it once; `stop` ends its timers. */
export class Poller {
  readonly #parts: PollerParts;
  readonly #watchers = new Set<() => void>();
  #snapshot: Snapshot | undefined;
  #contact: Contact = { kind: "not_tried" };
  #samples: readonly CounterSample[] = [];
  #rates: RateTable = new Map();
  #history: readonly HistoryPoint[] = [];
  #timer: Timer | undefined;
  #polling: Promise<void> | undefined;
  #polledAtMs = -Infinity;
  #savedAtMs = -Infinity;
  #stopped = false;

  constructor(parts: PollerParts) {
    this.#parts = parts;
    this.#snapshot = parts.remembered;
  }

  /** What is known now. */
  view(): ClusterView {
    return {
      mdmUrl: this.#parts.mdmUrl,
      nowMs: this.#parts.clock.wallMs(),
      contact: this.#contact,
      snapshot: this.#snapshot,
      rates: this.#rates,
      history: this.#history,
      alerts: this.#parts.alerts.open(),
      answers: this.#parts.monitor.answers(),
    };
  }

  /** Open streams. */
  get watcherCount(): number {
    return this.#watchers.size;
  }

  /** Begins to poll; resolves after the first answer or failure. */
  start(): Promise<void> {
    return this.poll();
  }

  /** Ends polling and keeps the last overview. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#polling;
    this.#save();
  }

  /**
   * Calls `listener` after every poll until the returned function is called, and polls more often meanwhile. Undefined when
   * {@linkcode WATCHERS_MAX} watch already.
   */
  watch(listener: () => void): (() => void) | undefined {
    if (this.#watchers.size >= WATCHERS_MAX) return undefined;
    this.#watchers.add(listener);
    if (this.#watchers.size === 1) this.#pollSoon();
    return () => this.#watchers.delete(listener);
  }

  /**
   * Resolves when what is known is at most {@linkcode WATCHED_POLL_MS} old, so that a page begins with current figures; at the
   * latest after {@linkcode REFRESH_MS_MAX}, with what there is.
   */
  async refresh(): Promise<void> {
    const { clock } = this.#parts;
    if (this.#stopped || clock.monotonicMs() - this.#polledAtMs <= WATCHED_POLL_MS) return;
    const waited = new AbortController();
    await Promise.race([this.poll(), sleep(clock, REFRESH_MS_MAX, waited.signal)]);
    waited.abort();
  }

  /** Polls now, or waits for the poll that runs. */
  poll(): Promise<void> {
    return this.#polling ??= this.#pollOnce().finally(() => {
      this.#polling = undefined;
      this.#arm();
    });
  }

  /** Resolves when what is known is from after this call: a poll that runs already may have asked before a change. */
  async pollAnew(): Promise<void> {
    await this.#polling;
    await this.poll();
  }

  #pollSoon(): void {
    if (this.#stopped || this.#polling) return;
    this.#timer?.cancel();
    this.#timer = this.#parts.clock.setTimer(0, () => void this.poll());
  }

  #arm(): void {
    if (this.#stopped) return;
    this.#timer?.cancel();
    const delayMs = this.#watchers.size > 0 ? Math.min(WATCHED_POLL_MS, this.#parts.pollMs) : this.#parts.pollMs;
    this.#timer = this.#parts.clock.setTimer(delayMs, () => void this.poll());
  }

  async #pollOnce(): Promise<void> {
    const { mdm, clock, onPolled } = this.#parts;
    const startedMs = clock.monotonicMs();
    let ok = false;
    try {
      // One lost answer is no lost contact.
      const triesAgain = this.#contact.kind === "in_touch";
      const answer = await mdm.overview().catch((error) => triesAgain ? mdm.overview() : Promise.reject(error));
      this.#accept(overviewSchema.parse(answer));
      ok = true;
    } catch (error) {
      this.#noteFailure(error);
    }
    this.#polledAtMs = clock.monotonicMs();
    this.#judge();
    onPolled?.({ durationMs: clock.monotonicMs() - startedMs, ok });
    for (const listener of [...this.#watchers]) listener();
  }

  #judge(): void {
    const { alerts, monitor, mdmUrl, log } = this.#parts;
    try {
      alerts.evaluate({ contact: this.#contact, snapshot: this.#snapshot, rates: this.#rates, mdmUrl });
      if (this.#contact.kind === "in_touch" && this.#snapshot) {
        monitor.noteOverview(this.#snapshot.overview, this.#rates);
      }
    } catch (error) {
      // A full disk must not keep people from seeing the cluster: the next poll tries again.
      log.error("Cannot write down what the poll brought: {error}", { error: String(error) });
    }
  }

  #accept(overview: Overview): void {
    const { clock, log, mdmUrl } = this.#parts;
    if (this.#contact.kind === "lost") log.info("The MDM at {mdmUrl} answers again", { mdmUrl });
    this.#contact = { kind: "in_touch" };
    this.#snapshot = { overview, takenAtMs: clock.wallMs() };
    this.#samples = withSample(this.#samples, counterSample(overview));
    this.#rates = ratesOver(this.#samples);
    const rates = this.#rates.get(CLUSTER_KEY);
    if (rates) this.#history = withPoint(this.#history, { atMs: overview.mdmTimeMs, rates });
    if (clock.monotonicMs() - this.#savedAtMs >= CACHE_SAVED_EVERY_MS) this.#save();
  }

  #noteFailure(error: unknown): void {
    const { clock, log, mdmUrl } = this.#parts;
    const reason = reasonOf(error);
    if (this.#contact.kind === "lost") {
      this.#contact = { ...this.#contact, attemptCount: this.#contact.attemptCount + 1, reason };
      return;
    }
    log.warning("The MDM at {mdmUrl} does not answer: {reason}", { mdmUrl, reason });
    this.#contact = { kind: "lost", sinceMs: clock.wallMs(), attemptCount: 1, reason };
  }

  #save(): void {
    if (!this.#snapshot || this.#contact.kind !== "in_touch") return;
    this.#savedAtMs = this.#parts.clock.monotonicMs();
    this.#parts.remember(this.#snapshot);
  }
}

/** What went wrong, for people: the innermost cause says more than the wrapping. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError") return "no answer in time";
  if (error instanceof z.ZodError) {
    const field = error.issues[0]?.path.join(".") ?? "";
    return `its answer is not one that this version of MGMT reads (field ${field})`;
  }
  if (error.cause instanceof Error) return reasonOf(error.cause);
  const text = error.message;
  if (/refused/i.test(text)) return "the connection was refused: nothing listens there";
  return text;
}
