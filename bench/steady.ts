/** Steady: a writer appends 10 MB/s, logferry ships to HTTP; CPU of one core, memory, and how long a line takes to arrive. */
import { join } from "node:path";
import { configured, inScratch, median, ready, Receiver, type Plan } from "./bench.ts";
import { complete } from "./catchup.ts";
import { kinds } from "./corpus/kind.ts";
import { adopt, cpuSeconds, spawn, statusBytes } from "./process.ts";
import type { Received } from "./receiver.ts";
import type { Written } from "./writer.ts";

export interface Steady {
  readonly mb_per_s: number;
  readonly cpu_percent: number;
  readonly rss_median_mb: number;
  readonly rss_peak_mb: number;
  /** From written to received. Requests run side by side, so lines are matched by count, not one by one. */
  readonly latency_p50_ms: number;
  readonly latency_p99_ms: number;
}

const bytesPerSecond = 10_000_000;
/** Starting up and the first buffers are not steady. */
const settleSeconds = 4;
const arriveMsMax = 30_000;

export async function steady(plan: Plan): Promise<Steady> {
  plan.note(`steady: ${bytesPerSecond / 1e6} MB/s for ${plan.seconds} s`);
  await using receiver = await Receiver.start(plan.check ? kinds.access.marker : undefined);
  return await inScratch(plan, async (folder) => {
    const path = join(folder, "access.log");
    const parts = { sources: { in: { type: "file", include: [path] } }, sinks: { out: { type: "http", url: `${receiver.url}/v1/records` } } };
    const { command, control, log } = configured(plan, folder, parts);
    const child = spawn(command, log);
    await ready(control, child.exited, 20);
    const writer = adopt(
      Bun.spawn(
        [process.execPath, join(import.meta.dir, "writer.ts"), "access", String(bytesPerSecond), String(plan.seconds + settleSeconds), path],
        { stdout: "pipe", stderr: "inherit" },
      ),
    );
    await Bun.sleep(settleSeconds * 1000);
    const [cpuBefore, before] = [cpuSeconds(child.pid), performance.now()];
    const resident: number[] = [];
    const end = before + (plan.seconds - 0.5) * 1000;
    while (performance.now() < end) {
      await Bun.sleep(200);
      resident.push(statusBytes(child.pid));
    }
    const cpu = (cpuSeconds(child.pid) - cpuBefore) / ((performance.now() - before) / 1000);
    const written = (await new Response(writer.stdout).json()) as Written;
    const received = await arrival(receiver, written.lines);
    child.kill("SIGTERM");
    const { rssPeakBytes } = await child.exited;
    complete(
      "steady",
      written.lines,
      received.tally ?? {
        lines: received.records,
        missing: written.lines - received.records,
        repeated: Math.max(0, received.records - written.lines),
        foreign: 0,
      },
    );
    const latencies = latency(written, received, settleSeconds * 1000);
    return {
      mb_per_s: bytesPerSecond / 1e6,
      cpu_percent: cpu * 100,
      rss_median_mb: median(resident) / 1e6,
      rss_peak_mb: rssPeakBytes / 1e6,
      ...latencies,
    };
  });
}

/** What the receiver has once all lines came, or when they do not come any more. */
async function arrival(receiver: Receiver, lines: number): Promise<Received> {
  const deadline = performance.now() + arriveMsMax;
  for (;;) {
    const received = await receiver.count(lines);
    if (received.records >= lines || performance.now() > deadline) return received;
    await Bun.sleep(50);
  }
}

/** Milliseconds between the moment a number of lines was in the file and the moment as many had arrived. */
function latency(written: Written, received: Received, skipMs: number): Pick<Steady, "latency_p50_ms" | "latency_p99_ms"> {
  const found: number[] = [];
  const from = (written.marks[0]?.[0] ?? 0) + skipMs;
  let at = 0;
  for (const [ms, lines] of written.marks) {
    while (at < received.marks.length && (received.marks[at]?.[1] ?? 0) < lines) at++;
    const arrived = received.marks[at];
    if (ms >= from && arrived !== undefined) found.push(arrived[0] - ms);
  }
  found.sort((a, b) => a - b);
  const share = (part: number): number => found[Math.floor((found.length - 1) * part)] ?? Number.NaN;
  return { latency_p50_ms: share(0.5), latency_p99_ms: share(0.99) };
}
