/**
 * Keeps the processes of the demo running: starts them, starts again what ends by itself, stops them in order.
 *
 *   start ──► running ──(ended)──► waiting ──(1 s, 2 s, … 10 s)──► running
 *                │                    │
 *                └───────── stop ─────┴──► stopped
 *
 * @module
 */
import { type Child, type ChildCommand, type ChildEnd, endText, startChild } from "@/scripts/demo/child.ts";
import { type Clock, sleep, systemClock, type Timer } from "@/shared/clock.ts";

/** First and longest wait before a process is started again. */
export const RESTART_MS_MIN = 1_000;
export const RESTART_MS_MAX = 10_000;
/** A process that ran this long waits the shortest time again. */
export const STABLE_AFTER_MS = 30_000;
/** Processes that have not stopped after this time are ended. */
export const STOP_MS_MAX = 30_000;
/** A stop that lasts longer says what it waits for, this often. */
export const STOP_REPORT_MS = 3_000;

/** What the supervisor tells. */
export interface SupervisorEvents {
  /** The process with this name has another pid now. */
  onStarted(child: Child): void;
  /** It said that its listeners answer. */
  onReady(child: Child): void;
  /** It ended without being asked to; it is started again after `restartMs`, or not at all when that is undefined. */
  onEnded(name: string, how: string, restartMs: number | undefined): void;
  /** A stop is taking long: these processes are still there. */
  onStopping(names: readonly string[]): void;
}

/** How to supervise. */
export interface SupervisorOptions {
  readonly events: SupervisorEvents;
  readonly restart: boolean;
  readonly clock?: Clock;
}

interface Entry {
  readonly command: ChildCommand;
  child: Child | undefined;
  /** Wait before the next start. */
  restartMs: number;
  timer: Timer | undefined;
}

/** A process ended before its listeners answered. */
export class StartFailure extends Error {
  override readonly name = "StartFailure";
  constructor(readonly member: string, readonly logFile: string, how: string) {
    super(`${member} ${how} before it was ready`);
  }
}

/** Owner of the demo's processes. */
export class Supervisor {
  readonly #entries = new Map<string, Entry>();
  readonly #events: SupervisorEvents;
  readonly #restart: boolean;
  readonly #clock: Clock;
  #stopping = false;

  constructor(options: SupervisorOptions) {
    this.#events = options.events;
    this.#restart = options.restart;
    this.#clock = options.clock ?? systemClock;
  }

  /** Starts a process and keeps it running. Resolves when it is ready. @throws {StartFailure} if it ends before. */
  async start(command: ChildCommand): Promise<void> {
    const entry: Entry = { command, child: undefined, restartMs: RESTART_MS_MIN, timer: undefined };
    this.#entries.set(command.name, entry);
    const child = this.#spawn(entry);
    if (await child.ready) {
      this.#watch(entry, child);
      return;
    }
    const end = await child.ended;
    entry.child = undefined;
    throw new StartFailure(command.name, command.logFile, endText(end));
  }

  /** Pid of a process, or undefined while it is not there. */
  pidOf(name: string): number | undefined {
    return this.#entries.get(name)?.child?.pid;
  }

  /** Stops the groups one after the other, the members of a group together. Whatever is left after the limit is ended. */
  async stop(groups: readonly (readonly string[])[]): Promise<void> {
    this.#stopping = true;
    for (const entry of this.#entries.values()) entry.timer?.cancel();
    const finished = new AbortController();
    const limit = sleep(this.#clock, STOP_MS_MAX, finished.signal).then(() => {
      if (!finished.signal.aborted) this.killAll();
    });
    const report = this.#reportWhileStopping(finished.signal);
    for (const group of groups) {
      const children = group.map((name) => this.#entries.get(name)?.child).filter((child) => child !== undefined);
      for (const child of children) child.terminate();
      await Promise.all(children.map(({ ended }) => ended));
    }
    finished.abort();
    await Promise.all([limit, report]);
  }

  /** Ends every process at once. */
  killAll(): void {
    this.#stopping = true;
    for (const entry of this.#entries.values()) entry.child?.kill();
  }

  #spawn(entry: Entry): Child {
    const child = startChild(entry.command);
    entry.child = child;
    this.#events.onStarted(child);
    child.ready.then((ready) => {
      if (ready) this.#events.onReady(child);
    });
    child.ended.then(() => {
      if (entry.child === child) entry.child = undefined;
    });
    return child;
  }

  /** Starts the process again when it ends, later each time until it runs for a while. */
  async #watch(entry: Entry, child: Child): Promise<void> {
    const startedAtMs = this.#clock.monotonicMs();
    const end = await child.ended;
    if (this.#stopping) return;
    if (this.#clock.monotonicMs() - startedAtMs >= STABLE_AFTER_MS) entry.restartMs = RESTART_MS_MIN;
    this.#restartLater(entry, end);
  }

  #restartLater(entry: Entry, end: ChildEnd): void {
    const { name } = entry.command;
    const restartMs = this.#restart ? entry.restartMs : undefined;
    this.#events.onEnded(name, endText(end), restartMs);
    if (restartMs === undefined) return;
    entry.restartMs = Math.min(2 * entry.restartMs, RESTART_MS_MAX);
    entry.timer = this.#clock.setTimer(restartMs, () => {
      if (!this.#stopping) this.#watch(entry, this.#spawn(entry));
    });
  }

  async #reportWhileStopping(finished: AbortSignal): Promise<void> {
    while (true) {
      await sleep(this.#clock, STOP_REPORT_MS, finished);
      if (finished.aborted) return;
      this.#events.onStopping(
        [...this.#entries.values()].filter(({ child }) => child).map(({ command }) => command.name),
      );
    }
  }
}
