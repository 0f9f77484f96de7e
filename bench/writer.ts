/**
 * Appends log lines at a steady pace: `bun bench/writer.ts KIND BYTES_PER_SECOND SECONDS FILE`, a process of its own. At the end
 * it prints `Written` as JSON: how many lines there are, and when each handful of them was there.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { isKindName, kinds } from "./corpus/kind.ts";
import { lineBytesMax } from "./corpus/line.ts";
import { Random } from "./corpus/random.ts";
import { Text } from "./corpus/text.ts";

export interface Written {
  readonly lines: number;
  readonly bytes: number;
  /** Wall milliseconds and the lines that were in the file by then. */
  readonly marks: readonly (readonly [ms: number, lines: number])[];
}

const tickMs = 20;

if (import.meta.main) {
  const [kind = "", rate, seconds, path = ""] = process.argv.slice(2);
  if (!isKindName(kind)) throw new Error(`no such kind: ${kind}`);
  const bytesPerMs = Number(rate) / 1000;
  const line = kinds[kind].create(new Random(1), Date.now);
  const text = new Text(Math.ceil(bytesPerMs * 1000) + lineBytesMax);
  const fd = openSync(path, "a");
  const marks: [number, number][] = [];
  let [lines, bytes] = [0, 0];
  const began = performance.now();
  for (let passed = 0; passed < Number(seconds) * 1000;) {
    await Bun.sleep(tickMs);
    passed = performance.now() - began;
    while (bytes + text.length < passed * bytesPerMs && text.length < bytesPerMs * 1000) line(text, lines++);
    for (let at = 0; at < text.length;) at += writeSync(fd, text.bytes, at, text.length - at);
    bytes += text.length;
    text.clear();
    marks.push([Date.now(), lines]);
  }
  closeSync(fd);
  const written: Written = { lines, bytes, marks };
  console.log(JSON.stringify(written));
}
