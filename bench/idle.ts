/** Idle: memory and CPU with nothing to do, in three settings side by side; and how long a start takes. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { configured, inScratch, median, ready, Receiver, type Plan } from "./bench.ts";
import { cpuSeconds, spawn, statusBytes, wakeUps, type Spawned } from "./process.ts";

export interface Idle {
  readonly setting: string;
  readonly rss_mb: number;
  /** What of it is the process's own; the rest are pages of the executable. */
  readonly own_mb: number;
  readonly cpu_percent: number;
  readonly wake_ups_per_s: number;
}

/** From the start of the process to `/ready`, and the CPU that took, medians. */
export interface Start {
  readonly ms: number;
  readonly cpu_ms: number;
}

/** What a start leaves behind is collected by then, and files that were new ten seconds ago count as quiet. */
const settleMs = 20_000;
const startRuns = 7;

interface Setting {
  readonly name: string;
  readonly files: number;
  sink(folder: string, url: string): object;
}

const settings: readonly Setting[] = [
  { name: "one file, folder", files: 1, sink: lake },
  { name: "one file, S3, page open", files: 1, sink: s3 },
  { name: "1,000 files, folder", files: 1000, sink: lake },
  { name: "10,000 files, folder", files: 10_000, sink: lake },
];

function lake(folder: string): object {
  return { type: "directory", dir: join(folder, "lake"), batch: { age_max: "1s" } };
}

function s3(folder: string, endpoint: string): object {
  const secret = (name: string): string => {
    const path = join(folder, name);
    writeFileSync(path, "bench", { mode: 0o600 });
    return path;
  };
  const keys = { access_key_id_file: secret("id"), secret_access_key_file: secret("secret") };
  return { type: "s3", bucket: "bench", region: "us-east-1", endpoint, path_style: true, batch: { age_max: "1s" }, ...keys };
}

/** Every instance has shipped its first lines before it is looked at, so that all it loads on demand is there. */
export async function idle(plan: Plan): Promise<Idle[]> {
  plan.note(`idle: ${plan.seconds} s, ${settings.length} settings side by side`);
  await using receiver = await Receiver.start();
  return await inScratch(plan, async (folder) => {
    const started: { name: string; child: Spawned }[] = [];
    for (const [index, setting] of settings.entries()) {
      const own = join(folder, String(index));
      const logs = join(own, "logs");
      mkdirSync(logs, { recursive: true });
      for (let file = 0; file < setting.files; file++) writeFileSync(join(logs, `${file}.log`), `the first line of file ${file}\n`);
      const parts = { sources: { in: { type: "file", include: [join(logs, "*.log")] } }, sinks: { out: setting.sink(own, receiver.url) } };
      const { command, control, log } = configured(plan, own, parts);
      const child = spawn(command, log);
      started.push({ name: setting.name, child });
      await ready(control, child.exited, 20);
      await delivered(control, setting.files);
      await (await fetch(`http://127.0.0.1:${control}/`)).bytes();
    }
    await Bun.sleep(settleMs);
    const before = started.map(({ child }) => ({ cpu: cpuSeconds(child.pid), wakes: wakeUps(child.pid) }));
    const began = performance.now();
    await Bun.sleep(plan.seconds * 1000);
    const seconds = (performance.now() - began) / 1000;
    const found = started.map(({ name, child }, index) => ({
      setting: name,
      rss_mb: statusBytes(child.pid) / 1e6,
      own_mb: statusBytes(child.pid, "RssAnon") / 1e6,
      cpu_percent: ((cpuSeconds(child.pid) - (before[index]?.cpu ?? 0)) / seconds) * 100,
      wake_ups_per_s: wakes(before[index]?.wakes, wakeUps(child.pid)) / seconds,
    }));
    for (const { child } of started) child.kill("SIGTERM");
    await Promise.all(started.map(({ child }) => child.exited));
    return found;
  });
}

function wakes(before: ReadonlyMap<string, number> | undefined, after: ReadonlyMap<string, number>): number {
  if (after.size === 0) return Number.NaN;
  return [...after].reduce((sum, [thread, count]) => sum + count - (before?.get(thread) ?? 0), 0);
}

async function delivered(control: number, records: number): Promise<void> {
  const deadline = performance.now() + 20_000;
  for (;;) {
    const status = (await (await fetch(`http://127.0.0.1:${control}/status`)).json()) as { sinks: { out: { records: number } } };
    if (status.sinks.out.records >= records) return;
    if (performance.now() > deadline)
      throw new Error(`idle: ${records} records written, ${status.sinks.out.records} delivered after 20 s: ${JSON.stringify(status.sinks)}`);
    await Bun.sleep(50);
  }
}

/** With an empty spool. */
export async function coldStart(plan: Plan): Promise<Start> {
  plan.note(`cold start, ${startRuns} times`);
  const found: number[] = [];
  const cpu: number[] = [];
  for (let run = 0; run < startRuns; run++) {
    await inScratch(plan, async (folder) => {
      const parts = {
        sources: { in: { type: "file", include: [join(folder, "*.log")] } },
        sinks: { out: { type: "directory", dir: join(folder, "lake") } },
      };
      const { command, control, log } = configured(plan, folder, parts);
      const child = spawn(command, log);
      found.push(await ready(control, child.exited, 1));
      cpu.push(cpuSeconds(child.pid) * 1000);
      child.kill("SIGTERM");
      await child.exited;
    });
  }
  return { ms: median(found), cpu_ms: median(cpu) };
}
