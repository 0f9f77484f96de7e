/** Record times as text: RFC 3339, in UTC, to the microsecond when written and to the nanosecond when read. */

/** `2026-11-23T01:30:20.590123Z` of wall milliseconds with a fraction. Years 0000 to 9999. */
export function formatTime(ms: number): string {
  const micros = Math.round(ms * 1000);
  const whole = Math.floor(micros / 1000);
  return `${new Date(whole).toISOString().slice(0, 23)}${String(micros - whole * 1000).padStart(3, "0")}Z`;
}

const cumulated = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];

/**
 * Wall milliseconds of the RFC 3339 time in `bytes[start, end)`, NaN when it is none. Any number of fraction digits; what a
 * double cannot hold (below a quarter microsecond) is rounded, which no partition and no age can see. A leap second
 * counts as the second after it.
 */
export function parseTime(bytes: Uint8Array, start: number, end: number): number {
  if (end - start < 20) return NaN;
  const separator = (bytes[start + 10] ?? 0) | 0x20;
  const punctuated =
    bytes[start + 4] === 0x2d &&
    bytes[start + 7] === 0x2d &&
    (separator === 0x74 || separator === 0x20) &&
    bytes[start + 13] === 0x3a &&
    bytes[start + 16] === 0x3a;
  if (!punctuated) return NaN;
  const year = number(bytes, start, 4);
  const month = number(bytes, start + 5, 2);
  const day = number(bytes, start + 8, 2);
  const hour = number(bytes, start + 11, 2);
  const minute = number(bytes, start + 14, 2);
  const second = number(bytes, start + 17, 2);
  if (!(month >= 1 && month <= 12 && day >= 1 && day <= daysIn(year, month) && hour <= 23 && minute <= 59 && second <= 60)) return NaN;
  let at = start + 19;
  let fractionMs = 0;
  if (bytes[at] === 0x2e) {
    const first = ++at;
    for (let scale = 100; isDigit(bytes[at]); at++, scale /= 10) fractionMs += ((bytes[at] ?? 0) - 0x30) * scale;
    if (at === first) return NaN;
  }
  const offsetMinutes = zone(bytes, at, end);
  const days = (cumulated[month - 1] ?? 0) + (month > 2 && isLeap(year) ? 1 : 0) + day - 1;
  return ((daysBefore(year) + days) * 1440 + hour * 60 + minute - offsetMinutes) * 60_000 + second * 1000 + fractionMs;
}

/** Minutes east of UTC that `Z` or `+01:00` in `bytes[at, end)` says, NaN when it is neither or something follows. */
function zone(bytes: Uint8Array, at: number, end: number): number {
  const sign = bytes[at] ?? 0;
  if ((sign | 0x20) === 0x7a) return at + 1 === end ? 0 : NaN;
  if ((sign !== 0x2b && sign !== 0x2d) || at + 6 !== end || bytes[at + 3] !== 0x3a) return NaN;
  const hours = number(bytes, at + 1, 2);
  const minutes = number(bytes, at + 4, 2);
  if (!(hours <= 23 && minutes <= 59)) return NaN;
  return (sign === 0x2d ? -1 : 1) * (hours * 60 + minutes);
}

function number(bytes: Uint8Array, at: number, digits: number): number {
  let value = 0;
  for (let index = at; index < at + digits; index++) {
    if (!isDigit(bytes[index])) return NaN;
    value = value * 10 + (bytes[index] ?? 0) - 0x30;
  }
  return value;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

function isLeap(year: number): boolean {
  return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
}

function daysIn(year: number, month: number): number {
  return (cumulated[month] ?? 0) - (cumulated[month - 1] ?? 0) + (month === 2 && isLeap(year) ? 1 : 0);
}

/** Days from 1970-01-01 to the first of January of `year` (Gregorian calendar, also before it was introduced). */
function daysBefore(year: number): number {
  return 365 * (year - 1970) + leapDays(year - 1) - leapDays(1969);
}

function leapDays(year: number): number {
  return Math.floor(year / 4) - Math.floor(year / 100) + Math.floor(year / 400);
}
