import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { formatTime, parseTime } from "./time.ts";

const parse = (text: string): number => {
  const bytes = new TextEncoder().encode(`"${text}"`);
  return parseTime(bytes, 1, bytes.length - 1);
};

test("a time is written to the microsecond", () => {
  expect(formatTime(Date.UTC(2026, 10, 23, 1, 30, 20) + 590.123)).toBe("2026-11-23T01:30:20.590123Z");
  expect(formatTime(0)).toBe("1970-01-01T00:00:00.000000Z");
  expect(formatTime(999.9999)).toBe("1970-01-01T00:00:01.000000Z");
});

test("times of every year and zone are read as the runtime reads them", () => {
  const time = fc.date({ min: new Date("0001-01-02T00:00:00Z"), max: new Date("9999-12-30T00:00:00Z"), noInvalidDate: true });
  fc.assert(
    fc.property(time, fc.integer({ min: -1439, max: 1439 }), (date, zone) => {
      expect(parse(date.toISOString())).toBe(date.getTime());
      const hours = String(Math.floor(Math.abs(zone) / 60)).padStart(2, "0");
      const minutes = String(Math.abs(zone) % 60).padStart(2, "0");
      const text = `${date.toISOString().slice(0, 23)}${zone < 0 ? "-" : "+"}${hours}:${minutes}`;
      expect(parse(text)).toBe(date.getTime() - zone * 60_000);
    }),
  );
});

test("nanoseconds, no fraction, small letters and a leap second are read", () => {
  expect(parse("2026-11-23T01:30:20.590123456Z")).toBeCloseTo(Date.UTC(2026, 10, 23, 1, 30, 20) + 590.123456, 2);
  expect(parse("2026-11-23t01:30:20z")).toBe(Date.UTC(2026, 10, 23, 1, 30, 20));
  expect(parse("2026-12-31T23:59:60Z")).toBe(Date.UTC(2027, 0, 1));
  expect(parse("2024-02-29T00:00:00Z")).toBe(Date.UTC(2024, 1, 29));
});

test.each([
  "",
  "2026-11-23",
  "2026-11-23T01:30:20",
  "2026-11-23T01:30:20.Z",
  "2026-11-23T01:30:20.5",
  "2026-11-23T01:30:20Zx",
  "2026-11-23T01:30:20+0100",
  "2026-11-23T01:30:20+24:00",
  "2026-13-01T00:00:00Z",
  "2026-02-29T00:00:00Z",
  "2026-00-10T00:00:00Z",
  "2026-11-23T24:00:00Z",
  "2026-11-23T01:60:00Z",
  "20261123T013020.000Z",
  "+026-11-23T01:30:20Z",
])("%p is no time", (text) => {
  expect(parse(text)).toBeNaN();
});
