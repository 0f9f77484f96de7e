/**
 * Times out of lines, by a template: what a time that ../format/instant.ts has read looks like, and what it came to. A time with the same
 * bytes but for minute, second and fraction, in the same quarter of an hour, is the same instant but for these. So nothing
 * here knows calendars, zones or the year that a syslog time leaves out; and what lies in another quarter, or looks otherwise, is left
 * to the reader there.
 *
 *     23/Nov/2026:01: 30 : 20  +0000 ]        2026-11-23T01: 30 : 20 . 590123 Z
 *     └─── prefix ───┘        └suffix┘        └── prefix ──┘           fraction └ suffix
 */
import { isDigit } from "./json.as.ts";
import { CR, LF } from "./text.as.ts";

const nanosEach: u64 = 1_000_000_000;
const quarterSeconds: i64 = 900;
/** Bytes of a line in which its time may stand behind a text, as in ../format/time.ts. */
const searchedBytesMax: usize = 4096;

/** What a time begins and ends with, and what stands before it. Written by the caller, padded: places are read in blocks of 16. */
export const timeTextBytesMax: i32 = 64;
export const timePrefix: usize = memory.data(64, 16);
export const timeSuffix: usize = memory.data(64, 16);
export const timeAfter: usize = memory.data(64, 16);
let prefixBytes: usize = 0;
let suffixBytes: usize = 0;
let afterBytes: usize = 0;
/** Before the fraction; 0: there is none. */
let separator: u8 = 0;
/** The quarter's first minute, as the lines write it. */
let firstMinute: i32 = 0;
/** Digits below the second in a count since 1970; -1: times are texts. */
let below: i32 = -1;
/** The quarter's first second, of a count since 1970. */
let firstSecond: i64 = 0;

/** Behind the time read last. */
export let timeEnd: usize = 0;

/** Times are texts like the template from now on. */
export function readTexts(prefix: usize, suffix: usize, after: usize, before: u8, minute: i32): void {
  prefixBytes = prefix;
  suffixBytes = suffix;
  afterBytes = after;
  separator = before;
  firstMinute = minute;
  below = -1;
}

/** Times are counts since 1970 from now on, of which the last `digits` are a fraction of a second. */
export function readCounts(digits: i32, after: usize, second: f64): void {
  below = digits;
  afterBytes = after;
  firstSecond = <i64>second;
}

/** Nanoseconds from the begin of the quarter to the time at `at`, -1 when it is left to others. Sets `timeEnd`. */
export function readTime(at: usize): i64 {
  return below < 0 ? readText(at) : readCount(at);
}

function readText(start: usize): i64 {
  if (!same(start, timePrefix, prefixBytes)) return -1;
  let at = start + prefixBytes;
  const minute = two(at) - firstMinute;
  const second = two(at + 3);
  if (load<u8>(at + 2) !== 0x3a || <u32>minute >= 15 || <u32>second >= 60) return -1;
  at += 5;
  let nanos: u64 = 0;
  if (separator !== 0) {
    if (load<u8>(at) !== separator) return -1;
    nanos = fraction(at + 1);
    if (nanos >= nanosEach) return -1;
    at = timeEnd;
  }
  if (!same(at, timeSuffix, suffixBytes)) return -1;
  timeEnd = at + suffixBytes;
  return <i64>(<u64>(minute * 60 + second) * nanosEach + nanos);
}

/** Nanoseconds of the one to nine digits at `from`, more than a second when there are none or more. Sets `timeEnd` behind them. */
function fraction(from: usize): u64 {
  let nanos: u64 = 0;
  let at = from;
  for (; isDigit(load<u8>(at)); at++) nanos = nanos * 10 + <u64>(load<u8>(at) - 0x30);
  const count = at - from;
  if (count === 0 || count > 9) return u64.MAX_VALUE;
  for (let digit = count; digit < 9; digit++) nanos *= 10;
  timeEnd = at;
  return nanos;
}

function readCount(start: usize): i64 {
  let at = start;
  let count: u64 = 0;
  for (; isDigit(load<u8>(at)); at++) count = count * 10 + <u64>(load<u8>(at) - 0x30);
  // 18 digits fit into 64 bits, and so does no count of nanoseconds with another digit before the year 2286.
  const digits = <i32>(at - start);
  if (digits <= below || digits - below > 11 || digits > 19) return -1;
  let unit: u64 = 1;
  for (let digit: i32 = 0; digit < below; digit++) unit *= 10;
  const second = <i64>(count / unit) - firstSecond;
  if (second < 0 || second >= quarterSeconds) return -1;
  let nanos = (count % unit) * (nanosEach / unit);
  timeEnd = at;
  if (load<u8>(at) === 0x2e && isDigit(load<u8>(at + 1))) {
    const more = fraction(at + 1);
    if (more >= nanosEach) return -1;
    nanos += more / unit;
  }
  return second * <i64>nanosEach + <i64>nanos;
}

/** Where the time of the line at `start` begins by the rules of ../format/time.ts; 0 when it is not found. */
export function timeStart(start: usize): usize {
  return afterBytes === 0 ? firstByte(start) : behind(start);
}

/** Behind blanks, a syslog priority, an opening bracket or quote. */
function firstByte(start: usize): usize {
  let at = start;
  while (load<u8>(at) === 0x20 || load<u8>(at) === 0x09) at++;
  if (load<u8>(at) === 0x3c) {
    let close = at + 1;
    while (close - at <= 4 && isDigit(load<u8>(close))) close++;
    if (load<u8>(close) === 0x3e) at = close + 1;
    if (load<u8>(at) === 0x31 && load<u8>(at + 1) === 0x20) at += 2;
  }
  return at + <usize>(load<u8>(at) === 0x5b || load<u8>(at) === 0x22);
}

/** Behind the first of the text before the time. */
function behind(start: usize): usize {
  const first = i8x16.splat(load<i8>(timeAfter));
  for (let at = start; at < start + searchedBytesMax - 80; at += 16) {
    const block = v128.load(at);
    const ends = i8x16.bitmask(i8x16.eq(block, i8x16.splat(LF)));
    let marks = i8x16.bitmask(i8x16.eq(block, first)) & (ends - 1) & ~ends;
    for (; marks !== 0; marks &= marks - 1) {
      const found = at + <usize>ctz(marks);
      if (same(found, timeAfter, afterBytes)) return found + afterBytes;
    }
    if (ends !== 0) return 0;
  }
  return 0;
}

/** A byte that is part of no time, whatever reader looks at it. */
export function endsTime(byte: u8): bool {
  if (byte === 0x20 || byte === LF || byte === CR || byte === 0x5d || byte === 0x22 || byte === 0x09) return true;
  return byte === 0x7c || byte === 0x3b || byte === 0x29 || byte === 0x7d || byte === 0x3e;
}

function same(at: usize, text: usize, bytes: usize): bool {
  for (let index: usize = 0; index < bytes; index += 16) {
    const marks = ~i8x16.bitmask(i8x16.eq(v128.load(at + index), v128.load(text + index))) & 0xffff;
    if (marks !== 0 && index + <usize>ctz(marks) < bytes) return false;
  }
  return true;
}

/** A number of two digits, 100 and more for anything else. */
function two(at: usize): i32 {
  const high = <u32>load<u8>(at) - 0x30;
  const low = <u32>load<u8>(at + 1) - 0x30;
  return high < 10 && low < 10 ? high * 10 + low : 1000;
}
