/**
 * Passwords: their rules, their hashes by scrypt (RFC 7914), and the one-time password of the first start.
 *
 * A hash is `$scrypt$ln=15,r=8,p=3$<salt>$<hash>`, both base64: 32 MiB of memory and about a fifth of a second each. At most
 * {@linkcode HASHINGS_MAX} are computed at a time and {@linkcode HASHINGS_WAITING_MAX} wait, so that a flood of sign-ins takes
 * neither the memory nor the processors.
 *
 * @module
 */
import { scrypt, timingSafeEqual } from "node:crypto";
import type { Random } from "@/shared/random.ts";
import { StorageError } from "@/shared/errors.ts";

/** Shortest password, in characters. */
export const PASSWORD_LENGTH_MIN = 12;
/** Longest password, in characters. */
export const PASSWORD_LENGTH_MAX = 128;
/** Hashes that are computed at the same time. */
export const HASHINGS_MAX = 2;
/** Hashes that wait for their turn. */
export const HASHINGS_WAITING_MAX = 16;

/** Cost of one hash. The defaults are strength-equivalent to 128 MiB with p = 1 (OWASP password storage). */
export interface HashCost {
  /** Binary logarithm of scrypt's N. */
  readonly logN: number;
  readonly r: number;
  readonly p: number;
}

/** Cost of new hashes. */
export const HASH_COST: HashCost = { logN: 15, r: 8, p: 3 };

const SALT_BYTES = 16;
const KEY_BYTES = 32;

/** Makes and checks hashes. */
export class PasswordHasher {
  readonly #random: Random;
  readonly #cost: HashCost;
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  /** Checked against when there is no such user, so that the answer takes as long. */
  #decoy: Promise<string> | undefined;

  constructor(random: Random, cost: HashCost = HASH_COST) {
    this.#random = random;
    this.#cost = cost;
  }

  /** The hash of `password` under a new salt. @throws {StorageError} too_busy. */
  async hash(password: string): Promise<string> {
    const salt = this.#random.bytes(SALT_BYTES);
    const key = await this.#derive(password, salt, this.#cost);
    const { logN, r, p } = this.#cost;
    return `$scrypt$ln=${logN},r=${r},p=${p}$${salt.toBase64()}$${key.toBase64()}`;
  }

  /** True if `hash` is of `password`; undefined hashes cost as much time as others. @throws {StorageError} too_busy. */
  async matches(password: string, hash: string | undefined): Promise<boolean> {
    const known = hash ?? await (this.#decoy ??= this.hash("no such user"));
    const [, logN, r, p, salt, key] = known.match(/^\$scrypt\$ln=(\d+),r=(\d+),p=(\d+)\$([^$]+)\$([^$]+)$/) ?? [];
    if (salt === undefined || key === undefined) return false;
    const cost = { logN: Number(logN), r: Number(r), p: Number(p) };
    const derived = await this.#derive(password, Uint8Array.fromBase64(salt), cost);
    return timingSafeEqual(derived, Uint8Array.fromBase64(key)) && hash !== undefined;
  }

  async #derive(password: string, salt: Uint8Array, cost: HashCost): Promise<Uint8Array> {
    if (this.#running >= HASHINGS_MAX) {
      if (this.#waiting.length >= HASHINGS_WAITING_MAX) {
        throw new StorageError(
          "too_busy",
          "Cannot check a password now: too many sign-ins at once, try again in a moment",
        );
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve)); // whoever ends hands its place over
    } else {
      this.#running++;
    }
    try {
      return await scryptKey(password.normalize("NFKC"), salt, cost);
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running--;
    }
  }
}

function scryptKey(password: string, salt: Uint8Array, { logN, r, p }: HashCost): Promise<Uint8Array> {
  const N = 2 ** logN;
  return new Promise((resolve, reject) => {
    scrypt(password, salt, KEY_BYTES, { N, r, p, maxmem: 256 * N * r }, (error, key) => {
      if (error) reject(error);
      else resolve(new Uint8Array(key));
    });
  });
}

/** What is wrong with `password` as a new password of `userName`; undefined when nothing is. */
export function passwordProblem(password: string, userName: string): string | undefined {
  const characters = [...password];
  if (characters.length < PASSWORD_LENGTH_MIN) {
    return `It has ${characters.length} characters; use at least ${PASSWORD_LENGTH_MIN}. A few unrelated words do well.`;
  }
  if (characters.length > PASSWORD_LENGTH_MAX) return `It has more than ${PASSWORD_LENGTH_MAX} characters.`;
  if (new Set(characters).size < 5) return "It repeats too few different characters.";
  if (password.toLowerCase().includes(userName.toLowerCase())) return "It contains the user name.";
  return undefined;
}

/** Letters and digits that are not mistaken for one another. */
const ONE_TIME_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789";

/** A one-time password: four groups of five characters, 99 bits. */
export function oneTimePassword(random: Random): string {
  const characters: string[] = [];
  while (characters.length < 20) {
    for (const byte of random.bytes(32)) {
      // Bytes from 248 on would favour some characters.
      if (byte < 248 && characters.length < 20) characters.push(ONE_TIME_ALPHABET[byte % ONE_TIME_ALPHABET.length]!);
    }
  }
  return [0, 5, 10, 15].map((start) => characters.slice(start, start + 5).join("")).join("-");
}
