/**
 * When a revocation has reached an SDS, or need not any more (replication design, section 6.4).
 *
 * @module
 */

/** What is known of one SDS that was told to revoke. */
export interface RevokedSds {
  /** It answered, or a new process of it registered since and got the current generations before it serves. */
  readonly answered: boolean;
  /** Since when it has been no member of any group of the pool, in ms; undefined while it is one. */
  readonly outsideForMs: number | undefined;
  /** Time since the MDM last heard it, in ms. */
  readonly silentMs: number;
}

/** The times of the rule, in ms. */
export interface RevocationTimes {
  readonly graceMs: number;
  readonly tokenTtlMs: number;
  readonly mdmOutageGraceMs: number;
}

/** True if no token of the revoked generation can be used at this SDS any more. */
export function isRevokedAt(sds: RevokedSds, times: RevocationTimes): boolean {
  if (sds.answered) return true;
  if (sds.outsideForMs !== undefined && sds.outsideForMs >= times.graceMs) return true;
  return sds.silentMs >= times.tokenTtlMs + times.mdmOutageGraceMs;
}
