/**
 * `npm run lokisim -- --seeds N --from S`: more seeds than `npm test` runs, in both modes, and what they asked of the server beside a
 * plain polling source. Prints the first failure, exit 1. `--planted`: shows that it finds faults (bugs.ts).
 * `--kill N`: instead, on the wall clock, the executable killed N times, every ten seconds, while 2,000 entries a second are pushed.
 */
import { parseArgs } from "node:util";
import { scratch } from "../support/scratch.ts";
import { runPlanted } from "../sim/planted.ts";
import { lokiHunt } from "./bugs.ts";
import { simulate, simulatePlain, type Asked } from "./run.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string" },
    from: { type: "string", default: "1" },
    planted: { type: "boolean", default: false },
    only: { type: "string", default: "" },
    kill: { type: "string" },
  },
});
if (values.kill !== undefined) {
  await using dir = await scratch();
  const { killRun } = await import("./kill.ts");
  const { pushed, records, distinct } = await killRun(dir, { lives: Number(values.kill), lifeMs: 10_000, rate: 2000 });
  console.log(`${values.kill} kills, ${pushed} entries: ${pushed - distinct} lost, ${records - distinct} repeated`);
  process.exit(records === pushed && distinct === pushed ? 0 : 1);
}
if (values.planted) process.exit(await runPlanted(Number(values.seeds ?? 50), values.only, lokiHunt));
const from = Number(values.from);
const end = from + Number(values.seeds ?? 200);
const beganMs = performance.now();
let entries = 0;
let kills = 0;
let declared = 0;
const rows = new Map<string, { seeds: number; requests: number; bytes: number; entries: number; missing: number }>();

for (let seed = from; seed < end; seed++) {
  // A promise of the code under test that nobody awaits, or a throw out of a callback, is a failure of the seed that runs.
  const fatal = (cause: unknown): void => {
    console.log(`seed ${seed} failed: unhandled: ${cause instanceof Error ? cause.stack : String(cause)}`);
    process.exit(1);
  };
  process.once("unhandledRejection", fatal);
  for (const mode of ["tail", "poll"] as const) {
    // One in four: they differ in the tail only.
    if (mode === "poll" && seed % 4 !== 0) continue;
    const outcome = await simulate(seed, mode);
    if (outcome.failure !== undefined) {
      console.log(`seed ${seed} failed in mode ${mode}: ${outcome.failure}`);
      process.exit(1);
    }
    entries += outcome.entries;
    kills += outcome.kills;
    declared += outcome.declared;
    add(`this source, mode ${mode}, every fault on`, outcome.asked, outcome.entries, outcome.declared);
  }
  const well = await simulate(seed, "tail", true);
  if (well.failure !== undefined) {
    console.log(`seed ${seed} failed without faults: ${well.failure}`);
    process.exit(1);
  }
  add("this source, mode tail, no fault", well.asked, well.entries, well.declared);
  for (const late of [false, true]) {
    const { missing, ...asked } = await simulatePlain(seed, late);
    add(`plain polling, no fault${late ? ", late lines looked for" : ""}`, asked, 0, missing);
  }
  process.off("unhandledRejection", fatal);
}

function add(name: string, { requests, bytes }: Asked, found: number, missing: number): void {
  const row = rows.get(name) ?? { seeds: 0, requests: 0, bytes: 0, entries: 0, missing: 0 };
  rows.set(name, {
    seeds: row.seeds + 1,
    requests: row.requests + requests,
    bytes: row.bytes + bytes,
    entries: row.entries + found,
    missing: row.missing + missing,
  });
}

console.log("| a seed's ten minutes, mean | requests | answered, kB | entries missing |\n| --- | ---: | ---: | ---: |");
for (const [name, { seeds, requests, bytes, missing }] of rows)
  console.log(`| ${name} | ${Math.round(requests / seeds)} | ${Math.round(bytes / seeds / 1000)} | ${(missing / seeds).toFixed(1)} |`);
const seconds = (performance.now() - beganMs) / 1000;
console.log(
  `${end - from} seeds from ${from}: ${entries} entries, ${kills} kills, 0 lost but the ${declared} that were declared, 0 twice; ${seconds.toFixed(0)} s`,
);
