import { expect, test } from "bun:test";
import { backoffMs, retryAfterMs } from "./retry.ts";

test("the backoff doubles up to its bound, at least half of it fixed", () => {
  const least = (attempt: number): number => backoffMs(attempt, 500, 60_000, () => 0);
  const most = (attempt: number): number => backoffMs(attempt, 500, 60_000, () => 1);
  expect([0, 1, 2, 20, 2000].map(least)).toEqual([250, 500, 1000, 30_000, 30_000]);
  expect([0, 1, 2, 20, 2000].map(most)).toEqual([500, 1000, 2000, 60_000, 60_000]);
});

test("Retry-After is seconds or a date, bounded, and nothing else", () => {
  const now = Date.parse("2026-11-23T01:30:20Z");
  expect(retryAfterMs("7", now)).toBe(7000);
  expect(retryAfterMs("Mon, 23 Nov 2026 01:30:50 GMT", now)).toBe(30_000);
  expect(retryAfterMs("Mon, 23 Nov 2026 01:30:00 GMT", now)).toBe(0);
  expect(retryAfterMs("999999999999", now)).toBe(3_600_000);
  expect(retryAfterMs("soon", now)).toBeUndefined();
  expect(retryAfterMs(null, now)).toBeUndefined();
});
