/**
 * The inner loop: lines of UTF-8 to records in a frame, as many as it holds. Plain TypeScript: what runs where the kernel
 * (kernel/kernel.ts) cannot, and what the kernel is held against, byte for byte.
 *
 * Eight bytes are looked at as two words (core/word.ts) and stored before it is known whether they are clean: what follows
 * overwrites the rest.
 */
import { firstMark, marks } from "../core/word.ts";
import type { Packed } from "./envelope.ts";
import { special, storeEscape } from "./escape.ts";
import { slackBytes } from "./frame.ts";

/** What to encode and where to. The loop reads it once and writes `end`, `records` and `next` at its end. */
export interface Run {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Whole lines, the last one may lack its end. Must be UTF-8. */
  readonly from: number;
  readonly to: number;
  /** Offset of `bytes[0]`, undefined: records have none. */
  readonly base: number | undefined;
  readonly head: Packed;
  readonly tail: Packed;
  /** A longer line ends the run. */
  readonly lineBytesMax: number;
  readonly skipEmpty: boolean;
  readonly out: Uint8Array;
  readonly outView: DataView;
  /** Where in `out` the records begin, and then where they end. */
  end: number;
  /** Records written. */
  records: number;
  /** Where the first line begins that was not encoded: `to`, or a line that had no room or is too long. */
  next: number;
}

/** Decimal digits of the largest offset, 2^53 - 1. */
export const digitsMax = 16;
const LF = 10;
const CR = 13;

/**
 * Encodes whole lines from `run.from` on, until `run.to`, until the frame is full, or up to a line that is too long. A line has
 * room when the slack stays free behind its last byte, the CR of its end counted as content.
 */
export type EncodeRun = (run: Run) => void;

export const encodeRun: EncodeRun = (run) => {
  const { bytes, view, to, base, head, tail, lineBytesMax, skipEmpty, out, outView } = run;
  const limit = out.length - slackBytes;
  const lineLimit = limit - head.length - digitsMax - tail.length;
  let start = run.from;
  let end = run.end;
  let records = 0;
  while (start < to && end <= lineLimit) {
    const skipped = skipEmpty ? emptyLength(bytes, start, to) : 0;
    start += skipped;
    if (skipped > 0) continue;
    let o = store(outView, end, head);
    if (base !== undefined) o = storeDigits(out, o, base + start);
    o = store(outView, o, tail);
    let i = start;
    let byte = 0;
    // Up to `stop` a step of eight bytes neither reads beyond `to` nor writes beyond `limit` and slack: a byte becomes at most six.
    let stop = -1;
    for (;;) {
      if (i <= stop) {
        const low = view.getInt32(i, true);
        const high = view.getInt32(i + 4, true);
        outView.setInt32(o, low, true);
        outView.setInt32(o + 4, high, true);
        const lowMarks = marks(low);
        const highMarks = marks(high);
        const clean = lowMarks !== 0 ? firstMark(lowMarks) : highMarks !== 0 ? 4 + firstMark(highMarks) : 8;
        i += clean;
        o += clean;
        if (clean === 8) continue;
        byte = bytes[i] as number;
      } else {
        if (i >= to || o > limit) break;
        stop = Math.min(to - 8, i + Math.trunc((limit - o) / 6));
        if (i <= stop) continue;
        byte = bytes[i] as number;
        if (special[byte] === 0) {
          out[o++] = byte;
          i++;
          continue;
        }
      }
      i++;
      if (byte === LF) break;
      o = storeEscape(out, o, byte);
    }
    if ((byte !== LF && i < to) || o > limit) break; // no room: the record begun is taken back
    const cr = byte === LF && i - 2 >= start && bytes[i - 2] === CR ? 1 : 0;
    const ending = byte === LF ? 1 + cr : 0;
    if (i - start - ending > lineBytesMax) break;
    end = close(out, o - 2 * cr); // CR was written as \\r
    start = i;
    records++;
  }
  run.end = end;
  run.records = records;
  run.next = start;
};

/** Bytes of the empty line at `start`, its end included; 0 when the line is not empty. */
function emptyLength(bytes: Uint8Array, start: number, to: number): number {
  if (bytes[start] === LF) return 1;
  return bytes[start] === CR && start + 1 < to && bytes[start + 1] === LF ? 2 : 0;
}

/** Stores constant bytes word by word; up to 3 bytes behind them are overwritten. Returns where they end. */
export function store(view: DataView, at: number, packed: Packed): number {
  const { words } = packed;
  for (let index = 0, o = at; index < words.length; index++, o += 4) view.setInt32(o, words[index] as number, true);
  return at + packed.length;
}

/** Stores `value` in decimal; returns where it ends. Nine digits at a time, since whole-number division is the cheap one. */
export function storeDigits(out: Uint8Array, at: number, value: number): number {
  if (value < 1e9) return storeSmall(out, at, value | 0, 1);
  const high = Math.floor(value / 1e9);
  return storeSmall(out, storeSmall(out, at, high | 0, 1), (value - high * 1e9) | 0, 9);
}

/** Stores `value` (below 10^9) with at least `digits` digits. */
function storeSmall(out: Uint8Array, at: number, value: number, digits: number): number {
  let count = digits;
  for (let power = 10 ** digits; count < 9 && power <= value; power *= 10) count++;
  let rest = value;
  for (let o = at + count - 1; o >= at; o--) {
    const next = (rest / 10) | 0;
    out[o] = 0x30 + rest - next * 10;
    rest = next;
  }
  return at + count;
}

/** Stores the end of a record: `"}` and LF. Returns where it ends. */
export function close(out: Uint8Array, at: number): number {
  out[at] = 0x22;
  out[at + 1] = 0x7d;
  out[at + 2] = LF;
  return at + 3;
}
