/**
 * Goes through the states of the model: all of them, nearest first, so that the trace it finds is a shortest one; or along random
 * walks, which reach far deeper.
 *
 * @module
 */
import { forgetPast, RULES } from "@/tests/model/rules.ts";
import { type Budgets, initialState, keyOf, type State } from "@/tests/model/state.ts";
import { StateSet } from "@/tests/model/state_set.ts";
import { nextStates, type Variation, Violation } from "@/tests/model/step.ts";

/** What an exploration found. */
export interface Finding {
  /** Distinct states reached by a search, steps taken by walks. */
  readonly stateCount: number;
  /** Steps tried. */
  readonly stepCount: number;
  /** Steps from the start to the farthest state; for walks the depth of the violation or the longest. */
  readonly depth: number;
  /** True if every reachable state was visited. */
  readonly isComplete: boolean;
  /** The steps that led to a violation, with its text last; undefined if there was none. */
  readonly trace: readonly string[] | undefined;
}

/** What to explore. */
export interface Exploration extends Variation {
  readonly budgets: Budgets;
  /** Names of steps taken first, to begin from a state that lies deep. */
  readonly prelude?: readonly string[];
}

/** Visits states nearest first, at most `statesMax`, and stops at the first violation. */
export function search(exploration: Exploration, { statesMax }: { readonly statesMax: number }): Finding {
  const seen = new StateSet(statesMax);
  const trail = new Trail();
  const start = stateAfterPrelude(exploration);
  seen.add(keyOf(start));
  let level = [{ state: start, at: trail.start() }];
  let stepCount = 0;
  for (let depth = 0;; depth++) {
    const found = () => ({ stateCount: seen.size, stepCount, depth });
    const nextLevel: typeof level = [];
    for (const { state, at } of level) {
      if (seen.size >= statesMax) return { ...found(), isComplete: false, trace: undefined };
      const problem = tryAll(state, exploration, (next, name) => {
        stepCount++;
        if (seen.add(keyOf(next))) nextLevel.push({ state: next, at: trail.add(at, name) });
      });
      if (problem !== undefined) return { ...found(), isComplete: false, trace: [...trail.to(at), problem] };
    }
    if (nextLevel.length === 0) return { ...found(), isComplete: true, trace: undefined };
    level = nextLevel;
  }
}

/** Takes `walkCount` walks of at most `depthMax` random steps, and stops at the first violation. */
export function walk(
  exploration: Exploration,
  { walkCount, depthMax, seed }: { readonly walkCount: number; readonly depthMax: number; readonly seed: number },
): Finding {
  const choose = randomIndex(seed);
  let stepCount = 0;
  let deepest = 0;
  for (let number = 0; number < walkCount; number++) {
    let state = stateAfterPrelude(exploration);
    const names: string[] = [];
    while (names.length < depthMax) {
      const choices: Choice[] = [];
      const problem = tryAll(state, exploration, (next, name) => choices.push({ next, name }));
      const found = { stateCount: stepCount, stepCount, depth: names.length, isComplete: false };
      if (problem !== undefined) return { ...found, trace: [...names, problem] };
      const chosen = anyThatChanges(choices, { key: keyOf(state), choose });
      if (chosen === undefined) break;
      state = chosen.next;
      names.push(chosen.name);
      stepCount++;
    }
    deepest = Math.max(deepest, names.length);
  }
  return { stateCount: stepCount, stepCount, depth: deepest, isComplete: false, trace: undefined };
}

/** The state from which an exploration begins. @throws {TypeError} naming a step of the prelude that is not possible. */
function stateAfterPrelude(exploration: Exploration): State {
  let state = initialState(exploration.budgets);
  for (const wanted of exploration.prelude ?? []) {
    const choices: Choice[] = [];
    tryAll(state, exploration, (next, name) => choices.push({ next, name }));
    const chosen = choices.find(({ name }) => name.startsWith(wanted));
    if (chosen === undefined) {
      const possible = choices.map(({ name }) => name).join("; ");
      throw new TypeError(`Cannot begin with "${wanted}": possible are ${possible}`);
    }
    state = chosen.next;
  }
  return state;
}

interface Choice {
  readonly next: State;
  readonly name: string;
}

/** One of `choices` that leads away from the state with `key`: reads were checked when they were offered, and lead nowhere. */
function anyThatChanges(
  choices: Choice[],
  { key, choose }: { readonly key: string; readonly choose: (count: number) => number },
): Choice | undefined {
  while (choices.length > 0) {
    const [chosen] = choices.splice(choose(choices.length), 1);
    if (chosen !== undefined && keyOf(chosen.next) !== key) return chosen;
  }
  return undefined;
}

/** Calls `each` with all next states; the text of a violation if one step is. */
function tryAll(
  state: State,
  exploration: Exploration,
  each: (next: State, name: string) => void,
): string | undefined {
  try {
    nextStates(state, { ...exploration, rules: RULES }, (next, name) => {
      forgetPast(next, exploration.without);
      each(next, name);
    });
    return undefined;
  } catch (error) {
    if (error instanceof Violation) return error.message;
    throw error;
  }
}

/** How every state of a search was reached first: 8 bytes each, names kept once. */
class Trail {
  readonly #parents: number[] = [];
  readonly #nameIds: number[] = [];
  readonly #names: string[] = [];
  readonly #idsByName = new Map<string, number>();

  start(): number {
    return this.add(-1, "");
  }

  add(parent: number, name: string): number {
    let id = this.#idsByName.get(name);
    if (id === undefined) {
      id = this.#names.push(name) - 1;
      this.#idsByName.set(name, id);
    }
    this.#nameIds.push(id);
    return this.#parents.push(parent) - 1;
  }

  /** The names of the steps from the start to `at`. */
  to(at: number): string[] {
    const names: string[] = [];
    for (let index = at; index > 0; index = this.#parents[index]!) names.push(this.#names[this.#nameIds[index]!]!);
    return names.reverse();
  }
}

/** A repeatable source of indices below a count. */
function randomIndex(seed: number): (count: number) => number {
  let state = seed >>> 0;
  return (count) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * count);
  };
}
