/**
 * JSON laid out as one value a line, in place: the values of an array, or values one after the other, also when they are
 * written over many lines for people. Only white space, and the brackets and commas of the outermost array, are changed, so that
 * every value keeps its bytes: no number is rounded on the way.
 *
 * This does not judge: what is not JSON comes out as a line that is none, and whoever reads the lines says so.
 */

const LF = 0x0a;
const SPACE = 0x20;

/** True when `bytes` was one array; its elements are lines now. */
export function layOut(bytes: Uint8Array): boolean {
  let first = 0;
  while (first < bytes.length && isSpace(bytes[first])) first++;
  let last = bytes.length - 1;
  while (last > first && isSpace(bytes[last])) last--;
  // An array that does not end is left as it is, and refused as a whole.
  const array = last > first && bytes[first] === 0x5b && bytes[last] === 0x5d;
  if (array) bytes[first] = bytes[last] = SPACE;
  let depth = 0;
  let commas = 0;
  /** In an array: something stands behind the last comma. */
  let filled = false;
  for (let at = first; at < bytes.length; at++) {
    const byte = bytes[at];
    if (isSpace(byte)) {
      if (array || depth > 0) bytes[at] = SPACE;
      continue;
    }
    if (array && byte === 0x2c && depth === 0 && filled) {
      bytes[at] = LF;
      commas++;
      filled = false;
      continue;
    }
    filled = true;
    if (byte === 0x22) at = stringEnd(bytes, at);
    else if (byte === 0x7b || byte === 0x5b) depth++;
    else if (byte === 0x7d || byte === 0x5d) depth--;
  }
  if (!array) return false;
  bytes.fill(SPACE, 0, first); // empty lines before it would be counted
  if (commas > 0 && !filled) bytes[last] = 0x2c; // [1,]: what is missing is no JSON, and said
  return true;
}

/** The closing quote of the string that begins at `start`, or the last byte. */
function stringEnd(bytes: Uint8Array, start: number): number {
  for (let at = start + 1; at < bytes.length; at++) {
    if (bytes[at] === 0x5c) at++;
    else if (bytes[at] === 0x22) return at;
  }
  return bytes.length - 1;
}

function isSpace(byte: number | undefined): boolean {
  return byte === SPACE || byte === LF || byte === 0x0d || byte === 0x09;
}
