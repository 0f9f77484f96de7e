/** Times in bytes against what Date and Intl have for them. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { isTimeZone, parseTimePattern } from "../../core/strptime.ts";
import { timeReader, type Instant } from "./instant.ts";
import { openZone } from "./zone.ts";

const readMs = Date.UTC(2026, 10, 23, 1, 30, 20);

/** What is read of `text`: milliseconds and nanoseconds, and what stands behind; undefined when it is no time. */
function read(format: string, text: string, zone?: string, atMs = readMs): { ms: number; nanos: number; rest: string } | undefined {
  const into: Instant = { seconds: NaN, nanos: 0 };
  const around = new TextEncoder().encode(`9${text}9`);
  const end = timeReader(format, zone)(around, 1, around.length - 1, into, atMs);
  if (end < 0) return undefined;
  return { ms: into.seconds * 1000, nanos: into.nanos, rest: new TextDecoder().decode(around.subarray(end, -1)) };
}
const msOf = (format: string, text: string, zone?: string, atMs?: number): number | undefined => {
  const found = read(format, text, zone, atMs);
  return found === undefined ? undefined : found.ms + found.nanos / 1e6;
};

const instants = fc.integer({ min: Date.UTC(1000, 0, 1), max: Date.UTC(9990, 0, 1) });

test("rfc3339: any instant in any offset, to the nanosecond", () => {
  fc.assert(
    fc.property(instants, fc.integer({ min: 0, max: 999_999 }), fc.integer({ min: -1439, max: 1439 }), (ms, below, offset) => {
      const local = new Date(ms + offset * 60_000).toISOString().slice(0, -1);
      const [hours, minutes] = [Math.floor(Math.abs(offset) / 60), Math.abs(offset) % 60].map((value) => String(value).padStart(2, "0"));
      const zone = offset === 0 ? "Z" : `${offset < 0 ? "-" : "+"}${hours}:${minutes}`;
      const found = read("rfc3339", `${local}${String(below).padStart(6, "0")}${zone} rest`);
      expect(found).toEqual({ ms: Math.floor(ms / 1000) * 1000, nanos: (ms - Math.floor(ms / 1000) * 1000) * 1e6 + below, rest: " rest" });
    }),
  );
  expect(read("rfc3339", "2026-11-23 01:30:20,5 x")).toBeUndefined();
  expect(msOf("rfc3339", "2026-11-23 01:30:20,5 x", "Europe/Berlin")).toBe(Date.UTC(2026, 10, 23, 0, 30, 20, 500));
  for (const wrong of [
    "2026-02-30T00:00:00Z",
    "2026-13-01T00:00:00Z",
    "2026-11-23T24:00:00Z",
    "2026-11-23T01:30",
    "x",
    "",
    "2026-11-23T01:30:20+1",
  ]) {
    expect(read("rfc3339", wrong)).toBeUndefined();
  }
});

test("clf, syslog, epochs", () => {
  expect(read("clf", "23/Nov/2026:01:30:20 +0100] x")).toEqual({ ms: Date.UTC(2026, 10, 23, 0, 30, 20), nanos: 0, rest: "] x" });
  expect(read("clf", "31/Nov/2026:01:30:20 +0100")).toBeUndefined();
  expect(msOf("syslog", "Nov  3 01:30:20 host")).toBe(Date.UTC(2026, 10, 3, 1, 30, 20));
  expect(msOf("epoch_s", "1795397420.25")).toBe(1795397420250);
  expect(msOf("epoch_ms", "1795397420123")).toBe(1795397420123);
  expect(msOf("epoch_us", "1795397420123456")).toBe(1795397420123.456);
  expect(read("epoch_ns", "1795397420123456789,")).toEqual({ ms: 1795397420000, nanos: 123456789, rest: "," });
  expect(msOf("epoch_ns", "12")).toBe(12 / 1e6);
  expect(read("epoch_s", "1795397420123")).toBeUndefined();
  expect(read("epoch_s", "x")).toBeUndefined();
});

test("syslog: the year is the one nearest to the reading, also around New Year and on 29 February", () => {
  expect(msOf("syslog", "Dec 31 23:59:59", undefined, Date.UTC(2027, 0, 1, 0, 5))).toBe(Date.UTC(2026, 11, 31, 23, 59, 59));
  expect(msOf("syslog", "Jan  1 00:00:10", undefined, Date.UTC(2026, 11, 31, 23, 59))).toBe(Date.UTC(2027, 0, 1, 0, 0, 10));
  expect(msOf("syslog", "Feb 29 00:00:00", undefined, Date.UTC(2025, 1, 20))).toBe(Date.UTC(2024, 1, 29));
  expect(msOf("syslog", "Feb 29 00:00:00", undefined, Date.UTC(2026, 6, 1))).toBeUndefined();
  fc.assert(
    fc.property(fc.integer({ min: Date.UTC(1990, 0, 1), max: Date.UTC(2060, 0, 1) }), fc.integer({ min: -150, max: 150 }), (ms, days) => {
      const date = new Date(Math.floor(ms / 1000) * 1000);
      fc.pre(!(date.getUTCMonth() === 1 && date.getUTCDate() === 29));
      const [, day = "", month = ""] = /(\d\d) (\w{3})/.exec(date.toUTCString()) ?? [];
      const text = `${month} ${day.replace(/^0/, " ")} ${date.toISOString().slice(11, 19)}`;
      expect(msOf("syslog", text, undefined, date.getTime() + days * 86_400_000)).toBe(date.getTime());
    }),
  );
});

test("zones: as Intl has them; an hour that comes twice is the first, one that is leapt over is read with the offset before", () => {
  const berlin = "Europe/Berlin";
  const text = "%Y-%m-%d %H:%M:%S";
  expect(msOf(text, "2026-07-01 12:00:00", berlin)).toBe(Date.UTC(2026, 6, 1, 10));
  expect(msOf(text, "2026-10-25 02:30:00", berlin)).toBe(Date.UTC(2026, 9, 25, 0, 30));
  expect(msOf(text, "2026-03-29 02:30:00", berlin)).toBe(Date.UTC(2026, 2, 29, 1, 30));
  const zones = ["America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca", berlin].map(
    (name) => [name, openZone(name)] as const,
  );
  fc.assert(
    fc.property(
      fc.constantFrom(...zones),
      fc.integer({ min: Date.UTC(1990, 0, 1) / 1000, max: Date.UTC(2035, 0, 1) / 1000 }),
      ([name, zone], seconds) => {
        const shown = new Date(seconds * 1000).toLocaleString("sv-SE", { timeZone: name }).replace(" ", "T");
        const wall = Date.parse(`${shown}Z`) / 1000;
        const found = wall - zone(wall);
        // Where a wall time comes twice, the other one of the two has it too.
        expect(new Date(found * 1000).toLocaleString("sv-SE", { timeZone: name }).replace(" ", "T")).toBe(shown);
        expect(found).toBeLessThanOrEqual(seconds);
      },
    ),
    { numRuns: 300 },
  );
});

test("patterns", () => {
  const at = Date.UTC(2026, 10, 3, 13, 5, 9);
  const cases: [string, string, number | undefined][] = [
    ["%d.%m.%Y %H:%M:%S", "03.11.2026 13:05:09 x", at],
    ["%d.%m.%Y %H:%M:%S,%f", "3.11.2026 13:05:09,25", at + 250],
    ["%F %T%z", "2026-11-03 14:05:09+01:00", at],
    ["%Y%m%dT%H%M%S%z", "20261103T130509Z", at],
    ["%b %e %Y %I:%M:%S %p", "Nov  3 2026 1:05:09 PM", at],
    ["%A, %d %B %Y %T", "tuesday, 03 NOVEMBER 2026 13:05:09", at],
    ["%a %b %d %T %Y", "Tue Nov 03 13:05:09 2026", at],
    ["%Y-%j", "2026-307", Date.UTC(2026, 10, 3)],
    ["%m/%d %T", "11/03 13:05:09", at],
    ["%s.%f", "1793711109.5", 1793711109500],
    ["%y%m%d", "261103", Date.UTC(2026, 10, 3)],
    ["100%% %F", "100% 2026-11-03", Date.UTC(2026, 10, 3)],
    ["%F %T", "2026-11-03 13:05", undefined],
    ["%F", "2026-02-30", undefined],
    ["%F %I %p", "2026-11-03 13 PM", undefined],
    ["%Y-%j", "2025-366", undefined],
  ];
  for (const [pattern, text, expected] of cases) {
    const found = msOf(pattern, text);
    expect(`${pattern} ${found}`).toBe(`${pattern} ${expected}`);
  }
  for (const wrong of ["", "time", "%Q", "%", "%H:%M", "%I %F", "%j"]) expect(parseTimePattern(wrong)).toHaveProperty("mistake");
  expect([isTimeZone("Europe/Berlin"), isTimeZone("local"), isTimeZone("Berlin"), isTimeZone("")]).toEqual([true, true, false, false]);
});

test("any bytes: read without harm, and never beyond the line", () => {
  const formats = ["rfc3339", "clf", "syslog", "epoch_s", "epoch_ns", "%Y-%m-%d %H:%M:%S.%f %z", "%b %d %I:%M %p"].map((format) =>
    timeReader(format, "Asia/Kathmandu"),
  );
  const piece = fc.constantFrom("2026", "-", "11", ":", "T", " ", "Nov", "23", "/", ".", "+0100", "Z", "9", "é", "[", "PM");
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 14 }), fc.nat({ max: 5 }), (parts, less) => {
      const bytes = new TextEncoder().encode(parts.join(""));
      const end = Math.max(0, bytes.length - less);
      for (const reader of formats) {
        const into: Instant = { seconds: NaN, nanos: 0 };
        const after = reader(bytes, 0, end, into, readMs);
        expect(after).toBeLessThanOrEqual(end);
        if (after >= 0) expect([Number.isSafeInteger(into.seconds), into.nanos >= 0 && into.nanos < 1e9]).toEqual([true, true]);
      }
    }),
    { numRuns: 3000 },
  );
});
