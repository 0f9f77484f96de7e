/**
 * Times out of the bytes of a line: no string, no Date.
 *
 * A reader takes what stands at `start`, fills in `into` and returns where the time ends; -1 when there is none, or one that does not
 * exist (30 February). `readMs` is when the line was read: it gives the year that a syslog time leaves out.
 */
import { parseTimePattern, type TimeStep } from "../../core/strptime.ts";
import { dateOf, daysIn, isLeap, secondsOf } from "./calendar.ts";
import { openZone, type Zone, utc } from "./zone.ts";

/** Whole seconds since 1970 in UTC, NaN for none, and nanoseconds beyond. */
export interface Instant {
  seconds: number;
  nanos: number;
}

export type ReadTime = (bytes: Uint8Array, start: number, end: number, into: Instant, readMs: number) => number;

const months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const longMonths = ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"];
const days = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const monthWord = new Map(months.map((name, index) => [word(name), index + 1]));

/** The reader of a named format or pattern that validation has let through. */
export function timeReader(format: string, zoneName: string | undefined): ReadTime {
  const zone = zoneName === undefined ? utc : openZone(zoneName);
  if (format === "rfc3339") return (bytes, start, end, into) => readRfc3339(bytes, start, end, into, zoneName === undefined ? undefined : zone);
  if (format === "clf") return readClf;
  if (format === "syslog") return (bytes, start, end, into, readMs) => readSyslog(bytes, start, end, into, readMs, zone);
  if (format === "epoch_s") return epochReader(0);
  if (format === "epoch_ms") return epochReader(3);
  if (format === "epoch_us") return epochReader(6);
  if (format === "epoch_ns") return epochReader(9);
  const steps = parseTimePattern(format);
  if ("mistake" in steps) throw new Error(`time pattern ${format} ${steps.mistake}`);
  return (bytes, start, end, into, readMs) => readPattern(steps, bytes, start, end, into, readMs, zone);
}

/** `2026-11-23T01:30:20.590123456+01:00`; also with a blank, a comma, and, where `zone` is given, without a zone. */
export function readRfc3339(bytes: Uint8Array, start: number, end: number, into: Instant, zone: Zone | undefined): number {
  if (end - start < 19) return -1;
  const separator = (bytes[start + 10] as number) | 0x20;
  if (bytes[start + 4] !== 0x2d || bytes[start + 7] !== 0x2d || (separator !== 0x74 && separator !== 0x20)) return -1;
  if (bytes[start + 13] !== 0x3a || bytes[start + 16] !== 0x3a) return -1;
  const year = two(bytes, start) * 100 + two(bytes, start + 2);
  const ok = setWall(
    into,
    year,
    two(bytes, start + 5),
    two(bytes, start + 8),
    two(bytes, start + 11),
    two(bytes, start + 14),
    two(bytes, start + 17),
  );
  if (!ok) return -1;
  let at = start + 19;
  if (at < end && (bytes[at] === 0x2e || bytes[at] === 0x2c) && isDigit(bytes[at + 1]) && at + 1 < end) at = fraction(bytes, at + 1, end, into);
  const byte = at < end ? (bytes[at] as number) : 0;
  if (byte === 0x5a || byte === 0x7a) return at + 1;
  if (byte === 0x2b || byte === 0x2d) return offset(bytes, at, end, into);
  if (zone === undefined) return -1;
  into.seconds -= zone(into.seconds);
  return at;
}

/** `23/Nov/2026:01:30:20 +0100`, the common log format. */
function readClf(bytes: Uint8Array, start: number, end: number, into: Instant): number {
  if (end - start < 26 || bytes[start + 2] !== 0x2f || bytes[start + 6] !== 0x2f || bytes[start + 11] !== 0x3a) return -1;
  if (bytes[start + 14] !== 0x3a || bytes[start + 17] !== 0x3a || bytes[start + 20] !== 0x20) return -1;
  const year = two(bytes, start + 7) * 100 + two(bytes, start + 9);
  const ok = setWall(into, year, month(bytes, start + 3), two(bytes, start), two(bytes, start + 12), two(bytes, start + 15), two(bytes, start + 18));
  const byte = bytes[start + 21];
  return ok && (byte === 0x2b || byte === 0x2d) ? offset(bytes, start + 21, end, into) : -1;
}

/** `Nov 23 01:30:20`: the year is the one that brings it nearest to the reading. */
function readSyslog(bytes: Uint8Array, start: number, end: number, into: Instant, readMs: number, zone: Zone): number {
  if (end - start < 15 || bytes[start + 3] !== 0x20 || bytes[start + 6] !== 0x20 || bytes[start + 9] !== 0x3a || bytes[start + 12] !== 0x3a)
    return -1;
  const tens = bytes[start + 4] === 0x20 ? 0x30 : (bytes[start + 4] as number);
  const day = isDigit(tens) && isDigit(bytes[start + 5]) ? (tens - 0x30) * 10 + (bytes[start + 5] as number) - 0x30 : NaN;
  const ok = setNearest(into, readMs, month(bytes, start), day, two(bytes, start + 7), two(bytes, start + 10), two(bytes, start + 13), zone);
  if (!ok) return -1;
  const at = start + 15;
  return at + 1 < end && bytes[at] === 0x2e && isDigit(bytes[at + 1]) ? fraction(bytes, at + 1, end, into) : at;
}

/** A whole number of which the last `below` digits are a fraction of a second; a fraction behind it may follow. */
function epochReader(below: number): ReadTime {
  const unit = 10 ** below;
  const nanosEach = 10 ** (9 - below);
  return (bytes, start, end, into) => {
    let at = start;
    let high = 0;
    let low = 0;
    while (at < end && isDigit(bytes[at])) at++;
    const split = Math.max(start, at - below);
    // Eleven digits of seconds reach to the year 5138; beyond, a number is another unit than it was taken for.
    if (at === start || split - start > 11) return -1;
    for (let index = start; index < split; index++) high = high * 10 + (bytes[index] as number) - 0x30;
    for (let index = split; index < at; index++) low = low * 10 + (bytes[index] as number) - 0x30;
    into.seconds = high;
    into.nanos = (low % unit) * nanosEach;
    if (at + 1 >= end || bytes[at] !== 0x2e || !isDigit(bytes[at + 1])) return at;
    const whole = into.nanos;
    const after = fraction(bytes, at + 1, end, into);
    into.nanos = whole + Math.floor(into.nanos / unit);
    return after;
  };
}

/** What a pattern has filled in so far. */
interface Fields {
  year: number;
  month: number;
  day: number;
  ofYear: number;
  hour: number;
  minute: number;
  second: number;
  afternoon: number;
  epoch: number;
  zoned: boolean;
  zoneSeconds: number;
}

function readPattern(steps: readonly TimeStep[], bytes: Uint8Array, start: number, end: number, into: Instant, readMs: number, zone: Zone): number {
  const fields: Fields = {
    year: NaN,
    month: NaN,
    day: NaN,
    ofYear: NaN,
    hour: 0,
    minute: 0,
    second: 0,
    afternoon: -1,
    epoch: NaN,
    zoned: false,
    zoneSeconds: 0,
  };
  into.nanos = 0;
  let at = start;
  for (const step of steps) {
    if ("byte" in step) {
      if (at >= end || bytes[at] !== step.byte) return -1;
      at++;
    } else if ("blank" in step) {
      while (at < end && (bytes[at] === 0x20 || bytes[at] === 0x09)) at++;
    } else {
      at = directive(step.letter, bytes, at, end, fields, into);
      if (at < 0) return -1;
    }
  }
  return settle(fields, into, readMs, zone) ? at : -1;
}

function settle(fields: Fields, into: Instant, readMs: number, zone: Zone): boolean {
  if (!Number.isNaN(fields.epoch)) {
    into.seconds = fields.epoch;
    return true;
  }
  if (fields.afternoon >= 0) {
    if (fields.hour < 1 || fields.hour > 12) return false;
    fields.hour = (fields.hour % 12) + 12 * fields.afternoon;
  }
  const { hour, minute, second } = fields;
  if (!Number.isNaN(fields.ofYear)) {
    if (fields.ofYear < 1 || fields.ofYear > (isLeap(fields.year) ? 366 : 365)) return false;
    fields.month = 1;
    fields.day = 1;
  }
  const wall: Zone = fields.zoned ? () => fields.zoneSeconds : zone;
  const { nanos } = into;
  if (Number.isNaN(fields.year)) {
    if (!setNearest(into, readMs, fields.month, fields.day, hour, minute, second, wall)) return false;
  } else {
    if (!setWall(into, fields.year, fields.month, fields.day, hour, minute, second)) return false;
    if (!Number.isNaN(fields.ofYear)) into.seconds += (fields.ofYear - 1) * 86_400;
    into.seconds -= wall(into.seconds);
  }
  into.nanos = nanos;
  return true;
}

function directive(letter: string, bytes: Uint8Array, at: number, end: number, fields: Fields, into: Instant): number {
  switch (letter) {
    case "Y":
      return digits(bytes, at, end, 4, 4, (value) => (fields.year = value));
    case "y":
      return digits(bytes, at, end, 2, 2, (value) => (fields.year = value + (value < 69 ? 2000 : 1900)));
    case "m":
      return digits(bytes, at, end, 1, 2, (value) => (fields.month = value));
    case "d":
    case "e":
      return digits(bytes, bytes[at] === 0x20 ? at + 1 : at, end, 1, 2, (value) => (fields.day = value));
    case "j":
      return digits(bytes, at, end, 1, 3, (value) => (fields.ofYear = value));
    case "H":
    case "I":
      return digits(bytes, at, end, 1, 2, (value) => (fields.hour = value));
    case "M":
      return digits(bytes, at, end, 1, 2, (value) => (fields.minute = value));
    case "S":
      return digits(bytes, at, end, 1, 2, (value) => (fields.second = value));
    case "s":
      return digits(bytes, at, end, 1, 11, (value) => (fields.epoch = value));
    case "f":
      return at < end && isDigit(bytes[at]) ? fraction(bytes, at, end, into) : -1;
    case "b":
    case "h":
    case "B":
      return named(longMonths, bytes, at, end, (index) => (fields.month = index + 1));
    case "a":
    case "A":
      return named(days, bytes, at, end, () => 0);
    case "p":
      return named(["am", "pm"], bytes, at, end, (index) => (fields.afternoon = index));
    default:
      return zoneOf(bytes, at, end, fields);
  }
}

function zoneOf(bytes: Uint8Array, at: number, end: number, fields: Fields): number {
  if (at >= end) return -1;
  fields.zoned = true;
  const byte = (bytes[at] as number) | 0x20;
  if (byte === 0x7a) return at + 1;
  const shift: Instant = { seconds: 0, nanos: 0 };
  const after = bytes[at] === 0x2b || bytes[at] === 0x2d ? offset(bytes, at, end, shift) : -1;
  fields.zoneSeconds = -shift.seconds;
  return after;
}

/** A name of `names`, or its first three letters, in any case. */
function named(names: readonly string[], bytes: Uint8Array, at: number, end: number, set: (index: number) => void): number {
  for (const [index, name] of names.entries()) {
    for (const length of [name.length, Math.min(3, name.length)]) {
      let matched = 0;
      while (matched < length && at + matched < end && ((bytes[at + matched] as number) | 0x20) === name.charCodeAt(matched)) matched++;
      if (matched < length) continue;
      set(index);
      return at + length;
    }
  }
  return -1;
}

function digits(bytes: Uint8Array, start: number, end: number, min: number, max: number, set: (value: number) => void): number {
  let at = start;
  let value = 0;
  for (; at < end && at - start < max && isDigit(bytes[at]); at++) value = value * 10 + (bytes[at] as number) - 0x30;
  if (at - start < min) return -1;
  set(value);
  return at;
}

/** A wall time into `into`; false when it does not exist. A leap second counts as the second after it. */
function setWall(into: Instant, year: number, monthOfYear: number, day: number, hour: number, minute: number, second: number): boolean {
  const exists =
    year >= 0 && monthOfYear >= 1 && monthOfYear <= 12 && day >= 1 && day <= daysIn(year, monthOfYear) && hour <= 23 && minute <= 59 && second <= 60;
  if (!exists) return false;
  into.seconds = secondsOf(year, monthOfYear, day, hour, minute, second);
  into.nanos = 0;
  return true;
}

/** The same without a year: the one that brings it nearest to `readMs`, among those in which the day exists. */
function setNearest(
  into: Instant,
  readMs: number,
  monthOfYear: number,
  day: number,
  hour: number,
  minute: number,
  second: number,
  zone: Zone,
): boolean {
  const readSeconds = readMs / 1000;
  const { year } = dateOf(Math.floor(readSeconds / 86_400));
  let best = NaN;
  for (let candidate = year - 1; candidate <= year + 1; candidate++) {
    if (!setWall(into, candidate, monthOfYear, day, hour, minute, second)) continue;
    const seconds = into.seconds - zone(into.seconds);
    if (!(Math.abs(best - readSeconds) <= Math.abs(seconds - readSeconds))) best = seconds;
  }
  into.seconds = best;
  return !Number.isNaN(best);
}

/** Digits of a fraction from `start` on, of which nine count. Returns where they end. */
function fraction(bytes: Uint8Array, start: number, end: number, into: Instant): number {
  let nanos = 0;
  let at = start;
  for (; at < end && isDigit(bytes[at]); at++) if (at - start < 9) nanos = nanos * 10 + (bytes[at] as number) - 0x30;
  for (let count = at - start; count < 9; count++) nanos *= 10;
  into.nanos = nanos;
  return at;
}

/** `+01:00`, `+0100` or `+01` at `at`, taken off `into`. */
function offset(bytes: Uint8Array, at: number, end: number, into: Instant): number {
  if (at + 3 > end) return -1;
  const hours = two(bytes, at + 1);
  const colon = bytes[at + 3] === 0x3a && at + 3 < end ? 1 : 0;
  const minutesAt = at + 3 + colon;
  const minutes = minutesAt + 2 <= end && isDigit(bytes[minutesAt]) ? two(bytes, minutesAt) : colon === 0 ? 0 : NaN;
  if (!(hours <= 23 && minutes <= 59)) return -1;
  into.seconds -= (bytes[at] === 0x2d ? -60 : 60) * (hours * 60 + minutes);
  return minutesAt + 2 <= end && isDigit(bytes[minutesAt]) ? minutesAt + 2 : at + 3;
}

function two(bytes: Uint8Array, at: number): number {
  const high = (bytes[at] as number) - 0x30;
  const low = (bytes[at + 1] as number) - 0x30;
  return high >= 0 && high <= 9 && low >= 0 && low <= 9 ? high * 10 + low : NaN;
}

function month(bytes: Uint8Array, at: number): number {
  return (
    monthWord.get((((bytes[at] as number) | 0x20) << 16) | (((bytes[at + 1] as number) | 0x20) << 8) | ((bytes[at + 2] as number) | 0x20)) ?? NaN
  );
}

function word(name: string): number {
  return (name.charCodeAt(0) << 16) | (name.charCodeAt(1) << 8) | name.charCodeAt(2);
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}
