/**
 * Writes a corpus to a file: `bun bench/corpus/generate.ts --kind access --bytes 1GB --seed 1 --out FILE`.
 * The last line is whole, so the file is a little larger than asked. With `--ratio` it says how `zstd -1` does on it.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { parseArgs } from "node:util";
import { parseSize } from "../../src/core/values.ts";
import { isKindName, kindNames, kinds, type KindName } from "./kind.ts";
import { lineBytesMax } from "./line.ts";
import { Random } from "./random.ts";
import { Text } from "./text.ts";

export interface Corpus {
  readonly kind: KindName;
  readonly lines: number;
  readonly bytes: number;
}

const writeBytes = 4 * 1024 * 1024;

/** Replaces `path` by at least `bytesMin` bytes of whole lines. */
export function generate(kind: KindName, bytesMin: number, seed: number, path: string): Corpus {
  const line = kinds[kind].create(new Random(seed));
  const text = new Text(writeBytes + lineBytesMax);
  const fd = openSync(path, "w");
  let lines = 0;
  let bytes = 0;
  const write = (): void => {
    for (let at = 0; at < text.length;) at += writeSync(fd, text.bytes, at, text.length - at);
    bytes += text.length;
    text.clear();
  };
  try {
    while (bytes + text.length < bytesMin) {
      line(text, lines++);
      if (text.length >= writeBytes) write();
    }
    write();
  } finally {
    closeSync(fd);
  }
  return { kind, lines, bytes };
}

/** Raw bytes divided by what `zstd -1` makes of them; undefined where there is no `zstd`. */
async function zstdRatio(path: string, bytes: number): Promise<number | undefined> {
  if (Bun.which("zstd") === null) return undefined;
  const zstd = Bun.spawn(["zstd", "-1", "--single-thread", "-q", "-c", path], { stdout: "pipe", stderr: "inherit" });
  let compressed = 0;
  for await (const part of zstd.stdout) compressed += part.byteLength;
  return (await zstd.exited) === 0 ? bytes / compressed : undefined;
}

if (import.meta.main) {
  const options = {
    kind: { type: "string" },
    bytes: { type: "string" },
    seed: { type: "string" },
    out: { type: "string" },
    ratio: { type: "boolean" },
  } as const;
  const { values } = parseArgs({ options });
  const bytes = parseSize(values.bytes ?? "");
  if (values.kind === undefined || !isKindName(values.kind) || bytes === undefined || values.out === undefined) {
    console.error(`usage: bun bench/corpus/generate.ts --kind ${kindNames.join("|")} --bytes SIZE [--seed NUMBER] --out FILE [--ratio]`);
    process.exit(2);
  }
  const corpus = generate(values.kind, bytes, Number(values.seed ?? 1), values.out);
  const ratio = values.ratio === true ? await zstdRatio(values.out, corpus.bytes) : undefined;
  console.log(
    JSON.stringify({
      ...corpus,
      line_bytes: Math.round(corpus.bytes / corpus.lines),
      ...(ratio === undefined ? {} : { zstd_ratio: Number(ratio.toFixed(2)) }),
    }),
  );
}
