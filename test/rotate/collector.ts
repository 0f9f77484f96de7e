/** What the rotation harness runs and kills: a collector, set to read the writer's globs and to hand what it reads to a counter. */
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { writeConfig } from "../support/logferry.ts";
import { runProcess } from "../support/process.ts";
import type { Status } from "../../src/core/view.ts";
import type { Counter } from "./counter.ts";
import { Lake } from "./lake.ts";

export interface Collector {
  readonly name: string;
  /** Its command line; run again after every kill. */
  readonly command: readonly string[];
  /** What has arrived is in the counter afterwards. */
  look(): Promise<void>;
  /** It knows of something that it has not read or delivered yet, or cannot be asked; without it nobody knows. */
  behind?(): Promise<boolean>;
  /** What is wrong after the end, besides lines: empty when nothing is. */
  damage(): Promise<string[]>;
  close(): Promise<void>;
}

export interface Setup {
  /** A folder of its own. */
  readonly dir: string;
  readonly include: readonly string[];
  readonly counter: Counter;
  /** How often globs are looked at; a name a collector has no such setting for does without. */
  readonly discover: string;
}

const lakeKeptMs = 60_000;

/** logferry with its defaults, delivering into a folder. */
export async function logferryCollector(executable: string, setup: Setup): Promise<Collector> {
  const { dir, include, counter, discover } = setup;
  const lake = join(dir, "lake");
  await mkdir(lake, { recursive: true });
  const config = await writeConfig(dir, {
    sources: { app: { type: "file", include, discover_interval: discover } },
    sinks: { lake: { type: "directory", dir: lake, batch: { age_max: "1s" } } },
  });
  const reader = new Lake(lake, counter, lakeKeptMs);
  const spool = join(dir, "spool");
  return {
    name: "logferry",
    command: [executable, "run", "--config", config],
    look: () => reader.look(),
    behind: () => behind(join(dir, "control.sock")),
    async damage() {
      const kept = (await readdir(join(spool, "quarantine")).catch(() => [])).map((name) => `${name} in quarantine`);
      const { code, stdout } = await runProcess([executable, "spool", "verify", "--dir", spool]);
      return code === 0 ? kept : [...kept, stdout];
    },
    close: () => Promise.resolve(),
  };
}

async function behind(socket: string): Promise<boolean> {
  try {
    const { sources, sinks } = (await (await fetch("http://localhost/status", { unix: socket })).json()) as Status;
    return Object.values(sources).some(({ lag_bytes }) => lag_bytes > 0) || Object.values(sinks).some(({ lag_records }) => lag_records > 0);
  } catch {
    return true;
  }
}
