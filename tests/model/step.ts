/**
 * What a rule of the model gets: the state, what is left out, and where to put the states that may come next.
 *
 * @module
 */
import type { Guard } from "@/tests/model/guards.ts";
import { afterAnswer, afterRead } from "@/tests/model/register.ts";
import { copyOf, type State } from "@/tests/model/state.ts";

/** The world behaved as the protocol must not allow. */
export class Violation extends Error {}

/** Bounds and variations of an exploration. */
export interface Variation {
  /** Guards that are left out. */
  readonly without: ReadonlySet<Guard>;
  /** Epoch at which no further change is asked for. */
  readonly epochMax: number;
  /** True if the writers are two SDCs, which do not wait for each other; false for one SDC, which does (I15). */
  readonly twoSdcs: boolean;
  /** True if a crash may be a power loss. */
  readonly powerLoss: boolean;
}

/** One rule's view of a state. */
export interface Step extends Variation {
  readonly state: State;
  /** Offers the state that `change` makes of a copy as a next one, under a name for the trace. */
  to(name: string, change: (next: State) => void): void;
}

/** True unless the guard is left out. */
export function keeps(step: Step, guard: Guard): boolean {
  return !step.without.has(guard);
}

/** Calls `each` with every next state. @throws {Violation} when a client sees what it must not. */
export function nextStates(
  state: State,
  options: Variation & { readonly rules: readonly ((step: Step) => void)[] },
  each: (next: State, name: string) => void,
): void {
  const step: Step = {
    ...options,
    state,
    to(name, change) {
      const next = copyOf(state);
      try {
        change(next);
      } catch (error) {
        if (error instanceof Violation) error.message = `${name}: ${error.message}`;
        throw error;
      }
      each(next, name);
    },
  };
  for (const rule of options.rules) rule(step);
}

/** Tells `writer` that its write is done. @throws {Violation} if no order of the requests explains it. */
export function answerWriter(next: State, writer: number): void {
  next.register = afterAnswer(next.register, writer, next.writers);
  next.writers[writer] = "answered";
  if (next.register.length === 0) throw new Violation(`the answer to write ${writer + 1} fits no order`);
}

/** Tells a reader `value`. @throws {Violation} if no order of the requests explains it. */
export function answerReader(next: State, value: number): void {
  next.register = afterRead(next.register, value, next.writers);
  if (next.register.length === 0) throw new Violation(`reading ${value} fits no order`);
}
