/**
 * Single-use tokens as this process knows them (replication design, section 6.2): which segments were used, which tokens were
 * taken back, and what the MDM has not been told yet.
 *
 * A used segment is remembered until its token can never be accepted again, also not in an outage of the MDM. It need not outlive
 * the process: a token names the start of the device that it is for.
 *
 * @module
 */
import { CONSUMED_TOKENS_PER_BEAT_MAX, type ConsumedToken, type RevokedToken } from "@/shared/api/sds.ts";
import { StorageError } from "@/shared/errors.ts";
import type { MdmTime } from "@/sds/core/mdm_time.ts";

/** Used segments that are remembered; while so many tokens live, no other is accepted. */
export const USED_SEGMENTS_MAX = 200_000;
/** Uses that wait to be told; what is beyond is not told. */
export const UNTOLD_USES_MAX = 10_000;

/** See the module comment. */
export class TokenUses {
  /** Expiry by token and segment. */
  readonly #used = new Map<string, number>();
  /** Expiry by token. */
  readonly #revoked = new Map<string, number>();
  #untold: ConsumedToken[] = [];
  /** Uses since the process started. */
  consumedCount = 0;
  readonly #recorded: ((use: ConsumedToken) => void) | undefined;

  /** @param recorded hears of every use that is over. */
  constructor(recorded?: (use: ConsumedToken) => void) {
    this.#recorded = recorded;
  }

  get usedCount(): number {
    return this.#used.size;
  }

  get untoldCount(): number {
    return this.#untold.length;
  }

  isRevoked(tokenId: string): boolean {
    return this.#revoked.has(tokenId);
  }

  isUsed(tokenId: string, segmentIndex: number): boolean {
    return this.#used.has(`${tokenId}/${segmentIndex}`);
  }

  /** Marks a segment as used. @throws {StorageError} `too_busy` when no more can be remembered: it was not used then. */
  use(token: { readonly tokenId: string; readonly expiresAtMs: number }, segmentIndex: number): void {
    if (this.#used.size >= USED_SEGMENTS_MAX) {
      throw new StorageError("too_busy", `Cannot use the token: ${USED_SEGMENTS_MAX} used ones have not expired yet`);
    }
    this.#used.set(`${token.tokenId}/${segmentIndex}`, token.expiresAtMs);
    this.consumedCount++;
  }

  /** A use is over: the next beat tells it. */
  done(use: ConsumedToken): void {
    if (this.#untold.length < UNTOLD_USES_MAX) this.#untold.push(use);
    this.#recorded?.(use);
  }

  /** Uses that the MDM has not been told of, oldest first. */
  untold(): readonly ConsumedToken[] {
    return this.#untold;
  }

  /** For the next heartbeat. */
  nextUses(): ConsumedToken[] {
    return this.#untold.slice(0, CONSUMED_TOKENS_PER_BEAT_MAX);
  }

  /** The MDM has answered a beat that carried these, the oldest. */
  usesTaken(uses: readonly ConsumedToken[]): void {
    this.#untold = this.#untold.slice(uses.length);
  }

  /** Takes what the MDM says is taken back, and forgets what can never be accepted again. */
  heard(mdmTime: MdmTime, revoked: readonly RevokedToken[]): void {
    for (const { tokenId, expiresAtMs } of revoked) this.#revoked.set(tokenId, expiresAtMs);
    for (const known of [this.#used, this.#revoked]) {
      for (const [key, expiresAtMs] of known) if (mdmTime.expiredForGood(expiresAtMs)) known.delete(key);
    }
  }
}
