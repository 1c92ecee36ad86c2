/**
 * Randomness as a capability: keys, nonces, jitter and incarnations draw from it, the simulator seeds it.
 *
 * @module
 */

/** Source of random numbers. */
export interface Random {
  /** `count` random bytes, of cryptographic quality outside the simulator. */
  bytes(count: number): Uint8Array<ArrayBuffer>;
  /** A number from 0 (included) to 1 (excluded). For jitter, never for secrets. */
  fraction(): number;
}

/** The random source of this host. */
export const systemRandom: Random = {
  bytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
  fraction: () => Math.random(),
};

/** `count` random bytes as lower-case hexadecimal. */
export function randomHex(random: Random, count: number): string {
  return random.bytes(count).toHex();
}

/** A random UUID, version 4 (RFC 9562 section 5.4). */
export function randomUuid(random: Random): string {
  const bytes = random.bytes(16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = bytes.toHex();
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
