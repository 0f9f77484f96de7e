/** Numbers as people read them, at the borders where they change their form. */
import { expect, test } from "bun:test";
import { ago, bytes, count, counted, heldFor, perSecond, shown, span } from "./words.ts";

const MiB = 1024 * 1024;

test.each([
  [0, "0 B"],
  [1023, "1,023 B"],
  [1024, "1 KiB"],
  [18_204, "17.8 KiB"],
  [99.9 * 1024, "99.9 KiB"],
  [99.96 * 1024, "100 KiB"],
  [1023.94 * 1024, "1,024 KiB"],
  [MiB - 1, "1 MiB"],
  [2048 * MiB, "2 GiB"],
  [5e15, "4.4 PiB"],
  [5e19, "44,409 PiB"],
])("bytes(%p) is %p", (value, expected) => {
  expect(bytes(value)).toBe(expected);
});

test.each([
  [0, "0 s"],
  [-5, "0 s"],
  [59.9, "59 s"],
  [60, "1 min"],
  [312, "5 min 12 s"],
  [3600, "1 h"],
  [183_600, "2 d 3 h"],
  [86_459, "1 d"],
])("span(%p) is %p", (value, expected) => {
  expect(span(value)).toBe(expected);
});

test("ago tells how long ago, and shows a time ahead of the clock for what it is", () => {
  const nowMs = Date.parse("2026-11-23T01:30:00Z");
  const said = (time: string): string => ago(time, nowMs);
  expect(said("2026-11-23T01:29:59.500Z")).toBe("just now");
  expect(said("2026-11-23T01:29:18Z")).toBe("42 s ago");
  expect(said("2026-11-22T22:00:00Z")).toBe("3 h ago");
  expect(said("2026-11-23T01:35:12Z")).toBe("in 5 min 12 s");
  expect(said("yesterday")).toBe("yesterday");
  expect(heldFor("2026-11-22T14:20:00Z", nowMs)).toBe("for 11 h");
});

test("counts, rates and nouns", () => {
  expect(count(1_234_567)).toBe("1,234,567");
  expect([0, 1, 2].map((value) => counted(value, "record"))).toEqual(["no records", "1 record", "2 records"]);
  expect(counted(2, "batch", "batches")).toBe("2 batches");
  expect([0.01, 0.3, 9.94, 4210.4].map(perSecond)).toEqual(["0/s", "0.3/s", "9.9/s", "4,210/s"]);
});

test("shown makes control and direction characters visible and leaves the rest alone", () => {
  expect(shown("a\u0000b\u001b[31m\u202egnp.exe\n")).toBe("a\ufffdb\ufffd[31m\ufffdgnp.exe\ufffd");
  expect(shown("/var/log/größe <b>&.log")).toBe("/var/log/größe <b>&.log");
});
