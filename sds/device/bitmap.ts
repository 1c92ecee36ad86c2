/**
 * Bitmaps over bytes: bit i is bit `i % 8` of byte `floor(i / 8)`.
 *
 * @module
 */

export function hasBit(bitmap: Uint8Array, index: number): boolean {
  return (bitmap[index >> 3]! & (1 << (index & 7))) !== 0;
}

export function setBit(bitmap: Uint8Array, index: number): void {
  bitmap[index >> 3]! |= 1 << (index & 7);
}

export function clearBit(bitmap: Uint8Array, index: number): void {
  bitmap[index >> 3]! &= ~(1 << (index & 7));
}

/** Sets in `target` what is set in `source`; true if that changed it. Both have the same length. */
export function mergeBits(target: Uint8Array, source: Uint8Array): boolean {
  let changed = false;
  for (let index = 0; index < target.length; index++) {
    const merged = target[index]! | source[index]!;
    changed ||= merged !== target[index];
    target[index] = merged;
  }
  return changed;
}

/** The indexes of the bits that are set, rising. */
export function setBitsOf(bitmap: Uint8Array): number[] {
  const indexes: number[] = [];
  for (let byteIndex = 0; byteIndex < bitmap.length; byteIndex++) {
    if (bitmap[byteIndex] === 0) continue;
    for (let bit = 0; bit < 8; bit++) {
      if (bitmap[byteIndex]! & (1 << bit)) indexes.push(byteIndex * 8 + bit);
    }
  }
  return indexes;
}
