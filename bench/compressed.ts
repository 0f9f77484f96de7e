/**
 * Compressed files → spool → folder, by `run --once`, beside the same content uncompressed, in turn: MB of content for a second, CPU for a GB of it. Every run
 * is checked: each line once.
 */
import { existsSync } from "node:fs";
import { corpusFile, gigabyte, median, megabyte, type CorpusFile, type Plan } from "./bench.ts";
import { toFolder } from "./catchup.ts";
import type { Cost } from "./process.ts";

export interface CompressedReading {
  readonly file: string;
  /** Bytes of content for a byte on disk. */
  readonly ratio: number;
  readonly mb_per_s: number;
  readonly cpu_s_per_gb: number;
  readonly rss_peak_mb: number;
}

const compressors = [
  { ending: "gz", command: ["gzip", "-k", "-6"] },
  { ending: "zst", command: ["zstd", "-k", "-q", "-3"] },
] as const;

export async function compressed(plan: Plan): Promise<CompressedReading[]> {
  const plain = corpusFile(plan, "access");
  const files: [string, CorpusFile][] = [["plain", plain]];
  for (const { ending, command } of compressors) {
    const path = `${plain.path}.${ending}`;
    if (!existsSync(path) && !Bun.spawnSync([...command, plain.path]).success) throw new Error(`${command.join(" ")} failed`);
    files.push([`.${ending}`, { ...plain, path }]);
  }
  const costs = new Map<string, Cost[]>(files.map(([name]) => [name, []]));
  for (let round = 1; round <= plan.runs; round++) {
    plan.note(`compressed, round ${round} of ${plan.runs}`);
    for (const [name, file] of files) costs.get(name)?.push((await toFolder(plan, file)).cost);
  }
  return files.map(([name, { path }]) => {
    const runs = costs.get(name) ?? [];
    return {
      file: name,
      ratio: plain.bytes / Bun.file(path).size,
      mb_per_s: plain.bytes / megabyte / median(runs.map((run) => run.wallSeconds)),
      cpu_s_per_gb: (median(runs.map((run) => run.cpuSeconds)) / plain.bytes) * gigabyte,
      rss_peak_mb: median(runs.map((run) => run.rssPeakBytes)) / megabyte,
    };
  });
}
