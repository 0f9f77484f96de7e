/**
 * Steady: a writer appends 1, 10 or 50 MB/s, logferry ships to HTTP; CPU of one core, memory, and how long a line takes to be
 * durable and to arrive.
 *
 * CPU and memory are those of a stretch in which nobody asks; a second one asks `/status` every few milliseconds how many records
 * are synced. Lines are matched by count, not one by one, since requests run side by side.
 */
import { join } from "node:path";
import type { Status } from "../src/core/view.ts";
import { configured, inScratch, median, ready, Receiver, type Plan } from "./bench.ts";
import { complete, countedOnly } from "./catchup.ts";
import { kinds } from "./corpus/kind.ts";
import { adopt, cpuSeconds, spawn, statusBytes, type Spawned } from "./process.ts";
import type { Received } from "./receiver.ts";
import type { Written } from "./writer.ts";

export interface Steady {
  readonly mb_per_s: number;
  readonly cpu_percent: number;
  readonly rss_median_mb: number;
  readonly rss_peak_mb: number;
  /** From written to synced in the spool, and to received. */
  readonly durable_p50_ms: number;
  readonly durable_p99_ms: number;
  readonly received_p50_ms: number;
  readonly received_p99_ms: number;
}

/** Wall milliseconds, and how many lines had come that far. */
type Mark = readonly [ms: number, lines: number];

const rates = [1, 10, 50] as const;
/** Starting up and the first buffers are not steady. */
const settleSeconds = 4;
const arriveMsMax = 30_000;
const askMs = 10;

/** Every rate in turn. */
export async function steady(plan: Plan): Promise<Steady[]> {
  const found: Steady[] = [];
  for (const rate of rates) found.push(await atRate(plan, rate));
  return found;
}

async function atRate(plan: Plan, rate: number): Promise<Steady> {
  const askSeconds = Math.max(4, plan.seconds / 2);
  plan.note(`steady: ${rate} MB/s for ${plan.seconds} s, then ${askSeconds} s with questions`);
  await using receiver = await Receiver.start(plan.check ? kinds.access.marker : undefined);
  return await inScratch(plan, async (folder) => {
    const path = join(folder, "access.log");
    const parts = { sources: { in: { type: "file", include: [path] } }, sinks: { out: { type: "http", url: `${receiver.url}/v1/records` } } };
    const { command, control, log } = configured(plan, folder, parts);
    const child = spawn(command, log);
    await ready(control, child.exited, 20);
    const words = ["access", String(rate * 1e6), String(settleSeconds + plan.seconds + askSeconds), path];
    const writer = adopt(Bun.spawn([process.execPath, join(import.meta.dir, "writer.ts"), ...words], { stdout: "pipe", stderr: "inherit" }));
    await Bun.sleep(settleSeconds * 1000);
    const { cpu, resident } = await watch(child, plan.seconds - 0.5);
    const askedFrom = Date.now();
    const durable = await ask(control, askSeconds - 0.5);
    const written = (await new Response(writer.stdout).json()) as Written;
    const received = await arrival(receiver, written.lines);
    child.kill("SIGTERM");
    const { rssPeakBytes } = await child.exited;
    complete(`steady ${rate} MB/s`, written.lines, received.tally ?? countedOnly(received.records, written.lines));
    const [synced, arrived] = [delays(written.marks, durable, askedFrom), delays(written.marks, received.marks, askedFrom)];
    return {
      mb_per_s: rate,
      cpu_percent: cpu * 100,
      rss_median_mb: median(resident) / 1e6,
      rss_peak_mb: rssPeakBytes / 1e6,
      durable_p50_ms: share(synced, 0.5),
      durable_p99_ms: share(synced, 0.99),
      received_p50_ms: share(arrived, 0.5),
      received_p99_ms: share(arrived, 0.99),
    };
  });
}

/** CPU, as a part of a core, and resident bytes over `seconds`. */
async function watch(child: Spawned, seconds: number): Promise<{ cpu: number; resident: number[] }> {
  const [cpuBefore, before] = [cpuSeconds(child.pid), performance.now()];
  const resident: number[] = [];
  while (performance.now() < before + seconds * 1000) {
    await Bun.sleep(200);
    resident.push(statusBytes(child.pid));
  }
  return { cpu: (cpuSeconds(child.pid) - cpuBefore) / ((performance.now() - before) / 1000), resident };
}

/** How many records were synced when, over `seconds`. */
async function ask(control: number, seconds: number): Promise<Mark[]> {
  const marks: Mark[] = [];
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) {
    const status = (await (await fetch(`http://127.0.0.1:${control}/status`)).json()) as Status;
    marks.push([Date.now(), status.spool.last_sequence + 1]);
    await Bun.sleep(askMs);
  }
  return marks;
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

/** Milliseconds between the moment a number of lines was in the file and the moment as many had come that far, in ascending order. */
function delays(written: readonly Mark[], come: readonly Mark[], fromMs: number): number[] {
  const found: number[] = [];
  let at = 0;
  for (const [ms, lines] of written) {
    while (at < come.length && (come[at]?.[1] ?? 0) < lines) at++;
    const mark = come[at];
    if (ms >= fromMs && mark !== undefined) found.push(mark[0] - ms);
  }
  return found.sort((a, b) => a - b);
}

function share(ascending: readonly number[], part: number): number {
  return ascending[Math.floor((ascending.length - 1) * part)] ?? Number.NaN;
}
