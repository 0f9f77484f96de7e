/**
 * `npm run sim -- --planted`: shows that the simulation finds faults. Plants each bug of bugs.ts into a copy of the tree, runs
 * seeds until one fails, and prints a table for docs/simulation.md. `--only WORD`: those whose name has it.
 *
 * Exit code 1 when a bug lived through all seeds; throws when the text that a bug replaces is not there any more.
 */
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { plantedBugs, type PlantedBug } from "./bugs.ts";

export type { PlantedBug };

/** Which bugs, what else of the tree the runs need, and the program that runs seeds (`--seeds N`). */
export interface Hunt {
  readonly bugs: readonly PlantedBug[];
  readonly parts: readonly string[];
  readonly main: string;
}

const simulation: Hunt = { bugs: plantedBugs, parts: [], main: "test/sim/main.ts" };

const root = join(import.meta.dir, "../..");

/** Tries each bug on up to `seeds` seeds. */
export async function runPlanted(seeds: number, only: string, { bugs, parts, main }: Hunt = simulation): Promise<0 | 1> {
  const scratch = await mkdtemp(join(tmpdir(), "planted-"));
  try {
    for (const part of ["src", "test/sim", "package.json", "tsconfig.json", ...parts])
      await cp(join(root, part), join(scratch, part), { recursive: true });
    await symlink(join(root, "node_modules"), join(scratch, "node_modules"));
    for (const bug of bugs) planted(await readFile(join(root, bug.file), "utf8"), bug);
    let alive = 0;
    console.log("| planted bug | seeds until caught | what the simulation says |\n| --- | ---: | --- |");
    for (const bug of bugs.filter(({ name }) => name.includes(only))) {
      const { seed, says } = await hunt(scratch, bug, [main, "--seeds", String(seeds)]);
      if (seed === undefined) alive++;
      console.log(`| ${bug.name} | ${seed ?? `not within ${seeds}`} | ${says} |`);
    }
    return alive === 0 ? 0 : 1;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

function planted(text: string, { name, file, replace, by }: PlantedBug): string {
  const parts = text.split(replace);
  if (parts.length !== 2) throw new Error(`plant "${name}": its text stands ${parts.length - 1} times in ${file}`);
  return parts.join(by);
}

async function hunt(scratch: string, bug: PlantedBug, command: readonly string[]): Promise<{ seed: number | undefined; says: string }> {
  const path = join(scratch, bug.file);
  const text = await readFile(path, "utf8");
  await writeFile(path, planted(text, bug));
  try {
    const run = Bun.spawn([process.execPath, ...command], { cwd: scratch, stdout: "pipe", stderr: "pipe" });
    const output = `${await new Response(run.stdout).text()}${await new Response(run.stderr).text()}`;
    if ((await run.exited) === 0) return { seed: undefined, says: "" };
    const [, seed, words = ""] = /^seed (\d+) failed[^:]*: (.*)/m.exec(output) ?? [];
    if (seed === undefined) throw new Error(`plant "${bug.name}": ${output.slice(0, 1000)}`);
    return { seed: Number(seed), says: words.replace(/ \(records.*\)$/, "").slice(0, 110) };
  } finally {
    await writeFile(path, text);
  }
}
