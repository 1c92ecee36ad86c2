/**
 * When the MDM is told what volumes use: with the first beat after a registration, when something changed, and with each
 * {@linkcode TOLD_EVERY_BEATS}th beat whether or not. Adding up visits every group led from here, so idle beats do without.
 *
 * @module
 */
import type { SdsHeartbeatMessage } from "@/shared/api/sds.ts";

/** Beats after which it is told again: what comes and goes between two beats leaves no mark. */
export const TOLD_EVERY_BEATS = 10;

/** Chunks of each node in the groups led from here. */
export type NodeUsage = NonNullable<SdsHeartbeatMessage["nodeUsage"]>;

/** See the module comment. */
export class NodeUsageReport {
  readonly #options: { mark(): string; read(): NodeUsage };
  #toldMark: string | undefined;
  #beatsSince = 0;

  /**
   * @param options.mark cheap to make, and another one when chunks or roles changed.
   * @param options.read adds up the usage.
   */
  constructor(options: { mark(): string; read(): NodeUsage }) {
    this.#options = options;
  }

  /** What the next beat tells; undefined when the MDM knows. */
  next(): { readonly mark: string; readonly usage: NodeUsage } | undefined {
    const mark = this.#options.mark();
    this.#beatsSince++;
    if (mark === this.#toldMark && this.#beatsSince < TOLD_EVERY_BEATS) return undefined;
    return { mark, usage: this.#options.read() };
  }

  /** The MDM has answered a beat that carried `told`. */
  taken(told: { readonly mark: string } | undefined): void {
    if (told === undefined) return;
    this.#toldMark = told.mark;
    this.#beatsSince = 0;
  }

  /** The MDM knows nothing any more: it was registered at. */
  forget(): void {
    this.#toldMark = undefined;
  }
}
