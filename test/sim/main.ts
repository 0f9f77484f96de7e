/** `npm run sim -- --seeds N --from S`: more seeds than `npm test` runs; prints the first failure with its last events, exit 1. */
import { parseArgs } from "node:util";
import { simulate } from "./run.ts";

const { values } = parseArgs({ options: { seeds: { type: "string", default: "1000" }, from: { type: "string", default: "1" } } });
const from = Number(values.from);
let steps = 0;
let crashes = 0;
for (let seed = from; seed < from + Number(values.seeds); seed++) {
  const outcome = await simulate(seed);
  steps += outcome.steps;
  crashes += outcome.crashes;
  if (outcome.failure === undefined) continue;
  console.log(`seed ${seed} failed after ${outcome.steps} steps and ${outcome.crashes} crashes:\n${outcome.failure}`);
  process.exit(1);
}
console.log(`${values.seeds} seeds from ${from}: ${steps} steps, ${crashes} crashes, nothing lost, nothing twice`);
