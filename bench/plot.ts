/**
 * `bun bench/plot.ts [FOLDER]`: the plots of docs/benchmarks.md. Reads what `--json` of the benchmarks printed, `results.json`,
 * `streams.json`, `backlog.json` and `onefile.json` in FOLDER (docs/figures), and writes an SVG for each plot beside them. A file that is not
 * there gives no plot, and is named.
 *
 * Drawn by Vega-Lite, which needs no browser for it and whose charts say in a few lines what they show.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse, View } from "vega";
import { compile, type TopLevelSpec } from "vega-lite";
import { root } from "./bench.ts";
import type { Results } from "./report.ts";

type Row = Record<string, string | number>;
type Field = NonNullable<Extract<TopLevelSpec, { encoding?: unknown }>["encoding"]>;

const width = 520;
const height = 260;

/** One chart as SVG. */
function draw(title: string, rows: readonly Row[], mark: object, encoding: object): Promise<string> {
  const spec = {
    width,
    height,
    background: "white",
    padding: 12,
    title: { text: title, anchor: "start" },
    data: { values: rows },
    mark,
    encoding: encoding as Field,
    config: { axis: { grid: true, gridOpacity: 0.4 }, axisX: { labelAngle: 0 }, legend: { labelLimit: 0 }, font: "sans-serif" },
  } as unknown as TopLevelSpec;
  return new View(parse(compile(spec).spec), { renderer: "none" }).toSVG();
}

const nominal = (field: string, title: string): object => ({ field, type: "nominal", title, sort: null });
const amount = (field: string, title: string, more: object = {}): object => ({ field, type: "quantitative", title, ...more });

function catchUp(results: Results): Promise<string> {
  const rows = results.catch_up.flatMap((one) => [
    ...(one.to === "folder" ? [{ kind: one.kind, what: "zstd -1 alone", seconds: one.zstd_cpu_s_per_gb }] : []),
    { kind: one.kind, what: `logferry to ${{ folder: "a folder", http: "HTTP", loki: "Loki" }[one.to]}`, seconds: one.cpu_s_per_gb },
  ]);
  return draw(
    "Catch-up: CPU seconds for a GB of input",
    rows,
    { type: "bar", tooltip: true },
    {
      x: nominal("kind", "corpus"),
      xOffset: nominal("what", ""),
      y: amount("seconds", "CPU s per GB"),
      color: nominal("what", ""),
    },
  );
}

function latency(results: Results): Promise<string> {
  const rows = results.steady.flatMap((one) =>
    (["durable", "received"] as const).flatMap((end) =>
      (["p50", "p99"] as const).map((part) => ({ rate: `${one.mb_per_s} MB/s`, what: `${end}, ${part}`, ms: one[`${end}_${part}_ms`] })),
    ),
  );
  return draw(
    "From written to durable and to received",
    rows,
    { type: "bar" },
    {
      x: nominal("rate", "written"),
      xOffset: nominal("what", ""),
      y: amount("ms", "ms"),
      color: nominal("what", ""),
    },
  );
}

function peers(results: Results): Promise<string> {
  const rows = results.against.map((one) => ({ kind: one.kind, what: one.peer, seconds: one.cpu_s_per_gb }));
  return draw(
    "Beside others: CPU seconds for a GB of input, to HTTP",
    rows,
    { type: "bar" },
    {
      x: nominal("kind", "corpus"),
      xOffset: nominal("what", ""),
      y: amount("seconds", "CPU s per GB"),
      color: nominal("what", ""),
    },
  );
}

/** `{label_sets, cpu_s_per_gb, what}` a point; `what` is the version. */
function streams(points: readonly Row[]): Promise<string> {
  return draw(
    "CPU seconds for a GB of NDJSON, by label sets in one source",
    points,
    { type: "line", point: true },
    {
      x: amount("label_sets", "label sets", { scale: { type: "log" } }),
      y: amount("cpu_s_per_gb", "CPU s per GB"),
      color: nominal("what", ""),
    },
  );
}

/** `{seconds, rss_mb, what}` a point; `what` is what it was doing. */
function backlog(points: readonly Row[]): Promise<string> {
  return draw(
    "50 GB with the sink down, then up: resident memory",
    points,
    { type: "line", point: true },
    {
      x: amount("seconds", "seconds since the start"),
      y: amount("rss_mb", "resident MB"),
      color: nominal("what", ""),
    },
  );
}

/** `{seconds, rss_mb, anonymous_mb}` a point. */
function oneFile(points: readonly Row[]): Promise<string> {
  const rows = points.flatMap(({ seconds = 0, rss_mb: all = 0, anonymous_mb: own = 0 }) => [
    { seconds, megabytes: all, what: "resident" },
    { seconds, megabytes: own, what: "of it its own" },
  ]);
  return draw(
    "One file of 20 GB: resident memory",
    rows,
    { type: "line" },
    {
      x: amount("seconds", "seconds since the start"),
      y: amount("megabytes", "MB"),
      color: nominal("what", ""),
    },
  );
}

const folder = process.argv[2] ?? join(root, "docs", "figures");
const plots = [
  ["results", "catchup", catchUp],
  ["results", "latency", latency],
  ["results", "peers", peers],
  ["streams", "streams", streams],
  ["backlog", "backlog", backlog],
  ["onefile", "onefile", oneFile],
] as const;
for (const [from, name, plot] of plots) {
  const source = join(folder, `${from}.json`);
  if (!existsSync(source)) {
    console.error(`no ${source}: no plot ${name}`);
    continue;
  }
  const data: unknown = JSON.parse(readFileSync(source, "utf8"));
  writeFileSync(join(folder, `${name}.svg`), await (plot as (data: unknown) => Promise<string>)(data));
  console.log(`${name}.svg`);
}
