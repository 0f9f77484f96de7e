/** What arrived: every record of every object below a folder, read with the `zstd` and `gzip` tools, not with our own code. */
import { join } from "node:path";

export interface Arrived {
  readonly object: string;
  readonly timestamp: string;
  readonly host: string;
  readonly source: string;
  readonly file?: string;
  readonly offset?: number;
  readonly message?: string;
  readonly partial?: boolean;
  readonly labels?: Record<string, string>;
  readonly data?: Record<string, unknown>;
}

/** All records below `dir`, object by object in the order of their names. Throws on anything that is not valid NDJSON. */
export async function readLake(dir: string): Promise<Arrived[]> {
  const records: Arrived[] = [];
  for (const object of await lakeObjects(dir)) {
    const tool = object.endsWith(".zst") ? ["zstd", "-dcq"] : object.endsWith(".gz") ? ["gzip", "-dc"] : ["cat"];
    const child = Bun.spawn([...tool, join(dir, object)], { stdout: "pipe", stderr: "pipe" });
    const [text, said, code] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text(), child.exited]);
    if (code !== 0) throw new Error(`${object}: ${said}`);
    if (!text.endsWith("\n")) throw new Error(`${object} does not end at a line end`);
    for (const line of text.slice(0, -1).split("\n")) records.push({ ...(JSON.parse(line) as Arrived), object });
  }
  return records;
}

/** The objects below `dir`, by path, without what is hidden. */
export async function lakeObjects(dir: string): Promise<string[]> {
  const found = await Array.fromAsync(new Bun.Glob("**/*.ndjson*").scan({ cwd: dir, onlyFiles: true }));
  return found.filter((path) => !/(^|\/)\./.test(path)).toSorted();
}

/** How the numbered messages (`… n=NUMBER …`) compare with 0 … written-1 of each file stem. */
export function lostAndRepeated(
  records: readonly Arrived[],
  written: Readonly<Record<string, number>>,
): { lost: number; repeated: number; foreign: number } {
  const seen = new Map<string, number>();
  let foreign = 0;
  for (const { message = "" } of records) {
    const match = /^w=(\S+) n=(\d+) /.exec(message);
    const key = match === null ? "" : `${match[1]} ${match[2]}`;
    if (match === null || Number(match[2]) >= (written[match[1] ?? ""] ?? 0)) foreign++;
    else seen.set(key, (seen.get(key) ?? 0) + 1);
  }
  const total = Object.values(written).reduce((sum, count) => sum + count, 0);
  const repeated = [...seen.values()].reduce((sum, count) => sum + count - 1, 0);
  return { lost: total - seen.size, repeated, foreign };
}
