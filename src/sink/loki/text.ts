/** The text of a JSON string, as bytes. */

const simple = new Uint8Array(128);
for (const pair of ['""', "\\\\", "//", "b\b", "f\f", "n\n", "r\r", "t\t"]) simple[pair.charCodeAt(0)] = pair.charCodeAt(1);

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * Writes `bytes[start, end)`, what should stand between two quotes, to `out` at `at`, its escapes undone; returns how long it is. -1
 * when there is a bare quote in it or an escape by number: then a parser has to look. Bytes are copied one by one: lines have an
 * escape every 50 bytes or so, and four calls for each would cost more.
 */
export function unescape(bytes: Uint8Array, start: number, end: number, out: Uint8Array, at: number): number {
  let o = at;
  for (let i = start; i < end; i++) {
    let byte = bytes[i] as number;
    if (byte === QUOTE) return -1;
    if (byte === BACKSLASH) {
      const next = i + 1 < end ? (bytes[++i] as number) : 0;
      byte = next < 128 ? (simple[next] as number) : 0;
      if (byte === 0) return -1;
    }
    out[o++] = byte;
  }
  return o - at;
}
