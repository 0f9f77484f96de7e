/**
 * `bun bench/loki.ts`: the `loki` source at 20,000 entries a second for a minute and more: CPU of one core, peak memory, how long an
 * entry takes from its push to the spool while the tail is up, and what the server was asked.
 *
 * Promises: every entry is in the folder once in the end, or the command fails. Figures of a process come from /proc, so Linux only.
 * Options: --rate N, --seconds N, --drop S (a share of the entries that the tail loses), --folder DIR, --executable FILE, --json.
 */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ensureExecutable } from "../build.ts";
import { configured, inScratch, median, ready, root, type Plan } from "./bench.ts";
import type { Pushed } from "./lokiserver.ts";
import { adopt, cpuSeconds, spawn, statusBytes } from "./process.ts";

/** Starting up and the first look back are not steady. */
const settleMs = 10_000;
/** How often the spool is looked at for latencies; how fine they are. */
const lookMs = 10;
const latencyMs = 15_000;

interface Figures {
  readonly entries_per_s: number;
  readonly cpu_percent: number;
  readonly rss_median_mb: number;
  readonly rss_peak_mb: number;
  readonly latency_p50_ms: number;
  readonly latency_p99_ms: number;
  readonly requests: number;
  readonly asked_share: number;
  readonly key_bytes_an_entry: number;
}

interface Options {
  readonly rate: number;
  readonly drop: string;
}

async function measure(plan: Plan, { rate, drop }: Options): Promise<Figures> {
  const server = adopt(
    Bun.spawn([process.execPath, join(import.meta.dir, "lokiserver.ts"), "--rate", String(rate), "--drop", drop], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
    }),
  );
  const url = `http://127.0.0.1:${await firstLine(server.stdout)}`;
  const pushed = async (): Promise<Pushed> => (await (await fetch(`${url}/bench`)).json()) as Pushed;
  return inScratch(plan, async (folder) => {
    const began = await pushed();
    const { command, control, log } = configured(plan, folder, {
      sources: { web: { type: "loki", url, query: '{app="web"}', start: new Date(began.startMs - 1000).toISOString() } },
      sinks: { lake: { type: "directory", dir: join(folder, "lake"), batch: { age_max: "5s" } } },
    });
    const child = spawn(command, log);
    const status = async (): Promise<Status> => (await (await fetch(`http://127.0.0.1:${control}/status`)).json()) as Status;
    await ready(control, child.exited, 20);
    await Bun.sleep(settleMs);
    plan.note("latencies");
    const latencies = await latency(began.startMs, rate, async () => (await status()).spool.last_sequence);
    plan.note("steady");
    const [cpuBefore, before, asked] = [cpuSeconds(child.pid), performance.now(), await pushed()];
    const resident: number[] = [];
    while (performance.now() - before < plan.seconds * 1000) {
      await Bun.sleep(200);
      resident.push(statusBytes(child.pid));
    }
    const cpu = (cpuSeconds(child.pid) - cpuBefore) / ((performance.now() - before) / 1000);
    const after = await pushed();
    await fetch(`${url}/stop`);
    const { entries } = await pushed();
    for (let end = performance.now() + 120_000; performance.now() < end; await Bun.sleep(200)) {
      const { sinks } = await status();
      if ((sinks["lake"]?.records ?? 0) >= entries) break;
    }
    const keyBytes = keyFileBytes(join(folder, "spool"));
    child.kill("SIGTERM");
    const { rssPeakBytes } = await child.exited;
    await complete(join(folder, "lake"), entries);
    void server.stdin.end();
    return {
      entries_per_s: Math.round((after.entries - asked.entries) / plan.seconds),
      cpu_percent: cpu * 100,
      rss_median_mb: median(resident) / 1e6,
      rss_peak_mb: rssPeakBytes / 1e6,
      ...latencies,
      requests: after.requests - asked.requests,
      asked_share: (after.answerBytes - asked.answerBytes) / ((after.entries - asked.entries) * bytesAnEntry),
      key_bytes_an_entry: keyBytes / entries,
    };
  });
}

interface Status {
  readonly spool: { last_sequence: number };
  readonly sinks: Record<string, { records: number }>;
}

/** What query_range takes to tell one. */
const bytesAnEntry = 420;

/** From the time an entry has, which is when it is pushed, to the first look that finds it in the spool. */
async function latency(
  startMs: number,
  rate: number,
  lastSequence: () => Promise<number>,
): Promise<Pick<Figures, "latency_p50_ms" | "latency_p99_ms">> {
  const found: number[] = [];
  const end = performance.now() + latencyMs;
  let before = await lastSequence();
  while (performance.now() < end) {
    await Bun.sleep(lookMs);
    const last = await lastSequence();
    const now = Date.now();
    // Entries come in their order while nothing is dropped: the n-th record is the n-th entry.
    for (let entry = before + 1; entry <= last; entry += 50) found.push(now - (startMs + (entry * 1000) / rate));
    before = last;
  }
  found.sort((a, b) => a - b);
  const share = (part: number): number => found[Math.floor((found.length - 1) * part)] ?? Number.NaN;
  return { latency_p50_ms: share(0.5), latency_p99_ms: share(0.99) };
}

function keyFileBytes(spool: string): number {
  const names = readdirSync(spool, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".keys"));
  return names.reduce((sum, name) => sum + statSync(join(spool, name)).size, 0);
}

/** Throws unless each of the numbers up to `entries` is in the folder once. */
async function complete(lake: string, entries: number): Promise<void> {
  const held = new Uint8Array(entries);
  let twice = 0;
  for (const name of readdirSync(lake, { recursive: true, encoding: "utf8" }).filter((one) => one.endsWith(".zst"))) {
    const text = Buffer.from(await Bun.zstdDecompress(await Bun.file(join(lake, name)).bytes())).toString("latin1");
    for (const [, number] of text.matchAll(/ k=(\d+)"/g)) {
      if (held[Number(number)] === 1) twice++;
      held[Number(number)] = 1;
    }
  }
  const missing = held.reduce((sum, count) => sum + (count === 0 ? 1 : 0), 0);
  if (missing > 0 || twice > 0) throw new Error(`of ${entries} entries ${missing} are missing and ${twice} came twice`);
}

async function firstLine(output: ReadableStream<Uint8Array>): Promise<string> {
  for await (const part of output) return new TextDecoder().decode(part).trim();
  throw new Error("the server did not start");
}

const { values } = parseArgs({
  options: {
    rate: { type: "string", default: "20000" },
    seconds: { type: "string", default: "60" },
    drop: { type: "string", default: "0" },
    folder: { type: "string", default: join(root, ".cache", "bench") },
    executable: { type: "string" },
    json: { type: "boolean", default: false },
  },
});
const plan: Plan = {
  logferry: [values.executable ?? (await ensureExecutable()).path],
  folder: values.folder,
  bytes: 0,
  runs: 1,
  seconds: Number(values.seconds),
  check: true,
  note: (text) => void (values.json || console.error(text)),
};
const figures = await measure(plan, { rate: Number(values.rate), drop: values.drop });
if (values.json) console.log(JSON.stringify(figures, null, 2));
else for (const [name, value] of Object.entries(figures)) console.log(`${name.padEnd(20)} ${Number(value).toFixed(name.includes("share") ? 3 : 1)}`);
process.exit(0);
