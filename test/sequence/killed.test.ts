/**
 * A few sequences against the real executable with kill -9, in real time: what the doors of outside.ts stand for is the real thing here.
 *
 * What becomes of a file that loses its name cannot be foreseen from outside: of its lines, those that have not arrived by then may be lost.
 */
import { expect, test } from "bun:test";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Seeded } from "../sim/random.ts";
import { executable, writeConfig } from "../support/logferry.ts";
import { startProcess, type Started } from "../support/process.ts";
import { scratch } from "../support/scratch.ts";
import { Family } from "./family.ts";
import { isBanner, World } from "./world.ts";

const acts = 120;
const arriveMsMax = 60_000;

/** How often each line lies in the folder. */
async function arrived(lake: string): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for await (const name of new Bun.Glob("**/*.ndjson.zst").scan({ cwd: lake, onlyFiles: true })) {
    const text = Buffer.from(await Bun.zstdDecompress(await Bun.file(join(lake, name)).bytes())).toString();
    for (const line of text.trimEnd().split("\n")) {
      const { message = "", partial = false } = JSON.parse(line) as { message?: string; partial?: boolean };
      if (!partial && !isBanner(message)) found.set(message, (found.get(message) ?? 0) + 1);
    }
  }
  return found;
}

async function run(seed: number): Promise<{ kills: number; wrong: string[]; lines: number }> {
  await using dir = await scratch();
  const random = new Seeded(seed);
  const [root, lake] = [dir.join("logs"), dir.join("lake")];
  await Promise.all([mkdir(root), mkdir(lake)]);
  let found = new Map<string, number>();
  const audience = { holds: () => false, opens: () => false, durable: (text: string) => found.has(text) };
  const world = new World({ root, random, now: () => Date.now(), reuse: false, note: () => {}, audience });
  const families = [new Family(world, "one"), new Family(world, "two")];
  const config = await writeConfig(dir.path, {
    sources: {
      app: { type: "file", include: families.flatMap(({ include }) => include), discover_interval: "200ms", partial_line_after: "1h" },
    },
    sinks: { lake: { type: "directory", dir: lake, batch: { age_max: "200ms" } } },
  });
  const start = (): Started => startProcess([executable, "run", "--config", config]);
  let process = start();
  let kills = 0;
  for (let act = 0; act < acts; act++) {
    found = await arrived(lake);
    random.pick(families).act();
    await Bun.sleep(random.below(120));
    if (!random.chance(0.06)) continue;
    await process.stop("SIGKILL");
    kills++;
    world.unread();
    for (let left = random.below(4); left > 0; left--) random.pick(families).act();
    process = start();
  }
  const lines = world.generations.flatMap((generation) => generation.lines).filter(({ text }) => !isBanner(text));
  const deadline = performance.now() + arriveMsMax;
  const missing = (): string[] => lines.filter(({ text, may }) => !may && !found.has(text)).map(({ text }) => `lost: ${text}`);
  while (missing().length > 0 && performance.now() < deadline) {
    await Bun.sleep(100);
    found = await arrived(lake);
  }
  expect(await process.stop()).toBe(0);
  found = await arrived(lake);
  const written = new Set(lines.map(({ text }) => text));
  const wrong = [...found].filter(([text, times]) => times > 1 || !written.has(text)).map(([text, times]) => `${times} times: ${text}`);
  return { kills, wrong: [...missing(), ...wrong].slice(0, 5), lines: lines.length };
}

test("six sequences with the real executable, killed now and then: every line that must arrive does, and none twice", async () => {
  const outcomes = await Promise.all([1, 2, 3, 4, 5, 6].map(run));
  expect(outcomes.map(({ wrong }) => wrong)).toEqual([[], [], [], [], [], []]);
  expect(outcomes.reduce((sum, { kills }) => sum + kills, 0)).toBeGreaterThan(10);
  expect(Math.min(...outcomes.map(({ lines }) => lines))).toBeGreaterThan(100);
}, 200_000);
