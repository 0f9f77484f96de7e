/** The corpora are what the benchmarks lean on: repeatable, numbered without a gap, valid, and judged by a tally that can say no. */
import { describe, expect, test } from "bun:test";
import { kindNames, kinds, type KindName } from "./kind.ts";
import { lineBytesMax } from "./line.ts";
import { Random, Zipf } from "./random.ts";
import { isComplete, Tally } from "./tally.ts";
import { Text } from "./text.ts";

function sample(kind: KindName, seed: number, count: number): Buffer {
  const text = new Text(count * lineBytesMax);
  const line = kinds[kind].create(new Random(seed));
  for (let sequence = 0; sequence < count; sequence++) line(text, sequence);
  return Buffer.from(text.taken());
}

describe.each([...kindNames])("corpus %s", (kind) => {
  const bytes = sample(kind, 7, 500);

  test("is the same for the same seed and another for another", () => {
    expect(sample(kind, 7, 500).equals(bytes)).toBe(true);
    expect(sample(kind, 8, 500).equals(bytes)).toBe(false);
  });

  test("is printable ASCII in whole lines of the promised size", () => {
    const lines = bytes.toString("latin1").split("\n");
    expect(lines.pop()).toBe("");
    expect(lines.length).toBe(500);
    expect(lines.every((line) => /^[\t -~]+$/.test(line) && line.length < lineBytesMax)).toBe(true);
  });

  test("numbers its lines from 0 without a gap", () => {
    const tally = new Tally(kinds[kind].marker);
    tally.addLines(bytes);
    expect(tally.verdict(500)).toEqual({ lines: 500, missing: 0, repeated: 0, foreign: 0 });
  });
});

test("lines of the JSON corpus are objects", () => {
  const lines = sample("json", 3, 500).toString("latin1").trimEnd().split("\n");
  expect(lines.every((line) => typeof JSON.parse(line) === "object")).toBe(true);
});

test("a tally counts what is missing, repeated and foreign", () => {
  const tally = new Tally("n=");
  tally.addLines(Buffer.from("n=0\nn=2 x\nn=2\nnothing\nn=9"));
  const verdict = tally.verdict(4);
  expect(verdict).toEqual({ lines: 5, missing: 2, repeated: 1, foreign: 2 });
  expect(isComplete(verdict)).toBe(false);
});

test("Zipf draws rank 0 about twice as often as rank 1, and every rank", () => {
  const random = new Random(1);
  const zipf = new Zipf(10, 1);
  const counts = Array.from({ length: 10 }, () => 0);
  for (let draw = 0; draw < 100_000; draw++) counts[zipf.rank(random)]!++;
  expect(counts[0]! / counts[1]!).toBeWithin(1.9, 2.1);
  expect(Math.min(...counts)).toBeGreaterThan(2500);
});
