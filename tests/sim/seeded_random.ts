/**
 * Randomness of a simulated run: everything that is drawn follows from the seed and the name of the stream, so that one more
 * draw in one part does not move another part (sfc32 of PractRand by Chris Doty-Humphrey, seeded with SHA-256).
 *
 * @module
 */
import { createHash } from "node:crypto";
import { assert } from "@/shared/errors.ts";
import type { Random } from "@/shared/random.ts";

/** A repeatable stream of numbers. */
export class SeededRandom implements Random {
  readonly #name: string;
  #a: number;
  #b: number;
  #c: number;
  #counter: number;

  /** Streams of equal names are equal. */
  constructor(name: string) {
    this.#name = name;
    const digest = createHash("sha256").update(name).digest();
    this.#a = digest.readInt32BE(0);
    this.#b = digest.readInt32BE(4);
    this.#c = digest.readInt32BE(8);
    this.#counter = digest.readInt32BE(12);
  }

  /** A stream of its own for the part `name`. */
  fork(name: string): SeededRandom {
    return new SeededRandom(`${this.#name}/${name}`);
  }

  /** 32 random bits, 0 to 2^32 - 1. */
  bits(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum | 0;
    return sum >>> 0;
  }

  fraction(): number {
    return this.bits() / 2 ** 32;
  }

  bytes(count: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(count);
    for (let index = 0; index < count; index++) bytes[index] = this.bits() >>> 24;
    return bytes;
  }

  /** An integer from `min` to `max`, both included. */
  integer(min: number, max: number): number {
    return min + Math.floor(this.fraction() * (max - min + 1));
  }

  /** A number from `min` to `max`. */
  between(min: number, max: number): number {
    return min + this.fraction() * (max - min);
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  /** One of `choices`, which is not empty. */
  pick<Choice>(choices: readonly Choice[]): Choice {
    assert(choices.length > 0, "one of nothing cannot be picked");
    return choices[this.integer(0, choices.length - 1)]!;
  }

  /** One of the names, each as likely as its weight says. */
  weighted<Name extends string>(weights: Readonly<Record<Name, number>>): Name {
    const entries = Object.entries<number>(weights);
    let rest = this.fraction() * entries.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [name, weight] of entries) {
      rest -= weight;
      if (rest < 0) return name as Name; // a key of `weights`
    }
    return entries.at(-1)![0] as Name; // rounding at the upper end
  }
}
