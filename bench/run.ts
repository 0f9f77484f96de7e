/**
 * `npm run bench`: the benchmarks of docs/benchmarks.md, as a table or with `--json` for machines. Exit code 1 when a run did not
 * deliver every line once, 2 for usage. Absolute figures belong to the machine and the hour: compare ratios.
 */
import { mkdirSync, statSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ensureExecutable } from "../build.ts";
import { parseSize } from "../src/core/values.ts";
import { backlog } from "./backlog.ts";
import { root, type Plan } from "./bench.ts";
import { against, peerKinds } from "./against.ts";
import { catchUp } from "./catchup.ts";
import { compressed } from "./compressed.ts";
import { kindNames } from "./corpus/kind.ts";
import { encode } from "./encoder.ts";
import { fairness } from "./fairness.ts";
import { formatting } from "./formats.ts";
import { coldStart, idle } from "./idle.ts";
import { print, type Results } from "./report.ts";
import { steady } from "./steady.ts";

const usual: readonly string[] = [...kindNames, "encoder", "formats", "compressed", "steady", "idle", "start", "fairness", "peers"];
/** `backlog` only when it is named: at its real size it takes half an hour. */
const parts = [...usual, "backlog"];
const usage = `usage: npm run bench -- [--full] [--only ${parts.join(",")}] [--bytes SIZE] [--runs N] [--seconds N] [--check] [--executable FILE] [--folder DIR] [--json]`;

async function fromArguments(): Promise<{ plan: Plan; only: ReadonlySet<string>; json: boolean }> {
  const { values } = parseArgs({
    options: {
      full: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      check: { type: "boolean", default: false },
      only: { type: "string", default: usual.join(",") },
      bytes: { type: "string" },
      runs: { type: "string", default: "3" },
      seconds: { type: "string", default: "20" },
      executable: { type: "string" },
      folder: { type: "string", default: join(root, ".cache", "bench") },
    },
  });
  const only = new Set(values.only.split(","));
  const bytes = parseSize(values.bytes ?? (values.full ? "1GB" : "256MB"));
  const [runs, seconds] = [Number(values.runs), Number(values.seconds)];
  const unknown = [...only].filter((name) => !parts.includes(name));
  if (unknown.length > 0) throw new Error(`no such benchmark: ${unknown.join(", ")}`);
  if (bytes === undefined || bytes < 1e6) throw new Error("--bytes must be a size of at least 1MB");
  if (!(runs >= 1) || !(seconds >= 2)) throw new Error("--runs must be at least 1, --seconds at least 2");
  const note = (text: string): void => console.error(`  ${text}`);
  // A source file is run by this runtime: for trying things out without a build.
  const command = (path: string): string[] => (path.endsWith(".ts") ? [process.execPath, path] : [path]);
  const logferry = command(values.executable ?? (await ensureExecutable()).path);
  return { plan: { logferry, folder: values.folder, bytes, runs, seconds, check: values.check, note }, only, json: values.json };
}

async function main(): Promise<number> {
  let given;
  try {
    given = await fromArguments();
  } catch (cause) {
    console.error(`${(cause as Error).message}\n${usage}`);
    return 2;
  }
  const { plan, only, json } = given;
  try {
    mkdirSync(plan.folder, { recursive: true });
    const chosen = kindNames.filter((kind) => only.has(kind));
    if (chosen.length > 0 && Bun.which("zstd") === null) throw new Error("the zstd command is missing: apt-get install zstd, brew install zstd");
    const results: Results = {
      machine: machine(plan.logferry.at(-1) as string),
      catch_up: [],
      encoder: [],
      formats: [],
      steady: [],
      idle: [],
      against: [],
    };
    for (const kind of chosen) results.catch_up.push(...(await catchUp(plan, kind)));
    if (only.has("encoder")) results.encoder = kindNames.map((kind) => encode(plan, kind));
    if (only.has("formats")) results.formats = formatting(plan);
    if (only.has("compressed")) results.compressed = await compressed(plan);
    if (only.has("steady")) results.steady = await steady(plan);
    if (only.has("peers")) for (const kind of peerKinds) results.against.push(...(await against(plan, kind)));
    if (only.has("idle")) results.idle = await idle(plan);
    if (only.has("fairness")) results.fairness = await fairness(plan);
    if (only.has("start")) results.start = await coldStart(plan);
    if (only.has("backlog")) results.backlog = await backlog(plan);
    if (json) console.log(JSON.stringify(results, null, 2));
    else print(results);
    return 0;
  } catch (cause) {
    console.error(`bench: ${(cause as Error).message}`);
    return 1;
  }
}

function machine(executable: string): Results["machine"] {
  const zstd = Bun.which("zstd") === null ? "" : (/v[\d.]+/.exec(Bun.spawnSync(["zstd", "--version"]).stdout.toString())?.[0] ?? "");
  return {
    cpu: cpus()[0]?.model.trim() ?? "",
    cores: cpus().length,
    memory_gb: Math.round(totalmem() / 1e9),
    platform: `${process.platform} ${process.arch}`,
    zstd,
    executable_mb: statSync(executable).size / 1e6,
  };
}

process.exit(await main());
