/** A fixed set of sequences, and every seed that ever failed. */
import { expect, test } from "bun:test";
import failed from "./failed.json";
import { sequence } from "./run.ts";

const seedsEach = 50;

for (let from = 1; from <= 300; from += seedsEach) {
  test(`sequences ${from} to ${from + seedsEach - 1}: every line that must arrive is in the spool once, whatever rotation and kills do`, async () => {
    for (let seed = from; seed < from + seedsEach; seed++)
      expect({ seed, failure: (await sequence(seed)).failure }).toEqual({ seed, failure: undefined });
  }, 120_000);
}

const kept: readonly { readonly seed: number; readonly found: string }[] = failed;
for (const { seed, found } of kept) {
  test(`seed ${seed} found: ${found}`, async () => {
    expect((await sequence(seed)).failure).toBeUndefined();
  }, 60_000);
}

test("a seed does the same every time", async () => {
  const [first, second] = [await sequence(7), await sequence(7)];
  expect(second.trace.slice(1)).toEqual(first.trace.slice(1));
  expect(first.trace.length).toBeGreaterThan(20);
});
