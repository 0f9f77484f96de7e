/** Bodies as chunks: text in pieces of what a file source reads at once, NDJSON whole, since all of it is stored or nothing. */

const LF = 0x0a;

/**
 * Whole lines of at least `bytesMin` each, in order: a piece ends with the line that reaches it. So a body of short lines, which
 * grows ten times in its envelopes, does not need ten times its size in one commit group.
 */
export function pieces(bytes: Uint8Array, bytesMin: number): Uint8Array[] {
  const found: Uint8Array[] = [];
  for (let start = 0; start < bytes.length;) {
    const end = bytes.indexOf(LF, start + bytesMin - 1) + 1 || bytes.length;
    found.push(bytes.subarray(start, end));
    start = end;
  }
  return found;
}

/** Whether `bytes` has more than `linesMax` lines. */
export function hasMoreLines(bytes: Uint8Array, linesMax: number): boolean {
  let lines = 0;
  for (let at = bytes.indexOf(LF); at >= 0 && lines <= linesMax; at = bytes.indexOf(LF, at + 1)) lines++;
  return lines > linesMax;
}
