/** The demo's verdict is only worth something if it sees a line that is lost, repeated or altered. */
import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { kinds } from "../../bench/corpus/kind.ts";
import { Random } from "../../bench/corpus/random.ts";
import { Text } from "../../bench/corpus/text.ts";
import { contentSum } from "./content.ts";
import { countFolder, type Count } from "./count.ts";
import type { Progress } from "./generator.ts";
import { files, sourceNames, type SourceName } from "./layout.ts";

const lineCount = 50;

function record(name: SourceName, line: string): string {
  // As text and as an object: both count alike.
  return JSON.stringify({ source: name, ...(files[name].kind === "json" && line.length % 2 === 0 ? { data: JSON.parse(line) } : { message: line }) });
}

function written(): { lines: Record<SourceName, string[]>; progress: Progress } {
  const lines = {} as Record<SourceName, string[]>;
  const progress = { lines: {} as Record<SourceName, number>, sums: {} as Record<SourceName, number>, bytes: 0, rotations: 0 };
  for (const name of sourceNames) {
    const text = new Text(lineCount * 4096);
    const line = kinds[files[name].kind].create(new Random(5));
    for (let sequence = 0; sequence < lineCount; sequence++) line(text, sequence);
    lines[name] = text.taken().toString().trimEnd().split("\n");
    progress.lines[name] = lineCount;
    progress.sums[name] = lines[name].reduce((sum, one) => contentSum(sum, one), 0);
  }
  return { lines, progress };
}

/** Counts a folder of two objects after `change` had its way with the records. */
async function counted(change: (records: string[]) => string[]): Promise<Count> {
  const folder = mkdtempSync(join(tmpdir(), "logferry-count-"));
  try {
    const { lines, progress } = written();
    const records = change(sourceNames.flatMap((name) => lines[name].map((line) => record(name, line))));
    mkdirSync(join(folder, "source=a"));
    const parts = [records.slice(0, 70), records.slice(70)];
    // Two frames in one object, as logferry writes them.
    const frames = parts.map((part) => Bun.zstdCompressSync(Buffer.from(part.map((one) => `${one}\n`).join(""))));
    writeFileSync(join(folder, "source=a", "1.ndjson.zst"), Buffer.concat(frames));
    return await countFolder(folder, progress);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test("all lines in any order are complete", async () => {
  expect(await counted((records) => records.toReversed())).toMatchObject({ objects: 1, records: 150, lost: 0, repeated: 0, altered: 0 });
});

test("a lost line, a repeated one and one of nobody are counted", async () => {
  const found = await counted((records) => [...records.slice(1), records[10]!, '{"source":"nginx"}', "no json"]);
  expect(found).toMatchObject({ records: 152, lost: 1, repeated: 1, altered: 2 });
});

test("a line with its number intact and another text is altered", async () => {
  const found = await counted((records) => records.map((one, index) => (index === 3 ? one.replace("HTTP", "http") : one)));
  expect(found).toMatchObject({ records: 150, lost: 0, repeated: 0, altered: 1 });
});
