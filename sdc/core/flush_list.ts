/**
 * Which groups of a volume a FLUSH must visit, and what it tells them (replication design, section 4.3). Every answer to a
 * write carries the group's `lossGeneration`; a FLUSH sends the lowest one of the writes it covers, and if the group has
 * another by then, unflushed writes were lost and the FLUSH fails.
 *
 *   write answered ──► recent ──(a round begins)──► covered ──(ok, lost)──► gone
 *                                                      └──────(failed)────► covered by the next round
 *
 * One round runs at a time. A write that completes during a round belongs to the next one: a FLUSH never completes on an
 * earlier one. Values are kept per group, so a write costs two comparisons and no allocation.
 *
 * @module
 */
import { assert } from "@/shared/errors.ts";

/** No write of the group waits for a flush. */
const NONE = 0xffff_ffff;

/** A group that a round visits. */
export interface FlushTarget {
  readonly pgIndex: number;
  /** Lowest lossGeneration among the answers to the writes that the round covers. */
  readonly lossGeneration: number;
}

/** The unflushed groups of one volume. */
export class FlushList {
  readonly #recent: Uint32Array;
  readonly #covered: Uint32Array;
  #roundRuns = false;

  constructor(pgCount: number) {
    this.#recent = new Uint32Array(pgCount).fill(NONE);
    this.#covered = new Uint32Array(pgCount).fill(NONE);
  }

  /** True while a round runs. */
  get roundRuns(): boolean {
    return this.#roundRuns;
  }

  /** A write to the group completed; also sets the values with which a volume is attached. */
  wrote(pgIndex: number, lossGeneration: number): void {
    if (lossGeneration < this.#recent[pgIndex]!) this.#recent[pgIndex] = lossGeneration;
  }

  /** Starts a round and gives what it covers: all groups with writes completed before now. */
  beginRound(): readonly FlushTarget[] {
    assert(!this.#roundRuns, "flushes of a volume run in rounds, one at a time");
    this.#roundRuns = true;
    const targets: FlushTarget[] = [];
    for (let pgIndex = 0; pgIndex < this.#recent.length; pgIndex++) {
      const lossGeneration = Math.min(this.#recent[pgIndex]!, this.#covered[pgIndex]!);
      if (lossGeneration === NONE) continue;
      this.#covered[pgIndex] = lossGeneration;
      this.#recent[pgIndex] = NONE;
      targets.push({ pgIndex, lossGeneration });
    }
    return targets;
  }

  /** The group answered: what the round covers there is stable (`ok`) or reported as lost, once, so it leaves the list. */
  settled(pgIndex: number): void {
    assert(this.#roundRuns, "a group is settled within a round");
    this.#covered[pgIndex] = NONE;
  }

  /** Ends the round. Groups that were not settled stay on the list with their lowest value. */
  endRound(): void {
    assert(this.#roundRuns, "a round that ends began");
    this.#roundRuns = false;
  }
}
