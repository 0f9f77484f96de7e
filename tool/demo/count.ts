/** Counts what arrived in a folder by reading it: every object is decompressed, every record parsed, every number ticked off. */
import { Glob } from "bun";
import { join } from "node:path";
import { kinds } from "../../bench/corpus/kind.ts";
import { Tally } from "../../bench/corpus/tally.ts";
import { contentSum } from "./content.ts";
import type { Progress } from "./generator.ts";
import { files, sourceNames, type SourceName } from "./layout.ts";

export interface Count {
  readonly objects: number;
  readonly bytes: number;
  readonly records: number;
  readonly lost: number;
  readonly repeated: number;
  /** Lines that are not what was written: another text, another number, or no line of the generator at all. */
  readonly altered: number;
}

interface Found {
  readonly tally: Tally;
  sum: number;
}

export async function countFolder(folder: string, written: Progress): Promise<Count> {
  const found = new Map<SourceName, Found>(sourceNames.map((name) => [name, { tally: new Tally(kinds[files[name].kind].marker), sum: 0 }]));
  let objects = 0;
  let bytes = 0;
  let strangers = 0;
  for await (const name of new Glob("**/*.ndjson.zst").scan(folder)) {
    const packed = await Bun.file(join(folder, name)).bytes();
    objects++;
    bytes += packed.byteLength;
    strangers += countLines(Buffer.from(await Bun.zstdDecompress(packed)), found);
  }
  return { objects, bytes, ...judge(found, strangers, written) };
}

/** Returns how many lines are no record of the demo's sources. */
function countLines(bytes: Buffer, found: Map<SourceName, Found>): number {
  let strangers = 0;
  for (let at = 0; at < bytes.length;) {
    const end = bytes.indexOf(10, at);
    const line = bytes.toString("utf8", at, end < 0 ? bytes.length : end);
    at = end < 0 ? bytes.length : end + 1;
    const record = parse(line);
    const source = found.get(record?.source as SourceName);
    const text = record?.message ?? (record?.data === undefined ? undefined : JSON.stringify(record.data));
    if (source === undefined || text === undefined) strangers++;
    else {
      const content = Buffer.from(text);
      source.tally.addLine(content, 0, content.length);
      source.sum = contentSum(source.sum, content);
    }
  }
  return strangers;
}

function parse(line: string): { source?: string; message?: string; data?: unknown } | undefined {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function judge(found: Map<SourceName, Found>, strangers: number, written: Progress): Pick<Count, "records" | "lost" | "repeated" | "altered"> {
  let [records, lost, repeated, altered] = [strangers, 0, 0, strangers];
  for (const [name, { tally, sum }] of found) {
    const verdict = tally.verdict(written.lines[name]);
    records += verdict.lines;
    lost += verdict.missing;
    repeated += verdict.repeated;
    altered += verdict.foreign;
    // Numbers that all fit and a sum that does not: at least one line arrived with another text.
    const fits = verdict.missing + verdict.repeated + verdict.foreign === 0;
    if (fits && sum !== written.sums[name]) altered++;
  }
  return { records, lost, repeated, altered };
}
