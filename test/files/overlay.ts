/**
 * `bun overlay.ts FOLDER`: all cases on an overlay that is mounted here, for this process and its children alone. Prints what is wrong
 * as JSON, `[[name, words], …]`, and how many were played. To be started in a mount namespace of its own (`unshare --mount`).
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { cases, type When } from "./cases.ts";
import { play } from "./play.ts";

/** At once: most of a case is waiting. */
const width = 8;

const [folder = ""] = process.argv.slice(2);
const [lower, upper, work, merged] = ["lower", "upper", "work", "merged"].map((name) => join(folder, name));
for (const each of [lower, upper, work, merged]) mkdirSync(each ?? "", { recursive: true });
const options = `lowerdir=${lower},upperdir=${upper},workdir=${work}`;
const mounted = Bun.spawnSync(["mount", "-t", "overlay", "overlay", "-o", options, merged ?? ""], { stderr: "pipe" });
if (mounted.exitCode !== 0) {
  console.error(mounted.stderr.toString().trim());
  process.exit(3);
}

const moments: readonly When[] = ["while running", "while we are down"];
const left = moments.flatMap((when) => cases.filter(({ only }) => only === undefined || only.when === when).map((each) => ({ each, when })));
const played = left.length;
const wrong: [name: string, words: string][] = [];
const worker = async (): Promise<void> => {
  for (let next = left.shift(); next !== undefined; next = left.shift()) {
    const { each, when } = next;
    const words = await play(each, when, merged ?? "").catch(String);
    if (words !== "") wrong.push([`${each.name}, ${when}`, words]);
  }
};
await Promise.all(Array.from({ length: width }, worker));
console.log(JSON.stringify({ played, wrong }));
process.exit(0);
