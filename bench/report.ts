/** The results as tables for people. */
import Table from "cli-table3";
import type { Against } from "./against.ts";
import type { Backlog } from "./backlog.ts";
import type { CatchUp } from "./catchup.ts";
import type { CompressedReading } from "./compressed.ts";
import type { Encoding } from "./encoder.ts";
import type { Fairness } from "./fairness.ts";
import type { Formatting } from "./formats.ts";
import type { Idle, Start } from "./idle.ts";
import type { Steady } from "./steady.ts";

export interface Results {
  machine: { cpu: string; cores: number; memory_gb: number; platform: string; zstd: string; executable_mb: number };
  catch_up: CatchUp[];
  steady: Steady[];
  against: Against[];
  encoder: Encoding[];
  formats: Formatting[];
  idle: Idle[];
  compressed?: CompressedReading[];
  start?: Start;
  fairness?: Fairness[];
  backlog?: Backlog;
}

const fixed = (value: number, digits: number): string => (Number.isNaN(value) ? "–" : value.toFixed(digits));

function table(title: string, head: readonly string[], rows: readonly (readonly string[])[]): void {
  if (rows.length === 0) return;
  const bare = {
    top: "",
    "top-mid": "",
    "top-left": "",
    "top-right": "",
    bottom: "",
    "bottom-mid": "",
    "bottom-left": "",
    "bottom-right": "",
    left: "",
    "left-mid": "",
    mid: "",
    "mid-mid": "",
    right: "",
    "right-mid": "",
    middle: "  ",
  };
  const drawn = new Table({
    head: [...head],
    chars: bare,
    style: { head: [], border: [], "padding-left": 0, "padding-right": 0 },
    colAligns: head.map((_, column) => (column === 0 ? "left" : "right")),
  });
  for (const row of rows) drawn.push([...row]);
  console.log(`\n${title}\n${drawn.toString()}`);
}

export function print(results: Results): void {
  const { machine } = results;
  console.log(
    `\n${machine.cpu}, ${machine.cores} cores, ${machine.memory_gb} GB, ${machine.platform}; zstd ${machine.zstd}; executable ${fixed(machine.executable_mb, 1)} MB`,
  );
  const catchUps = results.catch_up.map((one) => [
    `${one.kind} → ${one.to}`,
    fixed(one.input_mb, 0),
    fixed(one.ndjson_per_input, 2),
    fixed(one.compression, 1),
    fixed(one.cpu_s_per_gb, 2),
    fixed(one.wall_s_per_gb, 2),
    fixed(one.zstd_cpu_s_per_gb, 2),
    `${fixed(one.ratio, 2)} (${fixed(one.ratio_min, 2)} to ${fixed(one.ratio_max, 2)})`,
    fixed(one.rss_peak_mb, 0),
  ]);
  table(
    "catch-up, medians; seconds are per GB of input",
    ["", "input MB", "NDJSON/input", "compression", "CPU s", "wall s", "zstd -1 CPU s", "CPU ratio to zstd -1", "peak RSS MB"],
    catchUps,
  );
  const encodings = results.encoder.map((one) => [
    one.kind,
    fixed(one.input_mb_per_s, 0),
    fixed(one.output_mb_per_s, 0),
    fixed(one.plain_mb_per_s, 0),
  ]);
  table("encoder, lines to NDJSON in memory, for a second of CPU", ["", "input MB", "NDJSON MB", "input MB by the plain loop"], encodings);
  const formats = results.formats.map((one) => [one.name, fixed(one.input_mb_per_s, 0), fixed(one.slow_mb_per_s, 0), fixed(one.plain_mb_per_s, 0)]);
  table("formats, lines to NDJSON in memory, for a second of CPU", ["", "input MB", "without the kernel", "as plain lines"], formats);
  printCompressed(results.compressed ?? []);
  const steadies = results.steady.map((one) => [
    `${one.mb_per_s} MB/s → http`,
    fixed(one.cpu_percent, 1),
    fixed(one.rss_median_mb, 0),
    fixed(one.rss_peak_mb, 0),
    ...[one.durable_p50_ms, one.durable_p99_ms, one.received_p50_ms, one.received_p99_ms].map((ms) => fixed(ms, 0)),
  ]);
  table("steady; times are from written, in ms", ["", "CPU % of a core", "RSS MB", "peak", "durable p50", "p99", "received p50", "p99"], steadies);
  const againsts = results.against.map((one) => [
    `${one.kind}, ${one.peer}`,
    fixed(one.cpu_s_per_gb, 1),
    fixed(one.wall_s_per_gb, 1),
    fixed(one.rss_peak_mb, 0),
    fixed(one.cpu_ratio, 2),
    fixed(one.wall_ratio, 2),
    `${one.missing}`,
    `${one.repeated}`,
    one.lacks,
  ]);
  table(
    "beside others, to HTTP; seconds per GB of input, ratios are theirs by ours",
    ["", "CPU s", "wall s", "peak RSS MB", "CPU ratio", "wall ratio", "lost", "repeated", "what it does not do"],
    againsts,
  );
  const idles = results.idle.map((one) => [
    one.setting,
    fixed(one.cpu_percent, 2),
    fixed(one.wake_ups_per_s, 0),
    fixed(one.rss_mb, 0),
    fixed(one.own_mb, 0),
  ]);
  table("idle", ["", "CPU % of a core", "wake-ups/s", "RSS MB", "of it its own"], idles);
  if (results.backlog !== undefined) printBacklog(results.backlog);
  printFairness(results.fairness ?? []);
  if (results.start !== undefined) console.log(`\nstart → ready  ${fixed(results.start.ms, 0)} ms, ${fixed(results.start.cpu_ms, 0)} ms of CPU`);
}

function printCompressed(results: readonly CompressedReading[]): void {
  const rows = results.map((one) => [one.file, fixed(one.ratio, 1), fixed(one.mb_per_s, 0), fixed(one.cpu_s_per_gb, 2), fixed(one.rss_peak_mb, 0)]);
  table("compressed files to the folder, of their content", ["", "ratio", "MB/s", "CPU s per GB", "peak RSS MB"], rows);
}

function printFairness(results: readonly Fairness[]): void {
  const rows = results.map((one) => [
    one.setting,
    fixed(one.behind_max_ms, 0),
    fixed(one.behind_median_ms, 0),
    fixed(one.busy_mb_per_s, 0),
    fixed(one.busy_behind_mb, 0),
    fixed(one.descriptors_max, 0),
  ]);
  const head = ["", "slowest behind, ms", "median of the slowest", "busy one, MB/s", "it is behind, MB", "descriptors at most"];
  table("fairness, a hundred files beside one at full speed; from written to durable", head, rows);
}

function printBacklog({ points, records, cpu_s_per_gb, start_ms, start_ms_max, start_rss_mb }: Backlog): void {
  const rows = points.map((one) => [
    one.phase,
    fixed(one.seconds, 0),
    fixed(one.input_gb, 1),
    fixed(one.spool_gb, 2),
    String(one.segments),
    fixed(one.rss_mb, 0),
    fixed(one.own_mb, 0),
    fixed(one.peak_mb, 0),
  ]);
  table("backlog, its sink down and then up", ["", "s", "input GB", "spool GB", "segments", "RSS MB", "of it its own", "peak"], rows);
  console.log(
    `${records} records, ${fixed(cpu_s_per_gb, 2)} CPU s a GB of input; start → ready ${fixed(start_ms, 0)} ms (longest ${fixed(start_ms_max, 0)}), then ${fixed(start_rss_mb, 0)} MB`,
  );
}
