/**
 * What a client may observe: the block as a linearisable register. A {@linkcode Register} is the set of all situations that some
 * order of the requests so far allows. Each is a small number:
 *
 * | bits | meaning |
 * | ---: | --- |
 * | 0, 1 | writes that took effect although their client waits for the answer |
 * | 2, 3 | writes that were sent again while another SDC writes too, and may take effect once more: the exception stated under C1 |
 * | 4, 5 | the value: 0 at first, 1 or 2 after a write |
 *
 * An empty set is a violation: no order explains what a client saw.
 *
 * @module
 */
import { WRITER_COUNT, type WriterState } from "@/tests/model/state.ts";

/** The possible situations, ascending. */
export type Register = readonly number[];

const VALUE_SHIFT = 4;
const AGAIN_SHIFT = 2;
const MASK = (1 << VALUE_SHIFT) - 1;

/** Nothing was written. */
export const INITIAL_REGISTER: Register = [0];

/** The situations left once `writer` got its answer: its write took effect before. */
export function afterAnswer(register: Register, writer: number, writers: readonly WriterState[]): Register {
  return sorted(
    withPending(register, writers)
      .filter((situation) => situation & (1 << writer))
      .map((situation) => situation & ~(1 << writer) & ~(1 << (AGAIN_SHIFT + writer))),
  );
}

/** The situations left once a client read `value`. */
export function afterRead(register: Register, value: number, writers: readonly WriterState[]): Register {
  return sorted(withPending(register, writers).filter((situation) => situation >> VALUE_SHIFT === value));
}

/** The situations in which `writer`'s request, sent again, may take effect twice. */
export function afterResend(register: Register, writer: number): Register {
  return sorted(register.map((situation) => situation | (1 << (AGAIN_SHIFT + writer))));
}

/** The situations after an announced loss that left `value`: whatever waits may have taken effect or not. */
export function afterLoss(value: number, writers: readonly WriterState[]): Register {
  let again = 0;
  writers.forEach((writer, index) => {
    if (writer === "waiting") again |= 1 << (AGAIN_SHIFT + index);
  });
  return sorted(Array.from({ length: 1 << WRITER_COUNT }, (_, mask) => (value << VALUE_SHIFT) | again | mask));
}

/** `register` with every situation that writes under way may have led to. */
function withPending(register: Register, writers: readonly WriterState[]): number[] {
  const found = new Set(register);
  for (const situation of found) {
    for (let writer = 0; writer < WRITER_COUNT; writer++) {
      if (writers[writer] !== "waiting") continue;
      const value = (writer + 1) << VALUE_SHIFT;
      const mask = situation & MASK;
      if (!(mask & (1 << writer))) found.add(value | mask | (1 << writer));
      const again = 1 << (AGAIN_SHIFT + writer);
      if (mask & again) found.add(value | (mask & ~again));
    }
  }
  return [...found];
}

function sorted(situations: readonly number[]): Register {
  return [...new Set(situations)].sort((left, right) => left - right);
}
