/**
 * A long range of seeds: in threads of a few dozen seeds each, so that memory stays bounded, and with a file that says how far
 * it got, so that it can be stopped and taken up again.
 *
 * @module
 */
import type { WorkerAnswer, WorkerTask } from "@/tests/sim/seed_worker.ts";

/** Seeds of one thread: about 100 MiB are left behind by them. */
const SEEDS_PER_WORKER = 40;

/** How far a range got. */
export interface RangeState {
  readonly next: number;
  readonly failedSeeds: readonly number[];
  /** Time that passed in the runs, and that they took, in ms. */
  readonly simulatedMs: number;
  readonly realMs: number;
}

const NOTHING_YET = { failedSeeds: [], simulatedMs: 0, realMs: 0 };

/** What to run, and who hears of it. */
export interface RangeOptions extends Omit<WorkerTask, "seeds"> {
  readonly seeds: readonly [number, number];
  /** Kept after each seed. */
  readonly stateFile: string | undefined;
  tell(answer: WorkerAnswer): void;
}

/** Runs the rest of a range, and gives how it went in all. */
export async function runRange(options: RangeOptions): Promise<RangeState> {
  const [first, last] = options.seeds;
  let state = loadState(options.stateFile) ?? { ...NOTHING_YET, next: first };
  while (state.next <= last) {
    const task: WorkerTask = {
      seeds: [state.next, Math.min(last, state.next + SEEDS_PER_WORKER - 1)],
      without: options.without,
      scenario: options.scenario,
    };
    await runInWorker(task, (answer) => {
      options.tell(answer);
      state = after(state, answer);
      saveState(options.stateFile, state);
    });
  }
  return state;
}

/** True if the seed found something. */
export function hasFailed({ verdict }: WorkerAnswer): boolean {
  return verdict === undefined || verdict.problems.length > 0;
}

function after(state: RangeState, answer: WorkerAnswer): RangeState {
  return {
    next: answer.seed + 1,
    failedSeeds: hasFailed(answer) ? [...state.failedSeeds, answer.seed] : state.failedSeeds,
    simulatedMs: Math.round(state.simulatedMs + (answer.verdict?.virtualMs ?? 0)),
    realMs: Math.round(state.realMs + answer.tookMs),
  };
}

/** Resolves when the thread has run its task, and is gone. */
function runInWorker(task: WorkerTask, onAnswer: (answer: WorkerAnswer) => void): Promise<void> {
  const worker = new Worker(import.meta.resolve("@/tests/sim/seed_worker.ts"), { type: "module" });
  return new Promise<void>((resolve, reject) => {
    worker.onmessage = ({ data: answer }: MessageEvent<WorkerAnswer>) => {
      onAnswer(answer);
      if (answer.seed === task.seeds[1]) resolve();
    };
    worker.onerror = (event) => reject(new Error(`Cannot run seeds ${task.seeds.join("..")}: ${event.message}`));
    worker.postMessage(task);
  }).finally(() => worker.terminate());
}

function loadState(path: string | undefined): RangeState | undefined {
  if (path === undefined) return undefined;
  try {
    return JSON.parse(Deno.readTextFileSync(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function saveState(path: string | undefined, state: RangeState): void {
  if (path === undefined) return;
  Deno.writeTextFileSync(`${path}.new`, `${JSON.stringify(state)}\n`);
  Deno.renameSync(`${path}.new`, path);
}
