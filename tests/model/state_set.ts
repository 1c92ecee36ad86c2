/**
 * A set of texts of which only 64-bit hashes are kept, in two flat arrays: 8 bytes per state, so that millions fit. Two states with
 * the same hash count as one; at ten million states the chance that any pair collides is about 3 in a million.
 *
 * @module
 */

/** Hashes of the states reached so far. */
export class StateSet {
  readonly #high: Uint32Array;
  readonly #low: Uint32Array;
  readonly #mask: number;
  #size = 0;

  /** Room for at least `statesMax` states. */
  constructor(statesMax: number) {
    const slots = 1 << Math.ceil(Math.log2(statesMax * 1.5 + 16));
    this.#high = new Uint32Array(slots);
    this.#low = new Uint32Array(slots);
    this.#mask = slots - 1;
  }

  /** States in the set. */
  get size(): number {
    return this.#size;
  }

  /** Adds `text`; false if it was there. */
  add(text: string): boolean {
    let high = 2166136261;
    let low = 0x9e3779b9;
    for (let index = 0; index < text.length; index++) {
      const code = text.charCodeAt(index);
      high = Math.imul(high ^ code, 16777619);
      low = Math.imul(low + code, 0x85ebca6b);
      low ^= low >>> 13;
    }
    high = Math.imul(high ^ (high >>> 15), 0x2c1b3c6d);
    high = (high ^ (high >>> 12)) >>> 0;
    low = (low >>> 0) || 1;
    let slot = (high ^ Math.imul(low, 0x27d4eb2f)) & this.#mask;
    while (this.#low[slot] !== 0) {
      if (this.#high[slot] === high && this.#low[slot] === low) return false;
      slot = (slot + 1) & this.#mask;
    }
    this.#high[slot] = high;
    this.#low[slot] = low;
    this.#size++;
    return true;
  }
}
