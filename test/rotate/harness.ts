/**
 * Rotates logs in six ways under load while the collector is killed over and over, and counts every line.
 *
 *     writer ──six logs──▶ collector ──▶ counter
 *
 * The collector dies by SIGKILL every `killSeconds` and is started again at once. Styles that take unread lines away stand still
 * around a kill (style.ts): from when all they have taken has arrived until lines written after the kill have. At the end the collector is left
 * alone until everything has arrived or nothing more comes.
 */
import { closeSync, openSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { cpuSeconds, statusBytes } from "../../bench/process.ts";
import { until } from "../support/until.ts";
import type { Collector, Setup } from "./collector.ts";
import { Counter } from "./counter.ts";
import { globs, styles } from "./style.ts";
import type { Order, Written } from "./writer.ts";

export interface RotateOptions {
  /** A folder of the run's own. */
  readonly dir: string;
  readonly collector: (setup: Setup) => Promise<Collector>;
  readonly seconds: number;
  readonly linesPerSecond: number;
  /** Lines after which each log is rotated, about. */
  readonly rotateEvery: number;
  readonly killSeconds: number;
  /** How long rotated files stay. */
  readonly keepSeconds: number;
  readonly discover: string;
  /** Which names the globs have, see `globs` in style.ts; all without it. */
  readonly names?: "all" | "plain" | "live";
  /** Quiet for so long at the end: nothing more comes. */
  readonly quietSeconds: number;
  readonly onProgress?: (words: string) => void;
}

export interface StyleResult {
  readonly lines: number;
  readonly rotations: number;
  readonly lost: number;
  readonly repeated: number;
}

export interface RotateResult {
  readonly seconds: number;
  readonly lines: number;
  readonly bytes: number;
  readonly kills: number;
  readonly rotations: number;
  readonly lost: number;
  readonly repeated: number;
  readonly foreign: number;
  readonly styles: Readonly<Record<string, StyleResult>>;
  readonly cpuSeconds: number;
  readonly rssPeakBytes: number;
  /** Seconds from the end of writing until the last line had arrived. */
  readonly drainSeconds: number;
  /** The first lines that were lost or came again. */
  readonly examples: readonly string[];
  /** What should never be: it ended by itself, or left damage. */
  readonly broken: readonly string[];
}

const lookMs = 250;
/** What is behind at the end is waited for this long at most. */
const behindMsMax = 600_000;
/** Before one that ended by itself is started again. */
const restartMs = 1000;
/** What has been taken away is waited for this long before a kill; afterwards it counts as it comes. */
const drainMsMax = 20_000;

/** One collector process after another, and what they cost together. */
class Lives {
  readonly #command: readonly string[];
  readonly #log: string;
  #child: Bun.Subprocess | undefined;
  cpuSeconds = 0;
  rssPeakBytes = 0;

  constructor(command: readonly string[], log: string) {
    this.#command = command;
    this.#log = log;
  }

  start(): void {
    const log = openSync(this.#log, "a");
    this.#child = Bun.spawn([...this.#command], { stdin: "ignore", stdout: log, stderr: log });
    closeSync(log);
  }

  get ended(): number | undefined {
    const { exitCode = null, signalCode = null } = this.#child ?? {};
    return exitCode ?? (signalCode === null ? undefined : 128);
  }

  look(): void {
    const peak = statusBytes(this.#child?.pid ?? 0, "VmHWM");
    if (peak > this.rssPeakBytes) this.rssPeakBytes = peak;
  }

  /** Its exit code; what it and its children cost is added up. */
  async stop(signal: "SIGTERM" | "SIGKILL"): Promise<number | null> {
    const child = this.#child;
    if (child === undefined) return null;
    this.look();
    const last = cpuSeconds(child.pid);
    child.kill(signal);
    await child.exited;
    this.#child = undefined;
    this.cpuSeconds += Number(child.resourceUsage()?.cpuTime.total ?? last * 1e6) / 1e6;
    return child.exitCode;
  }
}

class Writer {
  readonly #child: Bun.Subprocess<"pipe", "pipe", "inherit">;
  readonly #answers: Written[] = [];

  constructor(options: RotateOptions, logs: string) {
    const { linesPerSecond, rotateEvery, keepSeconds } = options;
    const settings = [linesPerSecond, rotateEvery, keepSeconds].map(String);
    const command = [process.execPath, join(import.meta.dir, "writer.ts"), logs, ...settings];
    this.#child = Bun.spawn(command, { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
    void this.#read();
  }

  tell(order: Order): void {
    void this.#child.stdin.write(`${JSON.stringify(order)}\n`);
    void this.#child.stdin.flush();
  }

  /** An order that is answered. */
  async ask(order: Order): Promise<Written> {
    const before = this.#answers.length;
    this.tell(order);
    await until(() => this.#answers.length > before, "the writer answers");
    return this.#answers.at(-1) as Written;
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  async #read(): Promise<void> {
    let rest = "";
    for await (const part of this.#child.stdout) {
      const lines = (rest + new TextDecoder().decode(part)).split("\n");
      rest = lines.pop() ?? "";
      this.#answers.push(...lines.map((line) => JSON.parse(line) as Written));
    }
  }
}

/** Runs it all. Rejects only when the harness itself cannot go on. */
export async function rotate(options: RotateOptions): Promise<RotateResult> {
  const run = await Run.begin(options);
  try {
    return await run.all();
  } finally {
    await run.end();
  }
}

class Run {
  readonly #options: RotateOptions;
  readonly #counter: Counter;
  readonly #collector: Collector;
  readonly #lives: Lives;
  readonly #writer: Writer;
  readonly #broken: string[] = [];
  #kills = 0;

  private constructor(options: RotateOptions, counter: Counter, collector: Collector, logs: string) {
    this.#options = options;
    this.#counter = counter;
    this.#collector = collector;
    this.#lives = new Lives(collector.command, join(options.dir, "collector.log"));
    this.#writer = new Writer(options, logs);
  }

  static async begin(options: RotateOptions): Promise<Run> {
    const logs = join(options.dir, "logs");
    await mkdir(logs, { recursive: true });
    const counter = new Counter();
    const collector = await options.collector({
      dir: options.dir,
      include: globs(logs, options.names ?? "all"),
      counter,
      discover: options.discover,
    });
    return new Run(options, counter, collector, logs);
  }

  async all(): Promise<RotateResult> {
    const began = performance.now();
    const { seconds, killSeconds } = this.#options;
    this.#lives.start();
    await this.#follows({});
    for (let next = killSeconds; next < seconds; next += killSeconds) {
      while ((performance.now() - began) / 1000 < next) await this.#tick();
      await this.#kill();
      this.#options.onProgress?.(`${Math.round((performance.now() - began) / 1000)} s, ${this.#kills} kills, ${this.#counter.lines} lines arrived`);
    }
    while ((performance.now() - began) / 1000 < seconds) await this.#tick();
    const written = await this.#writer.ask({ end: true });
    const wall = (performance.now() - began) / 1000;
    const drainSeconds = await this.#drain(written);
    const code = await this.#lives.stop("SIGTERM");
    if (code !== 0) this.#broken.push(`ended with ${code}: ${await this.#said()}`);
    await this.#collector.look();
    this.#broken.push(...(await this.#collector.damage()));
    return this.#result(written, wall, drainSeconds);
  }

  async end(): Promise<void> {
    this.#writer.kill();
    await this.#lives.stop("SIGKILL");
    await this.#collector.close();
  }

  /** Kills it when all that was taken away has arrived, starts it again, and lets lines be taken once it follows. */
  async #kill(): Promise<void> {
    const { gone } = await this.#writer.ask({ hold: true });
    const began = performance.now();
    const arrived = (): boolean => Object.entries(gone).every(([name, lines]) => this.#counter.reached(name, lines));
    while (!arrived() && performance.now() - began < drainMsMax) await this.#tick();
    await this.#lives.stop("SIGKILL");
    this.#kills++;
    const { lines } = await this.#writer.ask({ hold: true });
    this.#lives.start();
    await this.#follows(lines);
  }

  /** Waits until the styles that take lines away have a line beyond `lines` arrived, and lets them rotate. */
  async #follows(lines: Readonly<Record<string, number>>): Promise<void> {
    const began = performance.now();
    const taking = styles.filter(({ takes }) => takes);
    const follows = (): boolean => taking.every(({ name }) => (this.#counter.highest()[name] ?? -1) >= (lines[name] ?? 0));
    while (!follows() && performance.now() - began < drainMsMax) await this.#tick();
    if (follows()) await this.#writer.ask({ hold: false });
  }

  async #tick(): Promise<void> {
    await Bun.sleep(lookMs);
    await this.#look();
    this.#writer.tell({ seen: this.#counter.highest() });
  }

  /** What has arrived is counted; one that ended by itself is started again, as a supervisor would. */
  async #look(): Promise<void> {
    this.#lives.look();
    await this.#collector.look();
    const code = this.#lives.ended;
    if (code === undefined) return;
    this.#broken.push(`ended by itself with ${code}: ${(await this.#said()).trimEnd().split("\n").at(-1)}`);
    await Bun.sleep(restartMs);
    await this.#lives.stop("SIGKILL");
    this.#lives.start();
  }

  /** Until all has arrived, or nothing more comes. Returns the seconds it took until the last line. */
  async #drain({ lines }: Written): Promise<number> {
    const began = performance.now();
    let [last, at] = [this.#counter.lines, began];
    // One that says itself that it is behind is waited for: a disk that others keep busy may hold a sync for a minute.
    const behind = async (): Promise<boolean> => performance.now() - began < behindMsMax && (await this.#collector.behind?.()) === true;
    while (performance.now() - at < this.#options.quietSeconds * 1000 || (await behind())) {
      await Bun.sleep(lookMs);
      await this.#look();
      if (this.#counter.lines !== last) [last, at] = [this.#counter.lines, performance.now()];
      // Even then a little longer: what comes twice may still come.
      const all = Object.entries(lines).every(([name, count]) => this.#counter.reached(name, count));
      if (all && performance.now() - at > 3000) break;
    }
    return (at - began) / 1000;
  }

  async #said(): Promise<string> {
    return (await readFile(join(this.#options.dir, "collector.log"), "utf8").catch(() => "")).slice(-2000);
  }

  #result(written: Written, seconds: number, drainSeconds: number): RotateResult {
    const verdicts = Object.entries(written.lines).map(([name, lines]) => {
      const { lost, repeated, gaps } = this.#counter.verdict(name, lines);
      return { name, gaps, result: { lines, rotations: written.rotations[name] ?? 0, lost, repeated } };
    });
    const sum = (of: (result: StyleResult) => number): number => verdicts.reduce((total, { result }) => total + of(result), 0);
    return {
      seconds,
      lines: sum(({ lines }) => lines),
      bytes: written.bytes,
      kills: this.#kills,
      rotations: sum(({ rotations }) => rotations),
      lost: sum(({ lost }) => lost),
      repeated: sum(({ repeated }) => repeated),
      foreign: this.#counter.foreign,
      styles: Object.fromEntries(verdicts.map(({ name, result }) => [name, result])),
      cpuSeconds: this.#lives.cpuSeconds,
      rssPeakBytes: this.#lives.rssPeakBytes,
      drainSeconds,
      examples: [...verdicts.flatMap(({ gaps }) => gaps.map((gap) => `lost ${gap}`)), ...this.#counter.repeats.map((each) => `again ${each}`)],
      broken: this.#broken,
    };
  }
}

/** The one line, and whether all is well. */
export function summary(name: string, result: RotateResult): { line: string; failed: boolean } {
  const { seconds, lines, bytes, kills, rotations, lost, repeated, foreign, broken } = result;
  const ended = broken.filter((words) => words.startsWith("ended by itself")).length;
  const number = (count: number): string => count.toLocaleString("en-US");
  const line =
    `${name}: ${(seconds / 60).toFixed(1)} minutes, ${number(lines)} lines, ${number(bytes)} bytes, ${kills} kills, ${number(rotations)} rotations; ${ended > 0 ? `ended by itself ${ended} times, ` : ""}` +
    `${number(lost)} lost, ${number(repeated)} repeated${foreign > 0 ? `, ${number(foreign)} foreign` : ""}; ` +
    `${((100 * result.cpuSeconds) / seconds).toFixed(1)} % of a core, ${(result.rssPeakBytes / 1e6).toFixed(0)} MB at most`;
  return { line, failed: lost + repeated + foreign + broken.length > 0 };
}
