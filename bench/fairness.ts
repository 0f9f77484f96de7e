/**
 * Fairness: a hundred files that grow together beside one that is written faster than it can be shipped. How far is the slowest of the
 * hundred ever behind, from written to durable?
 *
 * This process writes the hundred, so that it knows what was in each file when; `/status` says how far each is durable. A question that
 * comes back late counts against logferry.
 */
import { appendFileSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { FileStatus } from "../src/core/files.ts";
import type { Status } from "../src/core/view.ts";
import { configured, corpusFile, inScratch, ready, Receiver, type Plan } from "./bench.ts";
import { adopt, spawn } from "./process.ts";

export interface Fairness {
  readonly setting: string;
  /** Of the hundred: the furthest behind at any moment, and the median over the moments of the furthest. */
  readonly behind_max_ms: number;
  readonly behind_median_ms: number;
  /** What was read of the busy file, and how far it was behind in the end. */
  readonly busy_mb_per_s: number;
  readonly busy_behind_mb: number;
  readonly descriptors_max: number;
}

const quiet = 100;
/** Faster than any sink takes it here. */
const floodPerSecond = 300e6;
const writeMs = 50;
const askMs = 100;

interface Setting {
  readonly name: string;
  readonly config: object;
}

const settings: readonly Setting[] = [
  { name: "as it is", config: {} },
  { name: "20 descriptors", config: { open_files_max: 20 } },
];

export async function fairness(plan: Plan): Promise<Fairness[]> {
  const found: Fairness[] = [];
  for (const setting of settings) found.push(await measure(plan, setting));
  return found;
}

async function measure(plan: Plan, { name, config }: Setting): Promise<Fairness> {
  plan.note(`fairness, ${name}: ${quiet} files and a flood, ${plan.seconds} s`);
  const corpus = corpusFile({ ...plan, bytes: 64e6 }, "access");
  await using receiver = await Receiver.start();
  return await inScratch(plan, async (folder) => {
    const logs = join(folder, "logs");
    mkdirSync(logs);
    const hundred = new Hundred(logs);
    hundred.write();
    const sinks = { out: { type: "http", url: `${receiver.url}/v1/records` } };
    const { command, control, log } = configured(plan, folder, {
      sources: { in: { type: "file", include: [join(logs, "*.log")], ...config } },
      sinks,
    });
    const child = spawn(command, log);
    await ready(control, child.exited, 20);
    const busy = join(logs, "busy.log");
    const flood = [process.execPath, join(import.meta.dir, "flood.ts"), corpus.path, busy, String(floodPerSecond), String(plan.seconds + 5)];
    const flooding = adopt(Bun.spawn(flood, { stderr: "inherit" }));
    const writing = setInterval(() => hundred.write(), writeMs);
    // It is behind from here on.
    await Bun.sleep(2000);
    const behind: number[] = [];
    let last: FileStatus | undefined;
    let [first, descriptors] = [0, 0];
    const began = performance.now();
    while (performance.now() - began < plan.seconds * 1000) {
      const status = (await (await fetch(`http://127.0.0.1:${control}/status?files=all`)).json()) as Status;
      const files = status.sources["in"]?.files ?? [];
      behind.push(hundred.behindMs(files));
      last = files.find(({ path }) => path === busy);
      first = first === 0 ? (last?.offset ?? 0) : first;
      descriptors = Math.max(descriptors, openBelow(child.pid));
      await Bun.sleep(askMs);
    }
    const seconds = (performance.now() - began) / 1000;
    clearInterval(writing);
    flooding.kill();
    child.kill("SIGTERM");
    await child.exited.catch(() => {}); // the flood need not be delivered
    const sorted = behind.toSorted((a, b) => a - b);
    return {
      setting: name,
      behind_max_ms: sorted.at(-1) ?? Number.NaN,
      behind_median_ms: sorted[sorted.length >> 1] ?? Number.NaN,
      busy_mb_per_s: ((last?.offset ?? 0) - first) / seconds / 1e6,
      busy_behind_mb: (last?.lag_bytes ?? 0) / 1e6,
      descriptors_max: descriptors,
    };
  });
}

/** All descriptors of the process: its own and those of files. */
function openBelow(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return Number.NaN;
  }
}

/** The files that grow together, and what was in each when. */
class Hundred {
  readonly #folder: string;
  /** By path: size after each write and the monotonic milliseconds of it, those that may not be durable yet. */
  readonly #written = new Map<string, { bytes: number; atMs: number }[]>();
  readonly #bytes = new Map<string, number>();
  #lines = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  write(): void {
    for (let file = 0; file < quiet; file++) {
      const path = join(this.#folder, `${file}.log`);
      const line = `${new Date().toISOString()} file=${file} n=${this.#lines++} a line as long as lines are in logs, or a little longer\n`;
      appendFileSync(path, line);
      const bytes = (this.#bytes.get(path) ?? 0) + line.length;
      this.#bytes.set(path, bytes);
      this.#written.set(path, [...(this.#written.get(path) ?? []), { bytes, atMs: performance.now() }]);
    }
  }

  /** Since when the line waits that waits longest. */
  behindMs(files: readonly FileStatus[]): number {
    const now = performance.now();
    let most = 0;
    for (const { path, offset } of files) {
      const waiting = this.#written.get(path)?.filter(({ bytes }) => bytes > offset);
      if (waiting === undefined) continue;
      this.#written.set(path, waiting);
      most = Math.max(most, now - (waiting[0]?.atMs ?? now));
    }
    return most;
  }
}
