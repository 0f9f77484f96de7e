/** A minute of the crash harness, and that it can fail; the release build has none of its points. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdir } from "node:fs/promises";
import { executable } from "../support/logferry.ts";
import { runProcess } from "../support/process.ts";
import { scratch, type Scratch } from "../support/scratch.ts";
import { buildWithPoints } from "./build.ts";
import { crash, summary } from "./harness.ts";
import { points } from "./points.ts";
import { tallyOf } from "./tally.ts";

let dir: Scratch;
let withPoints: string;
beforeAll(async () => {
  dir = await scratch();
  withPoints = await buildWithPoints(dir.path);
}, 120_000);
afterAll(() => dir[Symbol.asyncDispose]());

const seconds = 60;

test("a minute of kills at random moments and chosen points: nothing lost, nothing twice, nothing ends by itself", async () => {
  await using own = await scratch();
  const result = await crash({ dir: own, executable: withPoints, seconds, linesPerSecond: 1000 });
  const { line } = summary(result, seconds);
  process.stderr.write(`crash: ${line}\n`);
  expect(result.broken).toEqual([]);
  for (const [name, { lost, repeated, foreign, lines }] of Object.entries(result.places))
    expect({ name, lost, repeated, foreign, lines }).toEqual({ name, lost: 0, repeated: 0, foreign: 0, lines: result.lines });
  expect(result.lines).toBeGreaterThan(10_000);
  expect(Math.min(result.kills.edge, result.kills.central)).toBeGreaterThan(5);
  expect(Object.keys(result.kills.points).length).toBeGreaterThan(5);
}, 280_000);

test("the release build has no crash points, the one of this test has", async () => {
  const marks = ["LOGFERRY_CRASH_AT", "LOGFERRY_SYNC", "LOGFERRY_QUOTA", "crash point ", ...points.filter((point) => point.endsWith("_torn"))];
  const found = async (path: string): Promise<string[]> => {
    const bytes = Buffer.from(await Bun.file(path).arrayBuffer());
    return marks.filter((mark) => bytes.includes(mark));
  };
  expect(await found(executable)).toEqual([]);
  expect(await found(withPoints)).toContain("LOGFERRY_CRASH_AT");
  const die = await runProcess([withPoints, "run", "--config", await configOf()], { env: { LOGFERRY_CRASH_AT: "identity_written:1" } });
  expect({ code: die.code, said: die.stderr.includes("crash point identity_written") }).toEqual({ code: 137, said: true });
  const live = await runProcess([executable, "run", "--once", "--config", await configOf()], { env: { LOGFERRY_CRASH_AT: "identity_written:1" } });
  expect(live.code).toBe(0);
}, 60_000);

async function configOf(): Promise<string> {
  const path = dir.join("once.json");
  const control = { listen: "127.0.0.1:0", socket: dir.join("c.sock") };
  const sinks = { lake: { type: "directory", dir: dir.join("once-lake") } };
  await Bun.write(
    path,
    JSON.stringify({ host: "h", control, spool: { dir: dir.join("once-spool"), min_free_bytes: "1MiB" }, sources: { in: { type: "stdin" } }, sinks }),
  );
  return path;
}

test("the tally counts what is lost, repeated and foreign, and objects that are not whole", async () => {
  const lake = dir.join("tally");
  await mkdir(`${lake}/date=2026-11-23`, { recursive: true });
  const line = (name: string, n: number): string => `${JSON.stringify({ source: "app", message: `w=${name} n=${n} words` })}\n`;
  const write = (path: string, lines: string[]): Promise<number> => Bun.write(`${lake}/${path}`, Bun.zstdCompressSync(lines.join("")));
  await write("date=2026-11-23/a.ndjson.zst", [line("a", 0), line("a", 1), line("a", 1)]);
  await write("b.ndjson.zst", [line("b", 0), line("b", 9), line("c", 0), "nonsense\n"]);
  await write(".hidden.ndjson.zst", [line("a", 2)]);
  expect(await tallyOf(lake, { a: 4, b: 1 })).toMatchObject({ lines: 7, lost: 2, repeated: 1, foreign: 3, objects: 2 });
  const whole = Bun.zstdCompressSync(line("a", 2));
  await Bun.write(`${lake}/torn.ndjson.zst`, whole.subarray(0, whole.byteLength - 4));
  expect((await tallyOf(lake, { a: 4, b: 1 })).foreign).toBeGreaterThan(3);
});
