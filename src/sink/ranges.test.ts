/** Ranges, against sets of numbers. */
import { expect, test } from "bun:test";
import { array, assert, nat, property, uniqueArray } from "fast-check";
import type { Range } from "../core/contract.ts";
import { countOf, GrowingRanges, packRanges, pushRange, subtract, union, unpackRanges, within } from "./ranges.ts";

const numbers = uniqueArray(nat(60)).map((found) => found.sort((a, b) => a - b));

function toRanges(sorted: readonly number[]): Range[] {
  const ranges: Range[] = [];
  for (const number of sorted) pushRange(ranges, number, number);
  return ranges;
}

const toNumbers = (ranges: readonly Range[]): number[] =>
  ranges.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, i) => first + i));

test("ranges behave as sets of numbers do", () => {
  assert(
    property(numbers, numbers, nat(60), nat(60), (one, other, a, b) => {
      const [first, last] = [Math.min(a, b), Math.max(a, b)];
      const [left, right] = [toRanges(one), toRanges(other)];
      expect(toNumbers(left)).toEqual(one);
      expect(countOf(left)).toBe(one.length);
      expect(union(left, right)).toEqual(toRanges([...new Set([...one, ...other])].sort((x, y) => x - y)));
      expect(subtract(left, right)).toEqual(toRanges(one.filter((number) => !other.includes(number))));
      expect(within(left, first, last)).toEqual(toRanges(one.filter((number) => number >= first && number <= last)));
      expect(within(left, last + 1, first)).toEqual([]);
      expect(unpackRanges(packRanges(left))).toEqual(left);
    }),
  );
});

test("what is no packed range is refused", () => {
  for (const packed of [undefined, "5,1", [5], [5, 0], [-1, 2], [1.5, 2], [1, null]]) expect(unpackRanges(packed)).toBeUndefined();
  expect(
    packRanges([
      [5, 9],
      [11, 11],
    ]),
  ).toEqual([5, 5, 1, 1]);
});

test("ranges that grow are those pushed one by one, in less memory", () => {
  assert(
    property(array(nat(3)), (gaps) => {
      const grown = new GrowingRanges();
      const pushed: Range[] = [];
      let at = 0;
      for (const gap of gaps) {
        at += gap;
        grown.push(at, at + 1);
        pushRange(pushed, at, at + 1);
        at += 2;
      }
      expect(grown.toRanges()).toEqual(pushed);
      expect([grown.length, grown.first()]).toEqual([pushed.length, pushed[0]?.[0] ?? Infinity]);
      grown.set(pushed.slice(1));
      expect(grown.toRanges()).toEqual(pushed.slice(1));
    }),
  );
});
