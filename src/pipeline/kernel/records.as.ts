/**
 * Lines that are more than plain text to NDJSON records: JSON objects spliced in as they are, times read in the line. What a
 * record must be is told by ../format/encoder.ts and ../format/record.ts; a line of which anything is doubtful ends the call, and
 * is left to them.
 *
 *     {"timestamp":"2026-11-23T01:  30:20.590123  Z","host":"…","file":"…","offset":  183  ,"data":  {…}  }
 *     └────────── open ─────────┘                 └──────────── head ────────────┘       └─ tail ─┘
 */
import { object, space, spans } from "./json.as.ts";
import { head, output, result, tail } from "./lines.as.ts";
import { content, copy, CR, digits, leadingZeros, LF } from "./text.as.ts";
import { endsTime, readTime, timeEnd, timeStart } from "./time.as.ts";

/** As in text.as.ts. */
const slackBytes: usize = 128;
/** Minute, second and nanoseconds, stored in words. */
const timeBytesMax: usize = 24;

/** A record's begin up to the hour. Written by the caller. */
export const openBytesMax: i32 = 64;
export const open: usize = memory.data(64, 16);

/** What a record's content is: the line, an object as it is, an object as text. */
const ofLine: i32 = 0;
const ofObject: i32 = 1;

let openBytes: usize = 0;
let headBytes: usize = 0;
let tailBytes: usize = 0;
let lineBytesMax: usize = 0;
let form: i32 = ofLine;
/** Minute of the hour in UTC with which the quarter begins; -1: lines have no time, the head holds all. */
let minute: i32 = -1;
/** The time is the value of the first key that is looked for. */
let keyed: bool = false;

/** How records are made from now on. */
export function shape(ofOpen: usize, ofHead: usize, ofTail: usize, longest: usize, content: i32, quarterMinute: i32, byKey: bool): void {
  openBytes = ofOpen;
  headBytes = ofHead;
  tailBytes = ofTail;
  lineBytesMax = longest;
  form = content;
  minute = quarterMinute;
  keyed = byKey;
}

/**
 * Encodes whole lines of [from, to) to records from `output` on, until `to`, a line that does not fit below `limit`, or one that is
 * left to others, an empty one among them. The offset of `from` is `high` x 10^8 + `low`; with `high` -1 records have none. Behind
 * what `lines` leaves in `result` stand the least, the largest and the last time, in nanoseconds from the begin of the quarter.
 */
export function records(from: usize, to: usize, limit: usize, high: i32, low: i32): void {
  const lineLimit = limit - openBytes - timeBytesMax - headBytes - 16 - tailBytes;
  let start = from;
  let end = output;
  let count = 0;
  let least: i64 = i64.MAX_VALUE;
  let largest: i64 = -1;
  let last: i64 = 0;
  setHigh(high);
  while (start < to && end <= lineLimit) {
    if (load<u8>(start) === LF || (load<u8>(start) === CR && load<u8>(start + 1) === LF)) break;
    let first = start;
    let behind = start;
    if (form !== ofLine) {
      first = space(start);
      if (load<u8>(first) !== 0x7b) break;
      behind = object(first);
      if (behind === 0 || load<u8>(space(behind)) !== LF) break;
    }
    let o = end;
    let time: i64 = 0;
    if (minute >= 0) {
      time = keyed ? timeOfKey() : timeOfLine(start);
      if (time < 0) break;
      o = copyTime(copy(o, open, openBytes), time);
    }
    o = copy(o, head, headBytes);
    if (high >= 0) o = copyOffset(o, low);
    o = copy(o, tail, tailBytes);
    let i = behind;
    if (form === ofObject) {
      if (o + (behind - first) > limit) break;
      o = copy(o, first, behind - first);
      i = space(behind);
    } else {
      const reached = content(first, o, limit);
      i = <usize>(reached >> 32);
      o = <usize>(<u32>reached);
      if (o > limit) break;
    }
    const ending = <usize>(i < to);
    const carriage = ending & <usize>(i > start && load<u8>(i - 1) === CR);
    if (i - start - carriage > lineBytesMax) break;
    if (form === ofObject) {
      store<u16>(o, 0x0a7d);
      end = o + 2;
    } else {
      // White space behind an object is no part of its text.
      if (form !== ofLine && behind !== i - carriage) break;
      end = o - 2 * carriage;
      store<u32>(end, 0x0a7d22);
      end += 3;
    }
    count++;
    last = time;
    if (time < least) least = time;
    if (time > largest) largest = time;
    low += <i32>(i + ending - start);
    start = i + ending;
    // The upper digits stay for a whole call: the caller goes on with new ones.
    if (low >= 100000000) break;
  }
  store<u32>(result, <u32>start);
  store<u32>(result, <u32>end, 4);
  store<u32>(result, count, 8);
  store<f64>(result, <f64>least, 16);
  store<f64>(result, <f64>largest, 24);
  store<f64>(result, <f64>last, 32);
}

let highDigits: u64 = 0;
let highBytes: usize = 0;

/** The upper digits of the offsets that `copyOffset` writes. */
function setHigh(high: i32): void {
  highBytes = 0;
  if (high <= 0) return;
  highDigits = digits(high);
  highBytes = 8 - leadingZeros(highDigits);
  highDigits = (highDigits | 0x3030303030303030) >> ((8 - highBytes) << 3);
}

function copyOffset(at: usize, low: i32): usize {
  const lowDigits = digits(low);
  if (highBytes === 0) {
    const zeros = leadingZeros(lowDigits);
    store<u64>(at, (lowDigits | 0x3030303030303030) >> (zeros << 3));
    return at + 8 - zeros;
  }
  store<u64>(at, highDigits);
  store<u64>(at + highBytes, lowDigits | 0x3030303030303030);
  return at + highBytes + 8;
}

function timeOfLine(start: usize): i64 {
  const at = timeStart(start);
  if (at === 0) return -1;
  const nanos = readTime(at);
  return nanos >= 0 && endsTime(load<u8>(timeEnd)) ? nanos : -1;
}

function timeOfKey(): i64 {
  const from = <usize>load<u32>(spans);
  if (from === 0) return -1;
  const quotes = <usize>(load<u8>(from) === 0x22);
  const nanos = readTime(from + quotes);
  return nanos >= 0 && timeEnd === <usize>load<u32>(spans, 4) - quotes ? nanos : -1;
}

/** `30:20.590123`, to the nanosecond where it says one; up to two bytes behind are overwritten. */
function copyTime(at: usize, nanos: i64): usize {
  const seconds = <u32>(nanos / 1_000_000_000);
  const rest = <u32>(nanos % 1_000_000_000);
  const parts = digits((<u32>minute + seconds / 60) * 1000 + (seconds % 60));
  // Digits 4 and 5 of the eight are the minute, 7 and 8 the second, since the one between is 0.
  store<u64>(at, ((parts >> 24) & 0xffff) | 0x3a3030 | ((parts >> 48) << 24) | 0x2e_3030_000000);
  if (rest % 1000 === 0) {
    store<u64>(at + 6, (digits(rest / 1000) | 0x3030303030303030) >> 16);
    return at + 12;
  }
  const upper = rest / 10;
  store<u64>(at + 6, digits(upper) | 0x3030303030303030);
  store<u8>(at + 14, <u8>(0x30 + rest - upper * 10));
  return at + 15;
}

/** What `rows` leaves of each object: where it begins and ends, and the spans of the keys looked for. Ten words each. */
export const rowsMax: i32 = 256;
export const table: usize = memory.data(10240, 16);

/**
 * Reads lines of [from, to), each one object and nothing else but white space, until `to`, `rowsMax`, or a line that is left to others.
 * Leaves where it stopped and how many there are in `result`.
 */
export function rows(from: usize, to: usize): void {
  let start = from;
  let row = table;
  let count: i32 = 0;
  for (; start < to && count < rowsMax; count++) {
    const first = space(start);
    if (load<u8>(first) !== 0x7b) break;
    const behind = object(first);
    if (behind === 0) break;
    const end = space(behind);
    if (load<u8>(end) !== LF) break;
    store<u32>(row, <u32>first);
    store<u32>(row, <u32>behind, 4);
    v128.store(row + 8, v128.load(spans));
    v128.store(row + 24, v128.load(spans, 16));
    row += 40;
    start = end + 1;
  }
  store<u32>(result, <u32>start);
  store<u32>(result, count, 8);
}

export { lookFor, wanted, wantedMax } from "./json.as.ts";
export { readCounts, readTexts, timeAfter, timePrefix, timeSuffix, timeTextBytesMax } from "./time.as.ts";
