/** Every case on a file system on disk and on one in memory, while we run and while we are down; and on an overlay in a process of its own. */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { leftOut } from "../support/privilege.ts";
import { runProcess } from "../support/process.ts";
import { memoryRoot, scratch, type Scratch } from "../support/scratch.ts";
import { cases, type When } from "./cases.ts";
import { play } from "./play.ts";

const unshared = process.getuid?.() === 0 ? ["unshare", "--mount"] : ["unshare", "--user", "--map-root-user", "--mount"];
const moments: readonly When[] = ["while running", "while we are down"];
const systems: readonly (readonly [name: string, root: string | undefined])[] = [
  ["on disk", undefined],
  ["in memory", memoryRoot],
];

for (const [system, root] of systems) {
  describe(system, () => {
    let dir: Scratch;
    beforeAll(async () => {
      dir = await scratch(root);
    });
    afterAll(() => dir[Symbol.asyncDispose]());
    for (const when of moments) {
      for (const each of cases.filter(({ only }) => only === undefined || only.when === when)) {
        test.concurrent(`${each.name}, ${when}`, async () => expect(await play(each, when, dir.path)).toBe(""), 60_000);
      }
    }
  });
}

test("on an overlay, as containers have it", async () => {
  await using dir = await scratch();
  const tried = await runProcess([...unshared, "true"]);
  if (leftOut("the cases on an overlay", tried.code === 0 ? undefined : tried.stderr.trim())) return;
  const { code, stdout, stderr } = await runProcess([...unshared, process.execPath, join(import.meta.dir, "overlay.ts"), dir.path]);
  if (leftOut("the cases on an overlay", code === 3 ? stderr.trim() : undefined)) return;
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const { played, wrong } = JSON.parse(stdout) as { played: number; wrong: unknown[] };
  expect(wrong).toEqual([]);
  expect(played).toBeGreaterThan(cases.length);
}, 240_000);
