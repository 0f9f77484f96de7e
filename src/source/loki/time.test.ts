import { describe, expect, test } from "bun:test";
import { bucketAt, bucketOf, bucketStart, formatNs, minuteOf, nsOfMs, parseRfc3339 } from "./time.ts";

describe("buckets", () => {
  test("are open at the start and closed at the end, as a range vector counts", () => {
    expect([bucketOf(100, 0), bucketOf(100, 1), bucketOf(109, 999_999_999), bucketOf(110, 0)]).toEqual([9, 10, 10, 10]);
    for (const ns of [100_000_000_000n, 100_000_000_001n, 110_000_000_000n]) {
      expect(bucketAt(ns)).toBe(bucketOf(Number(ns / 1_000_000_000n), Number(ns % 1_000_000_000n)));
      expect(bucketStart(bucketAt(ns)) <= ns && ns < bucketStart(bucketAt(ns) + 1)).toBe(true);
    }
  });

  test("six of them make a minute", () => {
    expect([minuteOf(0), minuteOf(5), minuteOf(6), minuteOf(17)]).toEqual([0, 0, 6, 12]);
  });
});

test("times are exact to the nanosecond, beyond what a double holds", () => {
  expect(parseRfc3339("2026-11-23T01:30:20.123456789Z")).toBe(1_795_397_420_123_456_789n);
  expect(parseRfc3339("2026-11-23t03:30:20.1+02:00")).toBe(1_795_397_420_100_000_000n);
  expect([parseRfc3339("2026-11-23"), parseRfc3339("2026-13-40T00:00:00Z"), parseRfc3339("now")]).toEqual([undefined, undefined, undefined]);
  expect(formatNs(1_795_397_420, 123_456_789)).toBe("2026-11-23T01:30:20.123456789Z");
  expect(formatNs(1_795_397_421, 7)).toBe("2026-11-23T01:30:21.000000007Z");
  expect(nsOfMs(1_795_397_420_123.457)).toBe(1_795_397_420_123_457_000n);
});
