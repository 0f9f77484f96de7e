/**
 * Counts what arrived: numbered lines `w=NAME n=NUMBER …` in every object below a folder, read with the `zstd` tool and not
 * with our own code. One bit a line, so that hours of lines fit.
 */
import { join } from "node:path";

export interface Tally {
  lines: number;
  bytes: number;
  lost: number;
  repeated: number;
  /** Records that were never written, and objects that are not whole. */
  foreign: number;
  objects: number;
}

/** Objects decompressed by one process: as many names as fit well into its arguments. */
const objectsAtOnce = 200;

/** Compares all `*.ndjson.zst` below `dir` with `written`: lines by NAME. */
export async function tallyOf(dir: string, written: Readonly<Record<string, number>>): Promise<Tally> {
  const seen = new Map(Object.entries(written).map(([name, lines]) => [name, new Uint8Array(lines)]));
  const tally: Tally = { lines: 0, bytes: 0, lost: 0, repeated: 0, foreign: 0, objects: 0 };
  const objects = (await Array.fromAsync(new Bun.Glob("**/*.ndjson.zst").scan({ cwd: dir, onlyFiles: true }))).filter(
    (path) => !/(^|\/)\./.test(path),
  );
  tally.objects = objects.length;
  for (let at = 0; at < objects.length; at += objectsAtOnce) {
    const child = Bun.spawn(["zstd", "-dcq", ...objects.slice(at, at + objectsAtOnce).map((path) => join(dir, path))], {
      stdout: "pipe",
      stderr: "ignore",
    });
    let rest = "";
    const decoder = new TextDecoder();
    for await (const part of child.stdout) {
      tally.bytes += part.byteLength;
      const lines = (rest + decoder.decode(part, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) count(line, seen, tally);
    }
    if ((await child.exited) !== 0 || rest !== "") tally.foreign++;
  }
  for (const bits of seen.values()) for (const bit of bits) if (bit === 0) tally.lost++;
  return tally;
}

function count(line: string, seen: ReadonlyMap<string, Uint8Array>, tally: Tally): void {
  tally.lines++;
  const match = /"message":"w=(\S+) n=(\d+) /.exec(line);
  const bits = seen.get(match?.[1] ?? "");
  const n = Number(match?.[2]);
  if (bits === undefined || !(n < bits.length)) tally.foreign++;
  else if (bits[n] === 0) bits[n] = 1;
  else tally.repeated++;
}
