/**
 * Four bytes at a time: where in a word is the first byte that a JSON string cannot hold as it is.
 *
 * The tests (`hasless`, `haszero` of "Bit Twiddling Hacks", S. E. Anderson) let a borrow mark bytes above a true hit, never
 * below one: the lowest mark is right, and no mark is right.
 */

/** The high bit of each byte of a little-endian word that is below 0x20, a quote or a backslash; 0 when none is. */
export function marks(word: number): number {
  const quote = word ^ 0x22222222;
  const backslash = word ^ 0x5c5c5c5c;
  return (((word - 0x20202020) & ~word) | ((quote - 0x01010101) & ~quote) | ((backslash - 0x01010101) & ~backslash)) & 0x80808080;
}

/** Index of the lowest marked byte, 0 to 3. */
export function firstMark(bits: number): number {
  return (31 - Math.clz32(bits & -bits)) >> 3;
}
