/** When refused records are too many to be about them. */
import { expect, test } from "bun:test";
import { Tolerance } from "./tolerance.ts";

test("all of ten and more, or more than ten and more than one in a hundred", () => {
  const fresh = new Tolerance();
  expect([fresh.exceeds(9, 9), fresh.exceeds(10, 10), fresh.exceeds(11, 10), fresh.exceeds(100, 11), fresh.exceeds(2000, 20)]).toEqual([
    false,
    true,
    false,
    true,
    false,
  ]);
  expect(fresh.exceeds(100, 0)).toBe(false);
});

test("a few of each of many batches are seen together, and forgotten as others come", () => {
  const tolerance = new Tolerance();
  for (let batch = 0; batch < 5; batch++) tolerance.add(4, 2);
  expect(tolerance.exceeds(4, 1)).toBe(true);
  expect(tolerance.exceeds(4, 0)).toBe(false);
  for (let batch = 0; batch < 20; batch++) tolerance.add(1000, 0);
  expect(tolerance.exceeds(4, 1)).toBe(false);
});
