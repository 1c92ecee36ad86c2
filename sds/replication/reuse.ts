/**
 * Objects of the hot path that are used again and again, so that an operation allocates nothing.
 *
 * @module
 */

/** Idle objects kept: a few sessions' worth of operations. */
const IDLE_MAX = 1024;

/** Idle objects of one class. Whoever takes one fills all of it. */
export class Reuse<Item> {
  readonly #idle: Item[] = [];
  readonly #make: () => Item;

  constructor(make: () => Item) {
    this.#make = make;
  }

  take(): Item {
    return this.#idle.pop() ?? this.#make();
  }

  /** Takes back an object that nobody uses any more. */
  give(item: Item): void {
    if (this.#idle.length < IDLE_MAX) this.#idle.push(item);
  }
}
