/**
 * What the SDC does about a refusal (replication design, section 3.7), by the retry column of `shared/errors.ts`.
 *
 * | retry | decision |
 * | --- | --- |
 * | never | the request fails with the code; `fenced` also stops the volume |
 * | after_new_map | fetch the map, resend when the group's route changed, at latest after the back-off |
 * | after_backoff | the same: whoever is not ready may have lost the role |
 * | after_new_token | renew the token, resend when it is there, at latest after the back-off |
 *
 * @module
 */
import { type ErrorCode, errorTraits, unreachable } from "@/shared/errors.ts";

/** Shortest wait before a request is sent again, in ms. */
export const BACKOFF_MS_MIN = 50;
/** Longest wait before a request is sent again, in ms. */
export const BACKOFF_MS_MAX = 1_000;

/** What to do with a refused request. */
export type RetryDecision =
  | { readonly kind: "fail" }
  | { readonly kind: "stop" }
  | { readonly kind: "retry"; readonly needs: "map" | "token"; readonly delayMs: number };

/** The decision for `code`, after `attempt` earlier refusals (0 at the first); `fraction` from 0 to 1 is the jitter. */
export function afterRefusal(code: ErrorCode, attempt: number, fraction: number): RetryDecision {
  if (code === "fenced") return { kind: "stop" };
  const { retry } = errorTraits(code);
  switch (retry) {
    case "never":
      return { kind: "fail" };
    case "after_new_map":
    case "after_backoff":
      return { kind: "retry", needs: "map", delayMs: backoffMs(attempt, fraction) };
    case "after_new_token":
      return { kind: "retry", needs: "token", delayMs: backoffMs(attempt, fraction) };
    default:
      return unreachable(retry);
  }
}

/** A wait that doubles with each attempt, with full jitter above {@linkcode BACKOFF_MS_MIN}. */
export function backoffMs(attempt: number, fraction: number, maxMs: number = BACKOFF_MS_MAX): number {
  const ceilingMs = Math.min(maxMs, BACKOFF_MS_MIN * 2 ** Math.min(attempt, 16));
  return BACKOFF_MS_MIN + fraction * (ceilingMs - BACKOFF_MS_MIN);
}

/**
 * True if a refusal says that nothing was changed by the request (I16). After any other end of an attempt the write may
 * or may not have been applied.
 */
export function changedNothing(code: ErrorCode): boolean {
  return code !== "outcome_unknown";
}
