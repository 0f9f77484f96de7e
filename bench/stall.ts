/**
 * `node tool/bootstrap.mjs bench/stall.ts [--bytes SIZE] [--kind KIND] [--to http|folder] [--executable FILE]`: how long the event loop
 * does not come round at full speed. While a file is caught up with, `GET /live` is asked a hundred times a second.
 *
 * An answer waits for what the loop has in hand, and, on a machine with other work, for a processor: for the main thread of the
 * process and for whoever asks. The kernel counts the latter, so it is taken off; what is left still holds waits for threads that
 * wait. What the main thread worked until the answer does not depend on other work. All three are printed.
 */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ensureExecutable } from "../build.ts";
import { parseSize } from "../src/core/values.ts";
import { configured, corpusFile, inScratch, ready, Receiver, root, type Plan } from "./bench.ts";
import { kindNames } from "./corpus/kind.ts";
import { spawn } from "./process.ts";

const everyMs = 10;

interface Answer {
  readonly ms: number;
  /** Of it, what nobody waited for a processor in. */
  readonly ownMs: number;
  /** What the main thread worked meanwhile. */
  readonly workMs: number;
}

/** Milliseconds that the main thread of `pid` ran, and was ready to run and did not; NaN when that is not known. */
function scheduled(pid: number): { ran: number; waited: number } {
  try {
    const [ran, waited] = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, "utf8").split(" ");
    return { ran: Number(ran) / 1e6, waited: Number(waited) / 1e6 };
  } catch {
    return { ran: Number.NaN, waited: Number.NaN };
  }
}

async function ask(control: number, pid: number): Promise<Answer> {
  const [theirs, ours] = [scheduled(pid), scheduled(process.pid)];
  const began = performance.now();
  await (await fetch(`http://127.0.0.1:${control}/live`)).bytes();
  const ms = performance.now() - began;
  const [theirsNow, oursNow] = [scheduled(pid), scheduled(process.pid)];
  const waited = theirsNow.waited - theirs.waited + oursNow.waited - ours.waited;
  return { ms, ownMs: Math.max(0, ms - waited), workMs: theirsNow.ran - theirs.ran };
}

async function measure(plan: Plan, kind: (typeof kindNames)[number], to: string): Promise<Answer[]> {
  const corpus = corpusFile(plan, kind);
  await using receiver = await Receiver.start();
  return await inScratch(plan, async (folder) => {
    const sink =
      to === "http"
        ? { type: "http", url: `${receiver.url}/v1/records` }
        : { type: "directory", dir: join(folder, "lake"), batch: { age_max: "1s" } };
    const { command, control, log } = configured(plan, folder, { sources: { in: { type: "file", include: [corpus.path] } }, sinks: { out: sink } });
    const child = spawn(command, log);
    await ready(control, child.exited, 5);
    const answers: Answer[] = [];
    for (let left = corpus.bytes; left > 0;) {
      answers.push(await ask(control, child.pid));
      await Bun.sleep(everyMs);
      if (answers.length % 50 !== 0) continue;
      const status = (await (await fetch(`http://127.0.0.1:${control}/status`)).json()) as { sinks: { out: { records: number } } };
      left = corpus.lines - status.sinks.out.records;
    }
    child.kill("SIGTERM");
    await child.exited;
    return answers;
  });
}

function shares(values: readonly number[]): string {
  const ascending = [...values].sort((a, b) => a - b);
  const at = (part: number): string => (ascending[Math.floor((ascending.length - 1) * part)] ?? Number.NaN).toFixed(1).padStart(6);
  return `p50 ${at(0.5)}  p90 ${at(0.9)}  p99 ${at(0.99)}  max ${at(1)} ms`;
}

const { values } = parseArgs({
  options: {
    bytes: { type: "string", default: "512MB" },
    kind: { type: "string", default: "access" },
    to: { type: "string", default: "http" },
    executable: { type: "string" },
    folder: { type: "string", default: join(root, ".cache", "bench") },
  },
});
const chosen = kindNames.find((name) => name === values.kind);
const bytes = parseSize(values.bytes);
if (chosen === undefined || bytes === undefined) throw new Error(`--kind is one of ${kindNames.join(", ")}, --bytes a size`);
const path = values.executable ?? (await ensureExecutable()).path;
const note = (text: string): void => console.error(`  ${text}`);
mkdirSync(values.folder, { recursive: true });
const logferry = path.endsWith(".ts") ? [process.execPath, path] : [path];
const answers = await measure({ logferry, folder: values.folder, bytes, runs: 1, seconds: 0, check: false, note }, chosen, values.to);
console.log(`${chosen} to ${values.to}, ${answers.length} answers while ${values.bytes} were caught up with`);
console.log(`  as it took            ${shares(answers.map(({ ms }) => ms))}`);
console.log(`  processor not waited  ${shares(answers.map(({ ownMs }) => ownMs))}`);
console.log(`  main thread worked    ${shares(answers.map(({ workMs }) => workMs))}`);
process.exit(0);
