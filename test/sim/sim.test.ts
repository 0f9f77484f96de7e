/** A fixed set of seeds, and every seed that ever failed. */
import { expect, test } from "bun:test";
import failed from "./failed.json";
import { simulate } from "./run.ts";

const seedsEach = 50;

for (let from = 1; from <= 500; from += seedsEach) {
  test(`seeds ${from} to ${from + seedsEach - 1}: nothing acknowledged is lost, nothing arrives twice, everything arrives`, () => {
    for (let seed = from; seed < from + seedsEach; seed++) expect({ seed, failure: simulate(seed).failure }).toEqual({ seed, failure: undefined });
  }, 120_000);
}

for (const { seed, found } of failed) {
  test(`seed ${seed} found: ${found}`, () => {
    expect(simulate(seed).failure).toBeUndefined();
  }, 60_000);
}
