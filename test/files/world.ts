/**
 * One log in a folder of its own, a writer that is a shell and its tools, and the file source before a spool in memory.
 *
 * A script is run by bash with these words: `w FILE COUNT` appends numbered lines (`n=17 …`), `say FILE TEXT` appends text as printf
 * has it, `moment` waits as long as a few looks take. The numbers go on from script to script, so that in the end each must be there once.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { file } from "../../src/source/file/source.ts";
import { MemorySpool } from "../conformance/memory.ts";
import { startSource, type Running } from "../conformance/running.ts";
import { runProcess } from "../support/process.ts";
import { until } from "../support/until.ts";

const words = `
set -eu
n=$(cat ../n 2>/dev/null || echo 0)
trap 'echo $n > ../n' EXIT
w() { seq -f "n=%.0f a line as long as lines are in logs, or a little longer" $n $((n + $2 - 1)) >> "$1"; n=$((n + $2)); }
say() { printf "$2" >> "$1"; }
moment() { sleep 0.15; }
`;

export interface WorldOptions {
  readonly globs: readonly string[];
  readonly config?: Readonly<Record<string, unknown>>;
}

export class World implements AsyncDisposable {
  readonly folder: string;
  spool = new MemorySpool();
  readonly #options: WorldOptions;
  #running: Running | undefined;

  /** `folder` is made; it must not be there yet. */
  constructor(folder: string, options: WorldOptions) {
    this.folder = folder;
    this.#options = options;
  }

  get running(): Running {
    if (this.#running === undefined) throw new Error("not started");
    return this.#running;
  }

  /** The writer runs `script` to its end. */
  async write(script: string): Promise<void> {
    const logs = join(this.folder, "logs");
    await mkdir(logs, { recursive: true });
    const { code, stderr } = await runProcess(["bash", "-c", words + script], { cwd: logs });
    if (code !== 0) throw new Error(`the writer ended with ${code}: ${stderr}`);
  }

  async start(): Promise<void> {
    await mkdir(join(this.folder, "logs"), { recursive: true });
    const include = this.#options.globs.map((glob) => join(this.folder, "logs", glob));
    const config: Record<string, unknown> = {
      type: "file",
      include,
      discover_interval: "40ms",
      partial_line_after: "300ms",
      ...this.#options.config,
    };
    this.#running = await startSource(file, config, this.spool);
    // Before that there was no first start: who is killed sooner starts for the first time once more, and `start: end` applies again.
    if (config["start"] === "end")
      await until(() => this.running.source.status().state !== "starting" && this.spool.positions.size > 0, "it has started");
  }

  /** As near to a kill -9 as it gets within a process: what was not committed is gone. */
  async kill(): Promise<void> {
    await this.running.kill();
    this.#running = undefined;
    this.spool = new MemorySpool(this.spool);
  }

  /** How many numbered lines were written so far. */
  async written(): Promise<number> {
    return Number(await Bun.file(join(this.folder, "n")).text());
  }

  /** Records by number, in the order in which they came; what has no number by its text. */
  get numbers(): (number | string)[] {
    return this.spool.lines.map((line) => {
      const text = line.text.replace(/^\0+/, ""); // which the pipeline leaves out
      const number = /^n=(\d+) /.exec(text)?.[1];
      return number === undefined ? text : Number(number);
    });
  }

  /** Waits until there are `count` records. */
  async arrive(count: number): Promise<void> {
    await until(() => this.spool.lines.length >= count, `${count} records arrive, ${this.folder}`, 30_000).catch((cause: unknown) => {
      const seen = { last: this.numbers.slice(-20), status: this.running.source.status(), positions: [...this.spool.positions] };
      throw new Error(`${String(cause)}: there are ${this.spool.lines.length}: ${JSON.stringify(seen)}`);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running?.[Symbol.asyncDispose]();
  }
}
