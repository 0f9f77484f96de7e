/**
 * `node tool/bootstrap.mjs bench/collect.ts [--bytes SIZE] [--kind KIND] [--executable FILE]`: how often the garbage collector runs while a
 * file is caught up with into a folder, for how long it stops the program, and how much is allocated for a MiB of input.
 *
 * From what JavaScriptCore itself says (`BUN_JSC_logGC`). Allocated is what the heap has grown by from the end of one collection to the
 * begin of the next, buffers as far as the engine is told of them: frames and read buffers that are used again are not in it.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ensureExecutable } from "../build.ts";
import { parseSize } from "../src/core/values.ts";
import { configured, corpusFile, inScratch, root } from "./bench.ts";
import { kindNames } from "./corpus/kind.ts";

const { values } = parseArgs({
  options: {
    bytes: { type: "string", default: "512MB" },
    kind: { type: "string", default: "access" },
    executable: { type: "string" },
    folder: { type: "string", default: join(root, ".cache", "bench") },
  },
});
const kind = kindNames.find((name) => name === values.kind);
const bytes = parseSize(values.bytes);
if (kind === undefined || bytes === undefined) throw new Error(`--kind is one of ${kindNames.join(", ")}, --bytes a size`);
const logferry = [values.executable ?? (await ensureExecutable()).path];
const note = (text: string): void => console.error(`  ${text}`);
mkdirSync(values.folder, { recursive: true });
const plan = { logferry, folder: values.folder, bytes, runs: 1, seconds: 0, check: false, note };
const corpus = corpusFile(plan, kind);

/** All that the process says, the engine's words among our own log. */
const words = await inScratch(plan, async (folder) => {
  const sinks = { out: { type: "directory", dir: join(folder, "lake") } };
  const { command } = configured(plan, folder, { sources: { in: { type: "file", include: [corpus.path] } }, sinks }, "--once");
  const child = Bun.spawn(command, { env: { ...process.env, BUN_JSC_logGC: "1" }, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const said = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  if ((await child.exited) !== 0) throw new Error(said.join("\n"));
  return said.join("\n");
});

const pauses: number[] = [];
let [allocatedKib, liveKib, collections] = [0, 0, 0];
for (const [, begin, pause, end] of words.matchAll(/START \S+ (\d+)kb|\bp=([\d.]+)ms|=> (\d+)kb/g)) {
  if (begin !== undefined) allocatedKib += Math.max(0, Number(begin) - liveKib);
  else if (pause !== undefined) pauses.push(Number(pause));
  else {
    liveKib = Number(end);
    collections++;
  }
}
pauses.sort((a, b) => a - b);
const share = (part: number): string => (pauses[Math.floor((pauses.length - 1) * part)] ?? Number.NaN).toFixed(2);
const total = pauses.reduce((sum, pause) => sum + pause, 0);
console.log(`${kind}, ${values.bytes} into a folder: ${collections} collections, ${pauses.length} pauses, ${total.toFixed(0)} ms in all`);
console.log(`  pause p50 ${share(0.5)}  p99 ${share(0.99)}  largest ${share(1)} ms`);
console.log(`  allocated ${((allocatedKib * 1024) / corpus.bytes).toFixed(3)} bytes for a byte of input, ${liveKib} KiB live at the end`);
