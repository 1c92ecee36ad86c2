/**
 * The one time of a simulated run: events in order, each with everything it sets off, and only then the next.
 *
 * An event runs, then the driver waits for one `setImmediate`: the runtime empties its microtask queue before that fires, so
 * every promise that could settle has settled (measured: a Hono request with its JSON body takes 9 microtask turns and no
 * macrotask; 4 us per event). What needs a thread, such as WebCrypto or real files, would break this and is not used under
 * simulation; the test of the event-log hash would show it.
 *
 * @module
 */
import { assert } from "@/shared/errors.ts";

/** An event that has not run yet, or has. */
export interface Scheduled {
  cancel(): void;
}

interface Entry {
  readonly atMs: number;
  readonly sequence: number;
  run: (() => void) | undefined;
}

/** Events at one instant before the run counts as going round in circles. */
const EVENTS_PER_INSTANT_MAX = 200_000;

/** The queue of events. */
export class VirtualTime {
  readonly #heap: Entry[] = [];
  #nowMs = 0;
  #sequence = 0;
  #ranCount = 0;

  /** True time since the start of the run, in milliseconds. Processes see it through their clocks only. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Events that ran so far. */
  get ranCount(): number {
    return this.#ranCount;
  }

  /** Runs `run` once, `delayMs` (0 or more) of true time from now, after what was scheduled earlier for that instant. */
  after(delayMs: number, run: () => void): Scheduled {
    assert(delayMs >= 0, `an event is not scheduled in the past (${delayMs} ms)`);
    const entry: Entry = { atMs: this.#nowMs + delayMs, sequence: this.#sequence++, run };
    this.#push(entry);
    return {
      cancel() {
        entry.run = undefined;
      },
    };
  }

  /** Runs events until `done` says so (true) or none is left up to `limitMs` of true time (false; the time is then that). */
  async run(options: { readonly limitMs: number; done?(): boolean }): Promise<boolean> {
    let instantMs = this.#nowMs;
    let instantCount = 0;
    await macrotask();
    while (!options.done?.()) {
      const next = this.#heap[0];
      if (next === undefined || next.atMs > options.limitMs) {
        this.#nowMs = Math.max(this.#nowMs, options.limitMs);
        return false;
      }
      this.#pop();
      if (next.run === undefined) continue;
      if (next.atMs > instantMs) instantCount = 0;
      assert(instantCount++ < EVENTS_PER_INSTANT_MAX, `time goes on after ${EVENTS_PER_INSTANT_MAX} events`);
      this.#nowMs = instantMs = next.atMs;
      this.#ranCount++;
      next.run();
      await macrotask();
    }
    return true;
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let at = heap.push(entry) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!earlier(entry, heap[above]!)) break;
      heap[at] = heap[above]!;
      at = above;
    }
    heap[at] = entry;
  }

  /** Drops the first entry; the heap is not empty. */
  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    while (true) {
      let below = 2 * at + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && earlier(heap[below + 1]!, heap[below]!)) below++;
      if (!earlier(heap[below]!, last)) break;
      heap[at] = heap[below]!;
      at = below;
    }
    heap[at] = last;
  }
}

function earlier(a: Entry, b: Entry): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence);
}

function macrotask(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
