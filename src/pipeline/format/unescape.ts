/** The text of a JSON string, as bytes. */

const simple = new Uint8Array(128);
for (const pair of ['""', "\\\\", "//", "b\b", "f\f", "n\n", "r\r", "t\t"]) simple[pair.charCodeAt(0)] = pair.charCodeAt(1);

/**
 * Writes what stands between the quotes in `bytes[start, end)` to `out` at `at`, its escapes undone; returns where it ends. It is never
 * longer than it was. A lone surrogate becomes U+FFFD; an escape that is none in JSON stays as it is.
 */
export function unescape(bytes: Uint8Array, start: number, end: number, out: Uint8Array, at: number): number {
  let o = at;
  for (let i = start; i < end; i++) {
    const byte = bytes[i] as number;
    if (byte !== 0x5c || i + 1 >= end) {
      out[o++] = byte;
      continue;
    }
    const next = bytes[i + 1] as number;
    const plain = next < 128 ? (simple[next] as number) : 0;
    if (plain !== 0) {
      out[o++] = plain;
      i++;
      continue;
    }
    let code = next === 0x75 ? hexFour(bytes, i + 2, end) : -1;
    if (code < 0) {
      out[o++] = byte;
      continue;
    }
    i += 5;
    if (code >= 0xd800 && code <= 0xdfff) {
      const low = code <= 0xdbff && bytes[i + 1] === 0x5c && bytes[i + 2] === 0x75 ? hexFour(bytes, i + 3, end) : -1;
      if (low >= 0xdc00 && low <= 0xdfff) {
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        i += 6;
      } else {
        code = 0xfffd;
      }
    }
    o = storeCharacter(out, o, code);
  }
  return o;
}

function hexFour(bytes: Uint8Array, at: number, end: number): number {
  if (at + 4 > end) return -1;
  let value = 0;
  for (let index = at; index < at + 4; index++) {
    const byte = bytes[index] as number;
    const letter = byte | 0x20;
    const digit = byte >= 0x30 && byte <= 0x39 ? byte - 0x30 : letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

function storeCharacter(out: Uint8Array, at: number, code: number): number {
  if (code < 0x80) {
    out[at] = code;
    return at + 1;
  }
  if (code < 0x800) {
    out[at] = 0xc0 | (code >> 6);
    out[at + 1] = 0x80 | (code & 0x3f);
    return at + 2;
  }
  if (code < 0x10000) {
    out[at] = 0xe0 | (code >> 12);
    out[at + 1] = 0x80 | ((code >> 6) & 0x3f);
    out[at + 2] = 0x80 | (code & 0x3f);
    return at + 3;
  }
  out[at] = 0xf0 | (code >> 18);
  out[at + 1] = 0x80 | ((code >> 12) & 0x3f);
  out[at + 2] = 0x80 | ((code >> 6) & 0x3f);
  out[at + 3] = 0x80 | (code & 0x3f);
  return at + 4;
}
