/**
 * `node tool/bootstrap.mjs bench/onefile.ts --bytes 20GB`: one file of that size is there already, `run --once` delivers it into a folder; resident memory,
 * CPU and bytes read over time, and every line counted.
 *
 * The file is one block of an access log again and again, each line with a number of its own. Objects are counted and removed as
 * they come, so that the disk holds the file and the spool and little more. Prints the points as CSV (`--out FILE.csv` or `FILE.json` writes
 * them) and one line with the sums; exit code 1 when a line is missing or came twice.
 */
import { closeSync, mkdirSync, openSync, readFileSync, unlinkSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ensureExecutable } from "../build.ts";
import type { Status } from "../src/core/view.ts";
import { parseSize } from "../src/core/values.ts";
import { configured, gigabyte, inScratch, megabyte, root, type Plan } from "./bench.ts";
import { generate } from "./corpus/generate.ts";
import { isComplete, Tally, type Verdict } from "./corpus/tally.ts";
import { cpuSeconds, spawn, statusBytes, type Cost, type Spawned } from "./process.ts";

interface Point {
  readonly seconds: number;
  readonly read_mb: number;
  readonly rss_mb: number;
  /** What of it is its own and not pages of files. */
  readonly anonymous_mb: number;
  readonly cpu_s: number;
}

const blockBytes = 16 * 1024 * 1024;
const marker = "seq=";
const digits = 12;
const everyMs = 1000;

/** Writes at least `bytesMin` bytes of numbered lines; returns how many. */
function write(path: string, bytesMin: number): { lines: number; bytes: number } {
  generate("access", blockBytes, 1, path);
  const text = readFileSync(path, "latin1").trimEnd().split("\n");
  const head = `${marker}${"0".repeat(digits)} `;
  const block = Buffer.from(text.map((line) => `${head}${line}\n`).join(""), "latin1");
  const places: number[] = [];
  for (let at = 0; at < block.length; at = block.indexOf(10, at) + 1) places.push(at + marker.length + digits - 1);
  const fd = openSync(path, "w");
  let [lines, bytes] = [0, 0];
  while (bytes < bytesMin) {
    for (const place of places) {
      let rest = lines++;
      for (let at = place; rest > 0; at--) {
        block[at] = 48 + (rest % 10);
        rest = Math.floor(rest / 10);
      }
    }
    for (let at = 0; at < block.length;) at += writeSync(fd, block, at);
    bytes += block.length;
  }
  closeSync(fd);
  return { lines, bytes };
}

/** Counts the objects that are there and removes them. */
async function take(lake: string, tally: Tally): Promise<void> {
  for await (const name of new Bun.Glob("**/*.ndjson.zst").scan({ cwd: lake, onlyFiles: true })) {
    const path = join(lake, name);
    tally.addLines(Buffer.from(await Bun.zstdDecompress(await Bun.file(path).bytes())));
    unlinkSync(path);
  }
}

async function readBytes(control: number): Promise<number> {
  const status = (await (await fetch(`http://127.0.0.1:${control}/status`)).json()) as Status;
  return Object.values(status.sources)[0]?.bytes ?? 0;
}

async function measure(plan: Plan): Promise<{ points: Point[]; failed: boolean; line: string }> {
  return inScratch(plan, async (folder) => {
    plan.note(`writing ${plan.bytes / gigabyte} GB`);
    const path = join(folder, "backlog.log");
    const { lines, bytes } = write(path, plan.bytes);
    const lake = join(folder, "lake");
    mkdirSync(lake);
    const parts = { sources: { in: { type: "file", include: [path] } }, sinks: { out: { type: "directory", dir: lake } } };
    const { command, control, log } = configured(plan, folder, parts, "--once");
    const child = spawn(command, log);
    const tally = new Tally(marker);
    const points = await watch(child, control, () => take(lake, tally));
    const cost = await child.exited;
    await take(lake, tally);
    const verdict = tally.verdict(lines);
    return { points, failed: !isComplete(verdict), line: summary(bytes, lines, verdict, cost, points) };
  });
}

/** Looks every second until it has ended. */
async function watch(child: Spawned, control: number, meanwhile: () => Promise<void>): Promise<Point[]> {
  const began = performance.now();
  const points: Point[] = [];
  const state = { over: false };
  const ended = child.exited.then(
    () => (state.over = true),
    () => (state.over = true),
  );
  while (!state.over) {
    await Promise.race([Bun.sleep(everyMs), ended]);
    const read = await readBytes(control).catch(() => undefined);
    const rss = statusBytes(child.pid) / megabyte;
    if (read !== undefined && !Number.isNaN(rss)) {
      const seconds = Math.round((performance.now() - began) / 100) / 10;
      const anonymous = Math.round(statusBytes(child.pid, "RssAnon") / megabyte);
      points.push({ seconds, read_mb: Math.round(read / megabyte), rss_mb: Math.round(rss), anonymous_mb: anonymous, cpu_s: cpuSeconds(child.pid) });
    }
    await meanwhile();
  }
  return points;
}

function summary(bytes: number, lines: number, { missing, repeated, foreign }: Verdict, cost: Cost, points: readonly Point[]): string {
  const most = (quarter: number): number => {
    const part = points.slice(Math.floor((points.length * quarter) / 4), Math.ceil((points.length * (quarter + 1)) / 4));
    return Math.max(...part.map(({ rss_mb }) => rss_mb));
  };
  return (
    `${(bytes / gigabyte).toFixed(1)} GB, ${lines.toLocaleString("en-US")} lines; missing ${missing}, repeated ${repeated}, foreign ${foreign}; ` +
    `${(bytes / megabyte / cost.wallSeconds).toFixed(0)} MB/s, ${((cost.cpuSeconds * gigabyte) / bytes).toFixed(2)} CPU s/GB; ` +
    `resident at most ${(cost.rssPeakBytes / megabyte).toFixed(0)} MB, by quarters of the time ${[0, 1, 2, 3].map(most).join(", ")}`
  );
}

const { values } = parseArgs({
  options: {
    bytes: { type: "string", default: "1GB" },
    folder: { type: "string", default: join(root, ".cache", "bench") },
    executable: { type: "string" },
    out: { type: "string" },
  },
});
const bytes = parseSize(values.bytes);
if (bytes === undefined || bytes < blockBytes) {
  console.error("onefile: --bytes is a size of at least 16MiB");
  process.exit(2);
}
const executable = values.executable ?? (await ensureExecutable()).path;
const note = (text: string): void => console.error(`  ${text}`);
const plan: Plan = { logferry: [executable], folder: values.folder, bytes, runs: 1, seconds: 0, check: true, note };
const { points, failed, line } = await measure(plan);
const csv = ["seconds,read_mb,rss_mb,anonymous_mb,cpu_s", ...points.map((point) => Object.values(point).join(","))].join("\n");
if (values.out === undefined) console.log(csv);
else writeFileSync(values.out, values.out.endsWith(".json") ? `${JSON.stringify(points)}\n` : `${csv}\n`);
console.log(line);
process.exit(failed ? 1 : 0);
