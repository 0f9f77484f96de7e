/**
 * One sequence by its seed: writers and rotation, kills and restarts, interleaved with the calls the file source makes to the disk,
 * and what of it must be in the spool at the end.
 *
 * Everything runs on one thread over time that stands still, so a seed does the same every time. It fails when a line is lost or comes
 * twice, when one comes that was never written, or when the source ends by itself.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemDisk } from "../../src/core/disk.ts";
import { readRecords } from "../../src/spool/inspect.ts";
import { Seeded } from "../sim/random.ts";
import { SimulatedClock } from "../support/loki/clock.ts";
import { Family } from "./family.ts";
import { Life } from "./life.ts";
import { isBanner, World } from "./world.ts";

export interface Outcome {
  /** What is wrong; undefined when nothing is. */
  readonly failure: string | undefined;
  readonly acts: number;
  readonly lives: number;
  readonly lines: number;
  /** What happened, in order. */
  readonly trace: readonly string[];
}

interface Found {
  readonly message?: string;
  readonly partial?: boolean;
  readonly file: string;
  readonly offset: number;
}

/** What is told of a failure. */
const examplesMax = 5;
/** What must arrive is waited for this long, in simulated time; a look comes every second at least. */
const waitMs = 120_000;
const pauses = [1, 20, 150, 400, 1100, 3000];
/** Where nothing is ever synced, a file system in memory is a disk like any other. */
const base = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

export async function sequence(seed: number): Promise<Outcome> {
  const dir = mkdtempSync(join(base, "logferry-sequence-"));
  try {
    return await new Sequence(seed, dir).run();
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

class Sequence {
  readonly #random: Seeded;
  readonly #readers: Seeded;
  readonly #clock = new SimulatedClock();
  readonly #world: World;
  readonly #families: Family[];
  readonly #trace: string[] = [];
  readonly #durable = new Set<string>();
  readonly #spoolDir: string;
  readonly #settings: { readonly events: number; readonly readBytes: number; readonly config: object };
  readonly #actsMax: number;
  /** Chances: of something happening at a call to the disk, and of that being a kill. */
  readonly #atCalls: number;
  readonly #killing: number;
  #life: Life | undefined;
  #acts = 0;
  #lives = 0;
  #acting = false;

  constructor(seed: number, dir: string) {
    const random = new Seeded(seed);
    this.#random = random;
    this.#readers = new Seeded(seed + 1_000_000);
    this.#spoolDir = join(dir, "spool");
    const root = join(dir, "logs");
    mkdirSync(root);
    this.#actsMax = 15 + random.below(60);
    this.#atCalls = random.pick([0, 0.01, 0.05, 0.2, 0.4]);
    this.#killing = random.pick([0, 0.02, 0.1]);
    const nobody = { holds: () => false, opens: () => false, durable: (text: string) => this.#durable.has(text) };
    this.#world = new World({
      root,
      random,
      now: () => this.#clock.now(),
      reuse: random.chance(0.6),
      note: (words) => this.#note(words),
      audience: nobody,
    });
    this.#families = Array.from({ length: 1 + random.below(3) }, (_, index) => new Family(this.#world, `log${index}`));
    const include = this.#families.flatMap((family) => family.include);
    const interval = random.pick(["50ms", "300ms", "1s"]);
    this.#settings = {
      // Now and then one is lost: they are a hint and never the truth.
      events: random.pick([0, 0, 0.9, 1]),
      readBytes: random.pick([8192, 65_536]),
      // Lines that never get their end are no part of the model.
      config: { type: "file", include, discover_interval: interval, partial_line_after: "1h" },
    };
    this.#note(`seed ${seed}: ${include.join(" ")}, looks every ${interval}, events come with ${this.#settings.events}`);
  }

  async run(): Promise<Outcome> {
    let failure: string | undefined;
    try {
      while (this.#acts < this.#actsMax && failure === undefined) failure = await this.#step();
      failure ??= await this.#finish();
      failure ??= await this.#verdict();
    } finally {
      this.#life?.kill();
    }
    const lines = this.#world.generations.reduce((sum, { lines: { length } }) => sum + length, 0);
    return { failure, acts: this.#acts, lives: this.#lives, lines, trace: this.#trace };
  }

  async #step(): Promise<string | undefined> {
    const random = this.#random;
    const life = this.#life;
    if (life === undefined || life.over) {
      const broken = this.#brokenOf(life);
      if (broken !== undefined) return broken;
      for (let left = random.below(6); left > 0; left--) this.#act();
      this.#begin();
    } else if (random.chance(0.03)) {
      this.#note("stop");
      life.stop();
      await this.#pass(10_000, () => life.over);
    } else if (random.chance(this.#killing)) {
      this.#kill();
    } else if (random.chance(0.5)) {
      this.#act();
    }
    await this.#pass(random.pick(pauses));
    return undefined;
  }

  #begin(): void {
    this.#lives++;
    this.#note(`start ${this.#lives}`);
    const life = new Life({
      world: this.#world,
      clock: this.#clock,
      // Chance of its own: what the source draws does not change what is done to its files.
      random: this.#readers,
      spoolDir: this.#spoolDir,
      ...this.#settings,
      point: () => this.#point(),
      durable: this.#durable,
    });
    this.#life = life;
    this.#world.audience = life;
    void life.run();
  }

  /** The reader calls the disk: what happens to its files may happen now. */
  #point(): void {
    if (this.#acting || this.#acts >= this.#actsMax || !this.#random.chance(this.#atCalls)) return;
    if (this.#random.chance(this.#killing / 2)) this.#kill();
    else this.#act();
  }

  #act(): void {
    this.#acts++;
    this.#acting = true;
    this.#random.pick(this.#families).act();
    this.#acting = false;
  }

  #kill(): void {
    this.#note("kill");
    this.#acts++;
    this.#life?.kill();
  }

  /** Lets time go on. */
  async #pass(ms: number, enough: () => boolean = () => false): Promise<void> {
    await this.#clock.pass(ms, () => {
      this.#life?.settle();
      return enough();
    });
  }

  #brokenOf(life: Life | undefined): string | undefined {
    return life?.broken === undefined ? undefined : `the source ended: ${life.broken.stack}`;
  }

  /** Nothing more is written: all that must arrive is waited for, then the reader is stopped. */
  async #finish(): Promise<string | undefined> {
    this.#note("nothing more is written");
    if (this.#life === undefined || this.#life.over) this.#begin();
    const life = this.#life;
    const missing = (): boolean =>
      this.#world.generations.some(({ lines }) => lines.some(({ text, may }) => !may && !isBanner(text) && !this.#durable.has(text)));
    await this.#pass(waitMs, () => life?.over === true || !missing());
    await this.#pass(3000);
    life?.stop();
    await this.#pass(60_000, () => life?.over === true);
    if (life?.over !== true) return "the source does not stop";
    return this.#brokenOf(life);
  }

  async #verdict(): Promise<string | undefined> {
    const expected = new Map<string, { must: number; may: number; got: number }>();
    for (const { lines } of this.#world.generations) {
      for (const { text, may } of lines) {
        const entry = expected.get(text) ?? { must: 0, may: 0, got: 0 };
        if (may) entry.may++;
        else entry.must++;
        expected.set(text, entry);
      }
    }
    const rests = new Set(this.#world.generations.map(({ rest }) => rest));
    const wrong: string[] = [];
    for await (const bytes of readRecords(systemDisk, this.#spoolDir, {})) {
      const { message = "", partial = false, file, offset } = JSON.parse(Buffer.from(bytes).toString()) as Found;
      if (partial && rests.delete(message)) continue;
      const entry = expected.get(message);
      if (entry === undefined) wrong.push(`never written: ${excerpt(message)} (${file} at ${offset})`);
      else if (++entry.got > entry.must + entry.may && !isBanner(message)) wrong.push(`again: ${excerpt(message)} (${file} at ${offset})`);
    }
    // Every generation of a log may begin with the same line: then nobody can tell whose it is.
    for (const [text, { must, got }] of expected) if (got < must && !isBanner(text)) wrong.push(`lost: ${excerpt(text)}`);
    if (wrong.length === 0) return undefined;
    return `${wrong.slice(0, examplesMax).join("; ")}${wrong.length > examplesMax ? `; and ${wrong.length - examplesMax} more` : ""}`.replaceAll(
      `${this.#world.root}/`,
      "",
    );
  }

  #note(words: string): void {
    this.#trace.push(`${(this.#clock.now() % 10_000_000).toFixed(0).padStart(8)}  ${words}`);
  }
}

/** Numbers stand at both ends of a line. */
function excerpt(text: string): string {
  return text.length > 40 ? `${text.slice(0, 20)}…${text.slice(-10)}` : text;
}
