/**
 * `npm run sequence -- --seeds N --from S`: more sequences than `npm test` runs; prints the first that fails, exit 1.
 * `--all`: goes on after one that fails. `--seed N --trace`: one, with all that happens in it. `--planted`: shows that it finds faults,
 * see bugs.ts.
 */
import { parseArgs } from "node:util";
import { sequence } from "./run.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    trace: { type: "boolean", default: false },
    all: { type: "boolean", default: false },
    planted: { type: "boolean", default: false },
    only: { type: "string", default: "" },
  },
});
if (values.planted) {
  const [{ runPlanted }, { plantedBugs }] = [await import("../sim/planted.ts"), await import("./bugs.ts")];
  const parts = ["test/sequence", "test/support"];
  process.exit(await runPlanted(Number(values.seeds ?? 1000), values.only, { bugs: plantedBugs, parts, main: "test/sequence/main.ts" }));
}
const from = Number(values.seed ?? values.from);
const seeds = values.seed === undefined ? Number(values.seeds ?? 1000) : 1;
const beganMs = performance.now();
let [acts, lives, lines, failures] = [0, 0, 0, 0];
for (let seed = from; seed < from + seeds; seed++) {
  // A promise of the code under test that nobody awaits is a failure of the seed that runs.
  const fatal = (cause: unknown): void => {
    console.log(`seed ${seed} failed: unhandled: ${cause instanceof Error ? cause.stack : String(cause)}`);
    process.exit(1);
  };
  process.once("unhandledRejection", fatal);
  const outcome = await sequence(seed);
  process.off("unhandledRejection", fatal);
  acts += outcome.acts;
  lives += outcome.lives;
  lines += outcome.lines;
  if (values.trace) for (const words of outcome.trace) console.log(words);
  if (outcome.failure === undefined) continue;
  console.log(`seed ${seed} failed after ${outcome.acts} acts in ${outcome.lives} lives: ${outcome.failure}`);
  failures++;
  if (!values.all) process.exit(1);
}
const seconds = (performance.now() - beganMs) / 1000;
console.log(`${seeds} sequences from ${from}: ${acts} acts, ${lives} lives, ${lines} lines, ${failures} failed; ${seconds.toFixed(1)} s`);
process.exit(failures === 0 ? 0 : 1);
