/** A fixed set of seeds in simulated time, and every seed that ever failed. `npm run lokisim` runs more. */
import { expect, test } from "bun:test";
import failed from "./failed.json";
import { simulate } from "./run.ts";

/** Half a minute of one core. */
const seeds = 30;
const seedsEach = 10;

for (let from = 1; from <= seeds; from += seedsEach) {
  test(`seeds ${from} to ${from + seedsEach - 1}: complete and without repetition whatever goes wrong, killed now and then`, async () => {
    for (let seed = from; seed < from + seedsEach; seed++) {
      const { failure, entries, kills } = await simulate(seed, seed % 5 === 0 ? "poll" : "tail");
      expect({ seed, failure }).toEqual({ seed, failure: undefined });
      expect({ entries: entries > 1000, kills: kills > 0 }).toEqual({ entries: true, kills: true });
    }
  }, 300_000);
}

test("with nothing wrong but tails that lose streams, everything is there within the time of two sweeps", async () => {
  for (let seed = 1; seed <= 5; seed++) expect({ seed, failure: (await simulate(seed, "tail", true)).failure }).toEqual({ seed, failure: undefined });
}, 60_000);

for (const { seed, mode, found } of failed as { seed: number; mode: "tail" | "poll"; found: string }[]) {
  test(`seed ${seed} found: ${found}`, async () => {
    expect((await simulate(seed, mode)).failure).toBeUndefined();
  }, 60_000);
}
