/**
 * Backlog: the sink is down while gigabytes are written to log files, which go as soon as they were read. What memory does
 * meanwhile; how long a start takes with all of it in the spool; and memory while it is delivered, every record once by count.
 *
 * The text is one corpus of 256 MB again and again, each time as a new file behind a line of its own (else it would be taken for a
 * rotated copy, rightly): a frame compresses by itself, so repetition at that distance changes nothing. Segments are of 1 MiB, so that 50 GB come to 10,000 of them.
 */
import { randomBytes } from "node:crypto";
import { appendFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Status } from "../src/core/view.ts";
import { configured, corpusFile, inScratch, median, ready, Receiver, type Plan } from "./bench.ts";
import { cpuSeconds, spawn, statusBytes, type Spawned } from "./process.ts";

/** How things stood at a moment. MB and GB are of 10^6 and 10^9 bytes. */
export interface Point {
  readonly phase: "reading" | "held" | "delivering";
  readonly seconds: number;
  readonly input_gb: number;
  readonly spool_gb: number;
  readonly segments: number;
  readonly rss_mb: number;
  /** Of it its own, and not pages of files. */
  readonly own_mb: number;
  /** Highest since the start of the process. */
  readonly peak_mb: number;
}

export interface Backlog {
  readonly points: Point[];
  readonly records: number;
  readonly cpu_s_per_gb: number;
  /** From the start of the process to `/ready` with all of it in the spool: median and longest of three. */
  readonly start_ms: number;
  readonly start_ms_max: number;
  readonly start_rss_mb: number;
}

const corpusBytes = 256_000_000;
/** Files that wait to be read: enough that reading never waits for the writer. */
const aheadMax = 3;
const starts = 3;
const lookMs = 250;
/** Of the line that tells files apart: more than is compared of a file's head. */
const ownBytes = 2048;
/** Points of each phase. */
const pointsEach = 10;

export async function backlog(plan: Plan): Promise<Backlog> {
  const corpus = corpusFile({ ...plan, bytes: Math.min(plan.bytes, corpusBytes) }, "access");
  const text = readFileSync(corpus.path);
  const files = Math.ceil(plan.bytes / text.byteLength);
  const records = files * (corpus.lines + 1);
  return inScratch(plan, async (folder) => {
    await using receiver = await Receiver.start();
    const parts = (url: string) => ({
      sources: { in: { type: "file", include: [join(folder, "*.log")] } },
      sinks: { out: { type: "http", url } },
      spool: { dir: join(folder, "spool"), min_free_bytes: "1GiB", max_bytes: "1TiB", segment_bytes: "1MiB" },
    });
    const points: Point[] = [];
    const began = performance.now();
    const note = (point: Omit<Point, "seconds">): void => {
      points.push({ ...point, seconds: (performance.now() - began) / 1000 });
      plan.note(`backlog: ${JSON.stringify(points.at(-1))}`);
    };
    const first = await start(configured(plan, folder, parts("http://127.0.0.1:9/v1/records")));
    const inputOf = (done: number): number => (done * text.byteLength) / 1e9;
    await feed(first, folder, text, files, (done, status) => note({ phase: "reading", input_gb: inputOf(done), ...held(first.child.pid, status) }));
    await Bun.sleep(10_000);
    note({ phase: "held", input_gb: inputOf(files), ...held(first.child.pid, await first.status()) });
    const cpu = cpuSeconds(first.child.pid);
    await kill(first.child);
    const started: number[] = [];
    for (let n = 0; n < starts; n++) {
      const again = await start(configured(plan, folder, parts("http://127.0.0.1:9/v1/records")));
      started.push(again.readyMs);
      if (n === 0) await Bun.sleep(8000);
      note({ phase: "held", input_gb: inputOf(files), ...held(again.child.pid, await again.status()) });
      await kill(again.child);
    }
    const last = await start(configured(plan, folder, parts(`${receiver.url}/v1/records`)));
    await deliver(last, records, (status) => note({ phase: "delivering", input_gb: inputOf(files), ...held(last.child.pid, status) }));
    await kill(last.child);
    const arrived = (await receiver.count()).records;
    if (arrived !== records) throw new Error(`backlog: ${records} lines written, ${arrived} arrived`);
    return {
      points,
      records,
      cpu_s_per_gb: cpu / inputOf(files),
      start_ms: median(started),
      start_ms_max: Math.max(...started),
      start_rss_mb: points.find((point, index) => point.phase === "held" && points[index - 1]?.phase === "held")?.rss_mb ?? Number.NaN,
    };
  });
}

interface Running {
  readonly child: Spawned;
  readonly readyMs: number;
  status(): Promise<Status>;
}

async function start({ command, control, log }: ReturnType<typeof configured>): Promise<Running> {
  const child = spawn(command, log);
  child.exited.catch(() => {}); // killed on purpose
  const readyMs = await ready(control, child.exited, 5);
  return { child, readyMs, status: async () => (await (await fetch(`http://127.0.0.1:${control}/status`)).json()) as Status };
}

async function kill(child: Spawned): Promise<void> {
  child.kill("SIGKILL");
  await child.exited.catch(() => {});
}

/** Writes `files` files, each gone as soon as it was read and is durable; `look` is called at even steps. */
async function feed(running: Running, folder: string, text: Buffer, files: number, look: (done: number, status: Status) => void): Promise<void> {
  const waiting: string[] = [];
  let [written, done] = [0, 0];
  while (done < files) {
    while (waiting.length < aheadMax && written < files) {
      const path = join(folder, `app-${String(written++).padStart(6, "0")}.log`);
      // In pieces, so that logferry gets its turn; the name is there at once, as with any log.
      writeFileSync(path, `${randomBytes(ownBytes / 2).toString("hex")}\n`);
      for (let at = 0; at < text.byteLength; at += 2 ** 24) {
        appendFileSync(path, text.subarray(at, at + 2 ** 24));
        await Bun.sleep(1);
      }
      waiting.push(path);
    }
    await Bun.sleep(lookMs);
    const status = await running.status();
    const read = new Set(status.sources["in"]?.files?.filter(({ offset }) => offset > text.byteLength).map(({ path }) => path));
    for (const path of waiting.filter((each) => read.has(each))) {
      rmSync(path);
      waiting.splice(waiting.indexOf(path), 1);
      done++;
      if (done % Math.max(1, Math.floor(files / pointsEach)) === 0) look(done, status);
    }
  }
}

/** Until everything has arrived; `look` is called at even steps. */
async function deliver(running: Running, records: number, look: (status: Status) => void): Promise<void> {
  let next = 0;
  for (;;) {
    const status = await running.status();
    const delivered = (status.sinks["out"]?.delivered_sequence ?? -1) + 1;
    if (delivered >= (next * records) / pointsEach) {
      next = Math.floor((delivered / records) * pointsEach) + 1;
      look(status);
    }
    if (delivered >= records) return;
    await Bun.sleep(lookMs);
  }
}

function held(pid: number, { spool }: Status): Omit<Point, "phase" | "seconds" | "input_gb"> {
  return {
    spool_gb: spool.bytes / 1e9,
    segments: spool.segments,
    rss_mb: statusBytes(pid) / 1e6,
    own_mb: statusBytes(pid, "RssAnon") / 1e6,
    peak_mb: statusBytes(pid, "VmHWM") / 1e6,
  };
}
