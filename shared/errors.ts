/**
 * Failures that a peer handles, by code. One row says what a code means at every door: the HTTP status, the NBD error, the
 * number in a compact frame, and what the SDC does with it (replication design, section 3.7).
 *
 * @module
 */

/** What an SDC does about a refusal. */
export type Retry = "never" | "after_new_map" | "after_backoff" | "after_new_token";

/** The meaning of one code. */
export interface ErrorTraits {
  /** Number in the `status` field of a compact frame; 0 is success. Never reused. */
  readonly wire: number;
  readonly http: number;
  readonly nbd: "EPERM" | "EIO" | "ENOMEM" | "EINVAL" | "ENOSPC" | "EOVERFLOW" | "ENOTSUP" | "ESHUTDOWN";
  readonly retry: Retry;
}

const CATALOG = {
  // Refusals of the data path: nothing changed anywhere (I16).
  stale_epoch: { wire: 1, http: 409, nbd: "EIO", retry: "after_new_map" },
  not_primary: { wire: 2, http: 409, nbd: "EIO", retry: "after_new_map" },
  not_ready: { wire: 3, http: 503, nbd: "EIO", retry: "after_backoff" },
  fenced: { wire: 4, http: 403, nbd: "ESHUTDOWN", retry: "never" },
  token_expired: { wire: 5, http: 401, nbd: "EIO", retry: "after_new_token" },
  token_missing: { wire: 6, http: 401, nbd: "EPERM", retry: "after_new_token" },
  token_malformed: { wire: 7, http: 401, nbd: "EPERM", retry: "never" },
  token_signature: { wire: 8, http: 401, nbd: "EPERM", retry: "never" },
  token_volume: { wire: 9, http: 403, nbd: "EPERM", retry: "never" },
  token_mode: { wire: 10, http: 403, nbd: "EPERM", retry: "never" },
  token_range: { wire: 11, http: 403, nbd: "EINVAL", retry: "never" },
  token_session: { wire: 12, http: 403, nbd: "EPERM", retry: "after_new_token" },
  token_used: { wire: 13, http: 403, nbd: "EPERM", retry: "never" },
  stale_lane: { wire: 14, http: 409, nbd: "EIO", retry: "after_backoff" },
  flush_lost: { wire: 15, http: 500, nbd: "EIO", retry: "never" },
  pool_full: { wire: 16, http: 507, nbd: "ENOSPC", retry: "never" },
  io_error: { wire: 17, http: 500, nbd: "EIO", retry: "never" },
  checksum_mismatch: { wire: 18, http: 500, nbd: "EIO", retry: "never" },
  bad_request: { wire: 19, http: 400, nbd: "EINVAL", retry: "never" },
  read_only: { wire: 20, http: 403, nbd: "EPERM", retry: "never" },
  too_busy: { wire: 21, http: 503, nbd: "ENOMEM", retry: "after_backoff" },
  device_failed: { wire: 22, http: 503, nbd: "EIO", retry: "after_new_map" },
  shutting_down: { wire: 23, http: 503, nbd: "ESHUTDOWN", retry: "after_backoff" },
  give_up: { wire: 24, http: 504, nbd: "EIO", retry: "never" },
  stale_session: { wire: 25, http: 409, nbd: "EIO", retry: "after_backoff" },
  unsupported: { wire: 26, http: 501, nbd: "ENOTSUP", retry: "never" },
  /** The primary lost its role with the write under way: it may or may not have happened. Resend with the same opId. */
  outcome_unknown: { wire: 27, http: 503, nbd: "EIO", retry: "after_new_map" },
  /** A single-use token that an operator took back. */
  token_revoked: { wire: 28, http: 403, nbd: "EPERM", retry: "never" },
  /** A single-use token for another SDS, device, or start of a device. */
  token_target: { wire: 29, http: 403, nbd: "EPERM", retry: "after_new_token" },
  // Control plane.
  not_found: { wire: 40, http: 404, nbd: "EINVAL", retry: "never" },
  conflict: { wire: 41, http: 409, nbd: "EINVAL", retry: "never" },
  invalid: { wire: 42, http: 422, nbd: "EINVAL", retry: "never" },
  rule_broken: { wire: 43, http: 400, nbd: "EINVAL", retry: "never" },
  unauthorized: { wire: 44, http: 401, nbd: "EPERM", retry: "never" },
  forbidden: { wire: 45, http: 403, nbd: "EPERM", retry: "never" },
  too_large: { wire: 46, http: 413, nbd: "EOVERFLOW", retry: "never" },
  unavailable: { wire: 47, http: 503, nbd: "EIO", retry: "after_backoff" },
  internal: { wire: 48, http: 500, nbd: "EIO", retry: "never" },
  wrong_method: { wire: 49, http: 405, nbd: "EINVAL", retry: "never" },
} as const satisfies Record<string, ErrorTraits>;

/** Every code. */
export type ErrorCode = keyof typeof CATALOG;

/** The meaning of `code`. */
export function errorTraits(code: ErrorCode): ErrorTraits {
  return CATALOG[code];
}

/** All codes, in the order of their numbers. */
export function errorCodes(): readonly ErrorCode[] {
  return Object.keys(CATALOG).filter(isErrorCode);
}

const BY_WIRE = new Map<number, ErrorCode>(
  Object.entries(CATALOG).map(([code, traits]) => [traits.wire, code as ErrorCode]),
);

/** The code of a compact frame's `status`; `internal` for a number this version does not know. */
export function errorOfWire(wire: number): ErrorCode {
  return BY_WIRE.get(wire) ?? "internal";
}

/** True if `code` is one of ours: for text from outside. */
export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(CATALOG, code);
}

/** A failure that a peer or a person handles. The message says what was attempted, what is, and what should be. */
export class StorageError extends Error {
  override readonly name = "StorageError";
  constructor(readonly code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
  }
}

/** Ends the process's current work on a broken invariant; stays on in production. */
export function assert(condition: unknown, invariant: string): asserts condition {
  if (!condition) throw new Error(`Invariant broken: ${invariant}`);
}

/** Makes the compiler ask for every new variant of a union. */
export function unreachable(value: never): never {
  throw new Error(`Unreachable variant: ${JSON.stringify(value)}`);
}
