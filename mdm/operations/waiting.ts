/**
 * Bounded waiting of a request for something that other requests bring about.
 *
 * @module
 */
import { type Clock, sleep } from "@/shared/clock.ts";

/** Time between two looks, in ms. */
const LOOK_MS = 50;

/** True as soon as `condition` holds, false if it did not within `timeoutMs`. */
export async function waitUntil(
  clock: Clock,
  options: { condition: () => boolean; timeoutMs: number },
): Promise<boolean> {
  const endMs = clock.monotonicMs() + options.timeoutMs;
  while (!options.condition()) {
    if (clock.monotonicMs() >= endMs) return false;
    await sleep(clock, LOOK_MS);
  }
  return true;
}
