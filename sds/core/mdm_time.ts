/**
 * The SDS's estimate of MDM time, by which tokens expire (replication design, section 6.3). No wall clock takes part, so their
 * jumps neither expire nor prolong a token. The estimate is an upper bound and never goes back.
 *
 * @module
 */
import { CLOCK_RATE_ERROR } from "@/shared/constants.ts";

/** What the last answered heartbeat told, on the monotonic clock of this process. */
export interface MdmContact {
  /** When the beat was sent and when its answer came, in ms of the monotonic clock. */
  readonly sentMs: number;
  readonly answeredMs: number;
  /** MDM time in the answer. */
  readonly mdmTimeMs: number;
}

/** How tokens are judged when the MDM is silent. */
export interface OutagePolicy {
  /** Silence after which the outage rule applies. */
  readonly silentMs: number;
  /** How long tokens that were valid at the last contact stay valid after it. */
  readonly outageGraceMs: number;
}

/** An upper bound of MDM time. */
export class MdmTime {
  #contact: MdmContact | undefined;
  #floorMs = 0;
  readonly #policy: OutagePolicy;

  constructor(policy: OutagePolicy) {
    this.#policy = policy;
  }

  /** Takes an answered heartbeat. */
  observe(contact: MdmContact): void {
    this.#floorMs = Math.max(this.#floorMs, this.#latestMs(contact.answeredMs));
    this.#contact = contact;
  }

  /** True if a token that expires at `expiresAtMs` of MDM time is accepted at `nowMs` of the monotonic clock. */
  accepts(expiresAtMs: number, nowMs: number): boolean {
    const contact = this.#contact;
    if (contact === undefined) return false;
    const sinceContactMs = nowMs - contact.answeredMs;
    if (sinceContactMs <= this.#policy.silentMs) return this.#latestMs(nowMs) < expiresAtMs;
    return sinceContactMs <= this.#policy.outageGraceMs && this.#latestMs(contact.answeredMs) < expiresAtMs;
  }

  /**
   * True if no token that expires at `expiresAtMs` will ever be accepted again. It had expired at the last contact: one that
   * expired since then may still be honoured when the MDM falls silent, so whoever remembers that it was used goes on.
   */
  expiredForGood(expiresAtMs: number): boolean {
    return this.#contact !== undefined && this.#latestMs(this.#contact.answeredMs) >= expiresAtMs;
  }

  /** Milliseconds since the MDM last answered; infinite before the first answer. */
  silentMs(nowMs: number): number {
    return this.#contact === undefined ? Infinity : nowMs - this.#contact.answeredMs;
  }

  #latestMs(nowMs: number): number {
    const contact = this.#contact;
    if (contact === undefined) return 0;
    const elapsedMs = Math.max(0, nowMs - contact.answeredMs) * (1 + CLOCK_RATE_ERROR);
    const roundTripMs = contact.answeredMs - contact.sentMs;
    return Math.max(this.#floorMs, contact.mdmTimeMs + roundTripMs + elapsedMs);
  }
}
