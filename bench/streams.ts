/**
 * `bun bench/streams.ts`: what many label sets in one source cost. The same records, posted to the `http` source, carry 1, 32, 200,
 * 1,000 or 10,000 values of one label, and the sink lays them out in a folder for each: CPU of the executable until all is delivered,
 * and NDJSON bytes for a byte in the spool and for a byte delivered.
 *
 * Records of a set come in runs of `--run` (1: each record is of another set than the one before). Options: --bytes SIZE, --runs N,
 * --sets 1,1000, --folder DIR, --executable FILE, --json.
 */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ensureExecutable } from "../build.ts";
import { parseSize } from "../src/core/values.ts";
import type { Status } from "../src/core/view.ts";
import { configured, corpusFile, inScratch, median, ready, root, type Plan } from "./bench.ts";
import { cpuSeconds, spawn, statusBytes } from "./process.ts";

interface Streams {
  sets: number;
  cpu_s_per_gb: number;
  wall_s_per_gb: number;
  ratio_spool: number;
  ratio_delivered: number;
  objects: number;
  rss_peak_mb: number;
}

const bodyBytes = 1024 * 1024;

/** Bodies of NDJSON as another logferry posts them; times go on as the records do. */
function bodies(lines: readonly string[], sets: number, run: number): Buffer[] {
  const made: Buffer[] = [];
  let parts: string[] = [];
  let bytes = 0;
  const beganMs = Date.now() - 60_000;
  for (const [n, line] of lines.entries()) {
    // A set number that jumps about, as senders do.
    const set = (Math.floor(n / run) * 7919) % sets;
    const time = new Date(beganMs + n / 10).toISOString().replace("Z", "000Z");
    const record = `{"timestamp":"${time}","host":"edge-1","source":"app","labels":{"app":"service-${set}"},"message":${line}}\n`;
    parts.push(record);
    bytes += record.length;
    if (bytes < bodyBytes) continue;
    made.push(Buffer.from(parts.join("")));
    [parts, bytes] = [[], 0];
  }
  if (bytes > 0) made.push(Buffer.from(parts.join("")));
  return made;
}

async function measure(plan: Plan, lines: readonly string[], sets: number, run: number): Promise<Streams> {
  const use = async (folder: string): Promise<Streams> => {
    const posted = bodies(lines, sets, run);
    const raw = posted.reduce((sum, body) => sum + body.byteLength, 0);
    const { command, control, log } = configured(plan, folder, {
      sources: { in: { type: "http", listen: "127.0.0.1:0" } },
      sinks: {
        lake: {
          type: "directory",
          dir: join(folder, "lake"),
          partition: "app={labels.app}/date=%Y-%m-%d",
          batch: { age_max: "1h" },
        },
      },
      spool: { dir: join(folder, "spool"), min_free_bytes: "64MiB", max_bytes: "16GiB", retain: "1h" },
    });
    const child = spawn(command, log);
    child.exited.catch(() => {}); // looked at below
    try {
      await ready(control, child.exited, 20);
      const status = async (): Promise<Status> => (await (await fetch(`http://127.0.0.1:${control}/status`)).json()) as Status;
      const url = (await status()).sources["in"]?.listen ?? "";
      const before = cpuSeconds(child.pid);
      const began = performance.now();
      for (let at = 0; at < posted.length; at += 4) {
        const answers = await Promise.all(
          posted.slice(at, at + 4).map((body) => fetch(url, { method: "POST", body, headers: { "content-type": "application/x-ndjson" } })),
        );
        for (const answer of answers) if (answer.status !== 204) throw new Error(`the source answers ${answer.status}: ${await answer.text()}`);
      }
      const spoolBytes = (await status()).spool.bytes;
      await fetch("http://localhost/flush", { method: "POST", unix: join(folder, "spool", "control.sock") });
      for (;;) {
        const { records = 0, last_fault } = (await status()).sinks["lake"] ?? {};
        if (last_fault !== undefined) throw new Error(last_fault.message);
        if (records >= lines.length) break;
        await Bun.sleep(100);
      }
      const wallSeconds = (performance.now() - began) / 1000;
      const cpu = cpuSeconds(child.pid) - before;
      const files = readdirSync(join(folder, "lake"), { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".zst"));
      const delivered = files.reduce((sum, name) => sum + statSync(join(folder, "lake", name)).size, 0);
      return {
        sets,
        cpu_s_per_gb: (cpu / raw) * 1e9,
        wall_s_per_gb: (wallSeconds / raw) * 1e9,
        ratio_spool: raw / spoolBytes,
        ratio_delivered: raw / delivered,
        objects: files.length,
        rss_peak_mb: statusBytes(child.pid, "VmHWM") / 1e6,
      };
    } finally {
      child.kill("SIGKILL");
      await child.exited.catch(() => {});
    }
  };
  // Kept to the end: where ext4 has no journal, making files is dear for half a minute after thousands were removed.
  return inScratch(plan, use, "kept");
}

const { values } = parseArgs({
  options: {
    bytes: { type: "string", default: "100MB" },
    runs: { type: "string", default: "3" },
    run: { type: "string", default: "1" },
    sets: { type: "string", default: "1,32,200,1000,10000" },
    folder: { type: "string", default: join(root, ".cache", "bench") },
    executable: { type: "string" },
    json: { type: "boolean", default: false },
  },
});
const asCommand = (path: string): string[] => (path.endsWith(".ts") ? [process.execPath, path] : [path]);
const plan: Plan = {
  logferry: asCommand(values.executable ?? (await ensureExecutable()).path),
  folder: values.folder,
  bytes: parseSize(values.bytes) ?? 100e6,
  runs: Number(values.runs),
  seconds: 0,
  check: false,
  note: (text) => console.error(`  ${text}`),
};
const corpus = corpusFile(plan, "access");
const lines = (await Bun.file(corpus.path).text())
  .trimEnd()
  .split("\n")
  .map((line) => JSON.stringify(line));
const results: Streams[] = [];
for (const sets of values.sets.split(",").map(Number)) {
  const measured: Streams[] = [];
  for (let run = 0; run < plan.runs; run++) {
    plan.note(`${sets} sets, round ${run + 1} of ${plan.runs}`);
    measured.push(await measure(plan, lines, sets, Number(values.run)));
  }
  const of = (key: keyof Streams): number => median(measured.map((each) => each[key]));
  results.push({
    sets,
    cpu_s_per_gb: of("cpu_s_per_gb"),
    wall_s_per_gb: of("wall_s_per_gb"),
    ratio_spool: of("ratio_spool"),
    ratio_delivered: of("ratio_delivered"),
    objects: of("objects"),
    rss_peak_mb: of("rss_peak_mb"),
  });
}
if (values.json) console.log(JSON.stringify(results, null, 2));
else console.table(results.map((row) => Object.fromEntries(Object.entries(row).map(([key, value]) => [key, Math.round(value * 100) / 100]))));
