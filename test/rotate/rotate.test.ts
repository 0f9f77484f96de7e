/** Twenty seconds of the rotation harness, and that its counting can fail. */
import { expect, test } from "bun:test";
import { executable } from "../support/logferry.ts";
import { scratch } from "../support/scratch.ts";
import { logferryCollector } from "./collector.ts";
import { Counter } from "./counter.ts";
import { rotate, summary } from "./harness.ts";

test("six ways of rotation under load, a kill every four seconds: nothing lost, nothing twice", async () => {
  await using dir = await scratch();
  const result = await rotate({
    dir: dir.path,
    collector: (setup) => logferryCollector(executable, setup),
    seconds: 20,
    linesPerSecond: 6000,
    rotateEvery: 1500,
    killSeconds: 4,
    keepSeconds: 30,
    discover: "500ms",
    quietSeconds: 30,
  });
  process.stderr.write(`${summary("rotate", result).line}\n`);
  const { lost, repeated, foreign, broken, examples } = result;
  expect({ lost, repeated, foreign, broken, examples }).toEqual({ lost: 0, repeated: 0, foreign: 0, broken: [], examples: [] });
  expect(result.kills).toBeGreaterThanOrEqual(2);
  for (const [name, { lines, rotations }] of Object.entries(result.styles))
    expect({ name, enough: lines > 10_000 && rotations >= 3 }).toEqual({ name, enough: true });
}, 120_000);

test("the counter sees what is lost, what comes again and what is not the writer's, in whatever it is wrapped", () => {
  const counter = new Counter();
  counter.add('{"message":"w=a n=0 words"}\n{"message":"w=a n=1 words"}\n\n', "one");
  counter.add("<13>Nov 23 host w=a n=4 words\nw=a n=1 words\nw=b n=20 words\nnonsense\nw=a n=\nw=a n=9", "two");
  expect(counter.verdict("a", 7)).toEqual({ lost: 4, repeated: 1, gaps: ["a 2-3", "a 5-6"] });
  expect(counter.verdict("b", 21)).toMatchObject({ lost: 20, gaps: ["b 0-19"] });
  expect(counter.verdict("c", 2)).toMatchObject({ lost: 2, repeated: 0 });
  expect(counter).toMatchObject({ lines: 8, foreign: 3, repeats: ["two a 1"] });
  expect(counter.highest()).toEqual({ a: 4, b: 20 });
  expect([counter.reached("a", 2), counter.reached("a", 3), counter.reached("c", 0), counter.reached("c", 1)]).toEqual([true, false, true, false]);
});
