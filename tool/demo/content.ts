/**
 * A sum over the content of lines that does not depend on their order: what was written and what was delivered can be compared
 * without keeping either.
 */

/** `sum` and one more line; stays a whole number below 2^52. */
export function contentSum(sum: number, line: Uint8Array | string): number {
  return (sum + Bun.hash.crc32(line)) % 2 ** 52;
}
