/**
 * `bun bench/restart.ts`: how long a start takes until sources read again, and what it costs in memory, with much in the spool
 * and its sink down: a full spool of 2 GiB, and 10,000 small segments. Each spool is left as a kill leaves it.
 *
 * The time is that of the whole executable, from its start to `/ready`; an empty spool beside it says what is the start itself.
 * Options: --runs N, --folder DIR, --executable FILE, --json.
 */
import { cpSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ensureExecutable } from "../build.ts";
import { configured, inScratch, median, ready, root, type Plan } from "./bench.ts";
import { cpuSeconds, spawn, statusBytes } from "./process.ts";
import { makeSpool, type Shape } from "./spools.ts";

const MiB = 2 ** 20;
const shapes: Record<string, Shape | undefined> = {
  "empty spool": undefined,
  "2 GiB in 128 segments": { segments: 128, segmentBytes: 16 * MiB },
  "10,000 segments of 64 KiB": { segments: 10_000, segmentBytes: 64 * 1024 },
};
/** Time after `/ready` at which memory and CPU are looked at: the sink has planned all it may and only tries again. */
const settleMs = 8000;

interface Restart {
  spool: string;
  bytes_mb: number;
  start_ms: number;
  start_ms_max: number;
  cpu_s: number;
  rss_ready_mb: number;
  rss_settled_mb: number;
}

async function measure(plan: Plan, name: string, shape: Shape | undefined): Promise<Restart> {
  return inScratch(plan, async (scratch) => {
    const made = join(scratch, "made");
    mkdirSync(made);
    plan.note(`making: ${name}`);
    const { bytes } = shape === undefined ? { bytes: 0 } : await makeSpool(made, shape);
    const starts: number[] = [];
    const [cpu, rssReady, rssSettled]: [number[], number[], number[]] = [[], [], []];
    for (let run = 0; run < plan.runs; run++) {
      plan.note(`${name}, start ${run + 1} of ${plan.runs}`);
      await inScratch(plan, async (folder) => {
        // A start changes the spool: each gets one as it was. Hard links would let it change the one it came from.
        cpSync(made, join(folder, "spool"), { recursive: true, mode: 0 });
        await Bun.write(join(folder, "in.log"), "one line\n");
        const { command, control, log } = configured(plan, folder, {
          sources: { in: { type: "file", include: [join(folder, "in.log")] } },
          sinks: { out: { type: "http", url: "http://127.0.0.1:9/v1/records" } },
        });
        const child = spawn(command, log);
        try {
          starts.push(await ready(control, child.exited, 5));
          cpu.push(cpuSeconds(child.pid));
          rssReady.push(statusBytes(child.pid));
          if (run === 0) {
            await Bun.sleep(settleMs);
            rssSettled.push(statusBytes(child.pid));
          }
        } finally {
          child.exited.catch(() => {}); // killed on purpose
          child.kill("SIGKILL");
          await child.exited.catch(() => {});
        }
      });
    }
    rmSync(made, { recursive: true });
    return {
      spool: name,
      bytes_mb: bytes / 1e6,
      start_ms: median(starts),
      start_ms_max: Math.max(...starts),
      cpu_s: median(cpu),
      rss_ready_mb: median(rssReady) / 1e6,
      rss_settled_mb: median(rssSettled) / 1e6,
    };
  });
}

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "5" },
    folder: { type: "string", default: join(root, ".cache", "bench") },
    executable: { type: "string" },
    json: { type: "boolean", default: false },
  },
});
const command = (path: string): string[] => (path.endsWith(".ts") ? [process.execPath, path] : [path]);
const plan: Plan = {
  logferry: command(values.executable ?? (await ensureExecutable()).path),
  folder: values.folder,
  bytes: 0,
  runs: Number(values.runs),
  seconds: 0,
  check: false,
  note: (text) => console.error(`  ${text}`),
};
const results: Restart[] = [];
for (const [name, shape] of Object.entries(shapes)) results.push(await measure(plan, name, shape));
if (values.json) console.log(JSON.stringify(results, null, 2));
else
  console.table(
    results.map((row) =>
      Object.fromEntries(Object.entries(row).map(([key, value]) => [key, typeof value === "number" ? Math.round(value * 10) / 10 : value])),
    ),
  );
