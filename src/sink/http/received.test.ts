/** What a receiver says it has, believed as far as it is of this spool's history. */
import { expect, test } from "bun:test";
import type { Batch } from "../../core/contract.ts";
import { isLast, receivedOf } from "./received.ts";

const own = ["aaaaaaaa", "bbbbbbbb"];
const said = (...lanes: object[]): string => JSON.stringify({ lanes });

test("the furthest low of an own epoch, and every batch of own epochs", () => {
  const lanes = said({ epoch: "aaaaaaaa", low: 10, had: [["aaaaaaaa", 20, 29]] }, { epoch: "bbbbbbbb", low: 12, had: [["bbbbbbbb", 12, 19]] });
  expect(receivedOf(lanes, own)).toEqual({
    low: 12,
    ranges: [
      [12, 19],
      [20, 29],
    ],
    exact: true,
  });
});

test("what another life of the spool brought is not ours", () => {
  const lanes = said({ epoch: "cccccccc", low: 90, had: [["cccccccc", 50, 99]] }, { epoch: "aaaaaaaa", low: 10, had: [["aaaaaaaa", 10, 19]] });
  expect(receivedOf(lanes, own)).toEqual({ low: 10, ranges: [[10, 19]], exact: false });
});

test("nothing known, left out, or not said: not exact", () => {
  expect(receivedOf(said(), own)).toEqual({ low: 0, ranges: [], exact: false });
  expect(receivedOf(said({ epoch: "aaaaaaaa", low: 10, cut: 12, had: [] }), own)).toMatchObject({ low: 10, exact: false });
  expect(receivedOf(said({ epoch: "aaaaaaaa", low: 13, cut: 12, had: [] }), own)).toMatchObject({ low: 13, exact: true });
  expect(receivedOf(said({ epoch: "aaaaaaaa", had: [] }), own)).toMatchObject({ exact: false });
});

test("another answer is none", () => {
  for (const text of ["", "{}", "[]", said({ epoch: 1, had: [] }), said({ epoch: "a", low: -1, had: [] }), said({ epoch: "a", had: [[1, 2, 3]] })])
    expect(receivedOf(text, own)).toBeUndefined();
});

test("the last batch of a lane is known by epoch, number and digest", () => {
  const batch = { lane: "a/b", epoch: "aaaaaaaa", number: 3, digest: "d".repeat(64) } as Batch;
  const lane = { lane: "a/b", epoch: "aaaaaaaa", number: 3, digest: `sha256:${"d".repeat(64)}`, had: [] };
  expect(isLast(said({ ...lane, lane: "0" }, lane), batch)).toBe(true);
  for (const other of [{ lane: "0" }, { epoch: "bbbbbbbb" }, { number: 4 }, { digest: "sha256:other" }, { lane: undefined, digest: undefined }])
    expect(isLast(said({ ...lane, ...other }), batch)).toBe(false);
  expect(isLast("nonsense", batch)).toBe(false);
});
