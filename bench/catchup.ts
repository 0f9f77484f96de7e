/**
 * Catch-up: a file that is there already → spool → folder, → HTTP and → Loki, by `run --once`. Its CPU is compared with what
 * `zstd -1 --single-thread` takes for the NDJSON bytes that came out, both sides in turn, several times; ratios are per turn.
 * Every run is checked: as many records as lines, and in the folder each line once.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { configured, corpusFile, gigabyte, inScratch, median, Receiver, type CorpusFile, type Plan } from "./bench.ts";
import { kinds, type KindName } from "./corpus/kind.ts";
import { isComplete, Tally, type Verdict } from "./corpus/tally.ts";
import { spawn, type Cost } from "./process.ts";

type Route = "folder" | "http" | "loki";

/** Medians; seconds are per GB of input. */
export interface CatchUp {
  readonly kind: KindName;
  readonly to: Route;
  readonly input_mb: number;
  /** NDJSON bytes for a byte of input, and for a byte delivered. */
  readonly ndjson_per_input: number;
  readonly compression: number;
  readonly cpu_s_per_gb: number;
  readonly wall_s_per_gb: number;
  readonly zstd_cpu_s_per_gb: number;
  readonly ratio: number;
  readonly ratio_min: number;
  readonly ratio_max: number;
  readonly rss_peak_mb: number;
}

interface Run {
  readonly cost: Cost;
  readonly zstd: Cost;
  readonly delivered: number;
}

export async function catchUp(plan: Plan, kind: KindName): Promise<CatchUp[]> {
  const corpus = corpusFile(plan, kind);
  const runs: Record<Route, Run[]> = { folder: [], http: [], loki: [] };
  await using receiver = await Receiver.start(plan.check ? kinds[kind].marker : undefined);
  return await inScratch(plan, async (scratch) => {
    const ndjson = join(scratch, "out.ndjson");
    let ndjsonBytes = 0;
    for (let round = 1; round <= plan.runs; round++) {
      plan.note(`catch-up ${kind}, round ${round} of ${plan.runs}`);
      const folder = await toFolder(plan, corpus, round === 1 ? ndjson : undefined);
      ndjsonBytes = folder.ndjsonBytes;
      runs.folder.push({ ...folder, zstd: await zstd(ndjson) });
      runs.http.push({ ...(await toHttp(plan, corpus, receiver)), zstd: await zstd(ndjson) });
      runs.loki.push({ ...(await toLoki(plan, corpus, receiver)), zstd: await zstd(ndjson) });
    }
    return (["folder", "http", "loki"] as const).map((to) => summary(kind, to, corpus.bytes, ndjsonBytes, runs[to]));
  });
}

/** One run into a folder, its NDJSON written to `into` when that is given. */
export function toFolder(plan: Plan, corpus: CorpusFile, into?: string): Promise<{ cost: Cost; delivered: number; ndjsonBytes: number }> {
  return inScratch(plan, async (folder) => {
    const lake = join(folder, "lake");
    const { command, log } = configured(plan, folder, { sources: fileSource(corpus), sinks: { out: { type: "directory", dir: lake } } }, "--once");
    const cost = await spawn(command, log).exited;
    const found = await readFolder(lake, kinds[corpus.kind].marker, into);
    complete(`catch-up ${corpus.kind} to the folder`, corpus.lines, found.tally.verdict(corpus.lines));
    return { cost, delivered: found.bytes, ndjsonBytes: found.ndjsonBytes };
  });
}

/** One run to `receiver`, which starts from zero. */
export function toHttp(plan: Plan, corpus: CorpusFile, receiver: Receiver): Promise<{ cost: Cost; delivered: number }> {
  return toReceiver(plan, corpus, receiver, "HTTP", { type: "http", url: `${receiver.url}/v1/records` });
}

function toLoki(plan: Plan, corpus: CorpusFile, receiver: Receiver): Promise<{ cost: Cost; delivered: number }> {
  return toReceiver(plan, corpus, receiver, "Loki", { type: "loki", url: receiver.url });
}

function toReceiver(plan: Plan, corpus: CorpusFile, receiver: Receiver, name: string, sink: object): Promise<{ cost: Cost; delivered: number }> {
  return inScratch(plan, async (folder) => {
    await receiver.reset();
    const { command, log } = configured(plan, folder, { sources: fileSource(corpus), sinks: { out: sink } }, "--once");
    const cost = await spawn(command, log).exited;
    const received = await receiver.count(corpus.lines);
    complete(`catch-up ${corpus.kind} to ${name}`, corpus.lines, received.tally ?? countedOnly(received.records, corpus.lines));
    return { cost, delivered: received.bytes };
  });
}

function fileSource(corpus: CorpusFile): object {
  return { in: { type: "file", include: [corpus.path] } };
}

/** The verdict of a receiver that counts and does not look. */
export function countedOnly(records: number, lines: number): Verdict {
  return { lines: records, missing: Math.max(0, lines - records), repeated: Math.max(0, records - lines), foreign: 0 };
}

function zstd(path: string): Promise<Cost> {
  return spawn(["zstd", "-1", "--single-thread", "-q", "-c", path]).exited;
}

/** Throws unless every line is there once. */
export function complete(what: string, lines: number, verdict: Verdict): void {
  if (isComplete(verdict)) return;
  throw new Error(
    `${what}: ${lines} lines written, ${verdict.lines} arrived; missing ${verdict.missing}, repeated ${verdict.repeated}, foreign ${verdict.foreign}`,
  );
}

/** Decompresses all of a folder's objects, in the order of their names, into `into` if it is given. */
async function readFolder(folder: string, marker: string, into: string | undefined): Promise<{ tally: Tally; bytes: number; ndjsonBytes: number }> {
  const tally = new Tally(marker);
  let [bytes, ndjsonBytes] = [0, 0];
  const names = (await Array.fromAsync(new Bun.Glob("**/*.ndjson.zst").scan(folder))).sort();
  const fd = into === undefined ? undefined : openSync(into, "w");
  try {
    for (const name of names) {
      const packed = await Bun.file(join(folder, name)).bytes();
      const raw = Buffer.from(await Bun.zstdDecompress(packed));
      bytes += packed.byteLength;
      ndjsonBytes += raw.byteLength;
      tally.addLines(raw);
      if (fd !== undefined) writeAll(fd, raw);
    }
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
  return { tally, bytes, ndjsonBytes };
}

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
}

function summary(kind: KindName, to: Route, inputBytes: number, ndjsonBytes: number, runs: readonly Run[]): CatchUp {
  const gigabytes = inputBytes / gigabyte;
  const ratios = runs.map((run) => run.cost.cpuSeconds / run.zstd.cpuSeconds);
  return {
    kind,
    to,
    input_mb: inputBytes / 1e6,
    ndjson_per_input: ndjsonBytes / inputBytes,
    compression: ndjsonBytes / median(runs.map((run) => run.delivered)),
    cpu_s_per_gb: median(runs.map((run) => run.cost.cpuSeconds)) / gigabytes,
    wall_s_per_gb: median(runs.map((run) => run.cost.wallSeconds)) / gigabytes,
    zstd_cpu_s_per_gb: median(runs.map((run) => run.zstd.cpuSeconds)) / gigabytes,
    ratio: median(ratios),
    ratio_min: Math.min(...ratios),
    ratio_max: Math.max(...ratios),
    rss_peak_mb: median(runs.map((run) => run.cost.rssPeakBytes)) / 1e6,
  };
}
