/**
 * Writes the demo's log files the way real programs do: in uneven bursts, cut anywhere, and rotated by rename and create with
 * the older ones moved up (`access.log` → `.1` → `.2`).
 *
 * A process of its own. Says what it has written on standard output, one `Progress` as JSON a line; ends when its standard input
 * does, which is also what happens when the demo is gone.
 */
import { closeSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { kinds } from "../../bench/corpus/kind.ts";
import { lineBytesMax } from "../../bench/corpus/line.ts";
import { Random } from "../../bench/corpus/random.ts";
import { Text } from "../../bench/corpus/text.ts";
import { contentSum } from "./content.ts";
import { files, sourceNames, type SourceName } from "./layout.ts";

export interface Progress {
  readonly lines: Record<SourceName, number>;
  readonly bytes: number;
  readonly rotations: number;
  /** Of all lines so far, by source: see content.ts. */
  readonly sums: Record<SourceName, number>;
}

const tickMs = 40;
/** Small enough that each file is rotated several times in twenty seconds. */
const rotateBytes = 1_000_000;
/** Rotated files kept, as logrotate would: bounds what the endless demo takes. */
const rotatedMax = 9;
/** Lines one tick may write: 50 times the rate of the busiest file. */
const burstLines = 4000;

class LogFile {
  readonly #path: string;
  readonly #text = new Text(burstLines * lineBytesMax);
  readonly #random: Random;
  readonly #line;
  readonly #perTick: number;
  #fd: number;
  #size = 0;
  #due = 0;
  lines = 0;
  bytes = 0;
  rotations = 0;
  sum = 0;

  constructor(name: SourceName, seed: number) {
    const { path, kind, linesPerSecond } = files[name];
    this.#path = path;
    this.#random = new Random(seed);
    this.#line = kinds[kind].create(this.#random, Date.now);
    this.#perTick = (linesPerSecond * tickMs) / 1000;
    this.#fd = openSync(path, "a");
  }

  /** Writes about `share` of a tick's lines. */
  write(share: number): void {
    this.#due += this.#perTick * share * 2 * this.#random.unit();
    for (; this.#due >= 1; this.#due--) {
      const start = this.#text.length;
      this.#line(this.#text, this.lines++);
      this.sum = contentSum(this.sum, this.#text.bytes.subarray(start, this.#text.length - 1));
    }
    const taken = this.#text.taken();
    // Programs that buffer write blocks, not lines: whoever reads in between sees half a line.
    const cut = this.#random.below(taken.length + 1);
    writeSync(this.#fd, taken, 0, cut);
    writeSync(this.#fd, taken, cut);
    this.#size += taken.length;
    this.bytes += taken.length;
    this.#text.clear();
    if (this.#size >= rotateBytes) this.#rotate();
  }

  #rotate(): void {
    const rotated = (number: number): string => `${this.#path}.${number}`;
    rmSync(rotated(rotatedMax), { force: true });
    for (let number = Math.min(this.rotations, rotatedMax - 1); number >= 1; number--) renameSync(rotated(number), rotated(number + 1));
    renameSync(this.#path, rotated(1));
    closeSync(this.#fd);
    this.#fd = openSync(this.#path, "a");
    this.#size = 0;
    this.rotations++;
  }
}

async function main(): Promise<void> {
  const seed = Date.now();
  const written = sourceNames.map((name, index) => [name, new LogFile(name, seed + index)] as const);
  const report = (): void => {
    const by = (pick: (file: LogFile) => number): Record<SourceName, number> =>
      Object.fromEntries(written.map(([name, file]) => [name, pick(file)])) as Record<SourceName, number>;
    const total = (pick: (file: LogFile) => number): number => written.reduce((sum, [, file]) => sum + pick(file), 0);
    const progress: Progress = {
      lines: by((file) => file.lines),
      bytes: total((file) => file.bytes),
      rotations: total((file) => file.rotations),
      sums: by((file) => file.sum),
    };
    try {
      writeSync(1, `${JSON.stringify(progress)}\n`);
    } catch {
      process.exit(1); // the demo is gone
    }
  };
  let lastMs = performance.now();
  const timer = setInterval(() => {
    const nowMs = performance.now();
    // A machine that was busy elsewhere gets the missed ticks at once, up to a second of them.
    const share = Math.min(25, (nowMs - lastMs) / tickMs);
    lastMs = nowMs;
    for (const [, file] of written) file.write(share);
    report();
  }, tickMs);
  for await (const _ of Bun.stdin.stream());
  clearInterval(timer);
  report();
}

// Ctrl-C on a terminal reaches every process of the group; when to stop is the demo's to say.
process.on("SIGINT", () => {});
await main();
