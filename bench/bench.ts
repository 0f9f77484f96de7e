/** What the benchmarks share: where things lie, the executable, the receiver, a configuration in a scratch folder. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { generate, type Corpus } from "./corpus/generate.ts";
import type { KindName } from "./corpus/kind.ts";
import type { Received } from "./receiver.ts";

export const root = join(import.meta.dir, "..");

/** How one call of `npm run bench` measures. */
export interface Plan {
  /** The command that is logferry. */
  readonly logferry: readonly string[];
  /** Scratch and corpora: on a disk, since a sync costs nothing in memory. */
  readonly folder: string;
  readonly bytes: number;
  readonly runs: number;
  readonly seconds: number;
  /** The receiver decodes and tallies too; its CPU is then in the way of the wall time. */
  readonly check: boolean;
  readonly note: (text: string) => void;
}

export const gigabyte = 1e9;
export const megabyte = 1e6;

/** What changes when generated content does, so that files of older generators are not taken. */
const corpusVersion = 1;

export interface CorpusFile extends Corpus {
  readonly path: string;
}

/** The corpus file, made when it is not there yet. */
export function corpusFile(plan: Plan, kind: KindName): CorpusFile {
  const path = join(plan.folder, `corpus-${corpusVersion}-${kind}-${plan.bytes}.log`);
  const facts = `${path}.json`;
  if (existsSync(path) && existsSync(facts)) return { ...(JSON.parse(readFileSync(facts, "utf8")) as Corpus), path };
  plan.note(`generating ${plan.bytes / megabyte} MB of ${kind} log`);
  const corpus = generate(kind, plan.bytes, 1, path);
  writeFileSync(facts, JSON.stringify(corpus));
  return { ...corpus, path };
}

const scratches = new Set<string>();
process.on("exit", () => scratches.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

/** A fresh folder that is gone when `use` is over, or the process; with `kept`, only then. */
export async function inScratch<T>(plan: Plan, use: (folder: string) => Promise<T>, kept?: "kept"): Promise<T> {
  mkdirSync(plan.folder, { recursive: true });
  const folder = mkdtempSync(join(plan.folder, "run-"));
  scratches.add(folder);
  try {
    return await use(folder);
  } finally {
    if (kept === undefined) {
      scratches.delete(folder);
      rmSync(folder, { recursive: true, force: true });
    }
  }
}

/** Writes a configuration and returns the command line that runs it; `control` is its port. */
export function configured(
  plan: Plan,
  folder: string,
  parts: { sources: object; sinks: object; spool?: object },
  ...options: string[]
): { command: string[]; control: number; log: string } {
  const control = freePort();
  const config = {
    host: "bench",
    spool: { dir: join(folder, "spool"), min_free_bytes: "64MiB" },
    ...parts,
    control: { listen: `127.0.0.1:${control}` },
  };
  const path = join(folder, "logferry.json");
  writeFileSync(path, JSON.stringify(config, null, 2));
  return { command: [...plan.logferry, "run", ...options, "--config", path], control, log: join(folder, "log") };
}

function freePort(): number {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
}

/** Milliseconds until the instance is ready. */
export async function ready(control: number, exited: Promise<unknown>, everyMs: number): Promise<number> {
  const began = performance.now();
  const child = { over: false };
  exited.catch(() => {}).finally(() => (child.over = true));
  while (!child.over && performance.now() - began < 30_000) {
    const answer = await fetch(`http://127.0.0.1:${control}/ready`).catch(() => undefined);
    if (answer?.status === 200) return performance.now() - began;
    await Bun.sleep(everyMs);
  }
  await exited; // says why, when it ended
  throw new Error("logferry is not ready after 30 s");
}

/** The counting receiver; ends with `dispose`. */
export class Receiver implements AsyncDisposable {
  readonly url: string;
  readonly #process: Bun.Subprocess<"pipe", "pipe", "inherit">;

  private constructor(port: string, child: Bun.Subprocess<"pipe", "pipe", "inherit">) {
    this.url = `http://127.0.0.1:${port}`;
    this.#process = child;
  }

  static async start(marker?: string): Promise<Receiver> {
    const options = marker === undefined ? [] : ["--marker", marker];
    const child = Bun.spawn([process.execPath, join(import.meta.dir, "receiver.ts"), ...options], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
    });
    for await (const part of child.stdout) return new Receiver(new TextDecoder().decode(part).trim(), child);
    throw new Error("the receiver did not start");
  }

  async count(lines = 0): Promise<Received> {
    return (await (await fetch(`${this.url}/count?lines=${lines}`)).json()) as Received;
  }

  async reset(): Promise<void> {
    await fetch(`${this.url}/reset`, { method: "POST" });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    void this.#process.stdin.end();
    await this.#process.exited;
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] as number) : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}
