/** JSON escapes of bytes (RFC 8259, section 7): the tables of the encoder's loop, and what a line will take. */

/** 1 for a byte that cannot stand in a JSON string as it is: controls, quote, backslash. Bytes from 0x80 up are UTF-8 and stay. */
export const special = new Uint8Array(256);

/** The letter after the backslash, 0 where it takes `\u00XX`. */
export const shortEscape = new Uint8Array(256);

/** Bytes that one byte becomes: 1, 2 or 6. */
const escapedBytes = new Uint8Array(256).fill(1);

export const hexDigit: Uint8Array = new TextEncoder().encode("0123456789abcdef");

for (let byte = 0; byte < 0x20; byte++) {
  special[byte] = 1;
  escapedBytes[byte] = 6;
}
for (const [byte, letter] of ['""', "\\\\", "\bb", "\ff", "\nn", "\rr", "\tt"].map((pair) => [pair.charCodeAt(0), pair.charCodeAt(1)] as const)) {
  special[byte] = 1;
  shortEscape[byte] = letter;
  escapedBytes[byte] = 2;
}

/** Stores the escape of a special byte, two or six bytes; returns where it ends. */
export function storeEscape(out: Uint8Array, at: number, byte: number): number {
  out[at] = 0x5c;
  const letter = shortEscape[byte] as number;
  if (letter !== 0) {
    out[at + 1] = letter;
    return at + 2;
  }
  out[at + 1] = 0x75;
  out[at + 2] = 0x30;
  out[at + 3] = 0x30;
  out[at + 4] = hexDigit[byte >> 4] as number;
  out[at + 5] = hexDigit[byte & 15] as number;
  return at + 6;
}

/** Bytes that `bytes[start, end)` takes inside a JSON string. */
export function escapedLength(bytes: Uint8Array, start: number, end: number): number {
  let total = 0;
  for (let at = start; at < end; at++) total += escapedBytes[bytes[at] ?? 0] ?? 1;
  return total;
}

/**
 * Where to cut `bytes[start, end)` so that at most `bytesMax` remain and no UTF-8 character is torn. In bytes that are
 * not UTF-8 the cut is at most 3 bytes early.
 */
export function cutAt(bytes: Uint8Array, start: number, end: number, bytesMax: number): number {
  if (end - start <= bytesMax) return end;
  const limit = start + bytesMax;
  let cut = limit;
  while (cut > start && limit - cut < 3 && isContinuation(bytes[cut])) cut--;
  return isContinuation(bytes[cut]) ? limit : cut;
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}
