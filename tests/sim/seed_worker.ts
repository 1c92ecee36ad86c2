/**
 * A thread that runs seeds for `run.ts` and ends: the process keeps nothing of them, however many follow.
 *
 * @module
 */
import type { GuardName } from "@/shared/guards.ts";
import { runSeed, type Verdict } from "@/tests/sim/run_seed.ts";

/** What a worker is asked to do. */
export interface WorkerTask {
  /** First and last. */
  readonly seeds: readonly [number, number];
  readonly without: readonly GuardName[];
  readonly scenario: string | undefined;
}

/** One seed is done; `error`: a process of the simulation threw, which counts as a finding. */
export interface WorkerAnswer {
  readonly seed: number;
  readonly verdict: Verdict | undefined;
  readonly error: string;
  readonly tookMs: number;
}

/** The part of a worker's global scope that is used; the type checker knows the main thread's. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<WorkerTask>) => void) | null;
  postMessage(answer: WorkerAnswer): void;
}
const scope = globalThis as unknown as WorkerScope; // this file is only ever loaded as a worker

scope.onmessage = async ({ data: task }) => {
  const [first, last] = task.seeds;
  for (let seed = first; seed <= last; seed++) {
    const startedMs = performance.now();
    let verdict: Verdict | undefined;
    let error = "";
    try {
      verdict = await runSeed({ seed, without: task.without, scenario: task.scenario });
    } catch (thrown) {
      error = thrown instanceof Error ? thrown.stack ?? thrown.message : String(thrown);
    }
    scope.postMessage({ seed, verdict, error, tookMs: performance.now() - startedMs });
  }
};
