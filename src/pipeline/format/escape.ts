/** Text into a JSON string, line ends included: the inner loop of what is not a plain line. */
import { firstMark, marks } from "../../core/word.ts";
import { special, storeEscape } from "../escape.ts";

/** Below this a byte at a time costs less than a view of the bytes. */
const shortBytes = 24;

/** Writes `bytes[start, end)` to `out` at `at` as inside of a JSON string; returns where it ends. Six bytes for each must be free. */
export function escapeText(bytes: Uint8Array, start: number, end: number, out: Uint8Array, at: number): number {
  let o = at;
  for (let i = start; i < end; i++) {
    const byte = bytes[i] as number;
    if (special[byte] === 0) out[o++] = byte;
    else o = storeEscape(out, o, byte);
  }
  return o;
}

/** The same, eight bytes at a time; up to eight bytes behind what was written are overwritten. */
export function escapeWords(bytes: Uint8Array, view: DataView, start: number, end: number, out: Uint8Array, outView: DataView, at: number): number {
  if (end - start < shortBytes) return escapeText(bytes, start, end, out, at);
  let o = at;
  let i = start;
  while (i <= end - 8) {
    const low = view.getInt32(i, true);
    const high = view.getInt32(i + 4, true);
    outView.setInt32(o, low, true);
    outView.setInt32(o + 4, high, true);
    const lowMarks = marks(low);
    const highMarks = marks(high);
    const clean = lowMarks !== 0 ? firstMark(lowMarks) : highMarks !== 0 ? 4 + firstMark(highMarks) : 8;
    i += clean;
    o += clean;
    if (clean < 8) o = storeEscape(out, o, bytes[i++] as number);
  }
  return escapeText(bytes, i, end, out, o);
}
