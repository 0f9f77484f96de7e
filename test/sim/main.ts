/**
 * `npm run sim -- --seeds N --from S`: more seeds than `npm test` runs; prints the first failure with its turns and last
 * events, exit 1. `--planted`: shows that it finds faults, see planted.ts.
 */
import { parseArgs } from "node:util";
import { simulate } from "./run.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string" },
    from: { type: "string", default: "1" },
    planted: { type: "boolean", default: false },
    only: { type: "string", default: "" },
  },
});
if (values.planted) process.exit(await (await import("./planted.ts")).runPlanted(Number(values.seeds ?? 2000), values.only));
const from = Number(values.from);
const seeds = Number(values.seeds ?? 1000);
const end = from + seeds;
const beganMs = performance.now();
let steps = 0;
let crashes = 0;
for (let seed = from; seed < end; seed++) {
  // A promise of the code under test that nobody awaits, or a throw out of a callback, is a failure of the seed that runs.
  const fatal = (cause: unknown): void => {
    console.log(`seed ${seed} failed: unhandled: ${cause instanceof Error ? cause.stack : String(cause)}`);
    process.exit(1);
  };
  process.once("unhandledRejection", fatal);
  const outcome = simulate(seed);
  await new Promise((resolve) => setImmediate(resolve));
  process.off("unhandledRejection", fatal);
  steps += outcome.steps;
  crashes += outcome.crashes;
  if (outcome.failure === undefined) continue;
  console.log(`seed ${seed} failed after ${outcome.steps} steps and ${outcome.crashes} crashes: ${outcome.failure}`);
  process.exit(1);
}
const seconds = (performance.now() - beganMs) / 1000;
console.log(
  `${seeds} seeds from ${from}: ${steps} steps, ${crashes} crashes, nothing lost, nothing twice; ${seconds.toFixed(1)} s, ${Math.round(steps / seconds)} steps/s`,
);
