/**
 * What a group is made of, by seed: every record once, in the frame of its stream, in the order in which it came; and what mixed
 * frames say they hold is what they hold.
 */
import { expect, test } from "bun:test";
import { Seeded } from "../../test/sim/random.ts";
import { systemCompress, type Compress } from "../core/compress.ts";
import { ContentsReader } from "../core/contents.ts";
import type { Stream } from "../core/contract.ts";
import { frameBytes, quarterMs } from "../core/limits.ts";
import { FrameBuffers } from "./buffers.ts";
import { Gather, type Gathered } from "./gather.ts";

interface Written {
  readonly stream: Stream;
  readonly quarter: number;
  readonly file: number;
  /** Counts on in its file. */
  readonly n: number;
}

/** Payloads are the frames themselves, and buffers are used again as soon as they may be. */
const plain: Compress = { ...systemCompress, zstd: (bytes) => Promise.resolve(bytes.slice()) };

/** Writes `records` as an encoder does: the frame asked for last is written to, and then another is asked for. */
function write(gather: Gather, { stream, quarter, file, n }: Written, pad: number): void {
  const timeMs = quarter * quarterMs + 1;
  const bytes = Buffer.from(`${JSON.stringify({ stream, quarter, file, n, pad: "x".repeat(pad) })}\n`);
  const frame = gather.frames(JSON.stringify(stream), stream, timeMs, bytes.byteLength);
  frame.bytes.set(bytes, frame.length);
  frame.length += bytes.byteLength;
  frame.records++;
  frame.minMs = Math.min(frame.minMs, timeMs);
  frame.maxMs = Math.max(frame.maxMs, timeMs);
}

/** Records of `streams` streams of some files each, in groups of any size: what was written, and what came out. */
async function life(seed: number, streams: number, records: number): Promise<{ written: Written[]; groups: Gathered[] }> {
  const random = new Seeded(seed);
  const gather = new Gather(plain, 1, new FrameBuffers());
  const written: Written[] = [];
  const groups: Gathered[] = [];
  const many = random.chance(0.5);
  const counts = new Map<number, number>();
  for (let i = 0; i < records; i++) {
    const app = random.below(streams);
    const file = random.below(5);
    const n = counts.get(file) ?? 0;
    counts.set(file, n + 1);
    const stream: Stream = { ...(many ? { from: `in-${app % 2}` } : {}), labels: { app: `a${(app * 7919) % streams}` } };
    const record = { stream, quarter: 1000 + Number(random.chance(0.1)), file, n };
    // Of thousands of streams a group holds all only when records are small.
    const large = streams < 1000 && random.chance(0.11);
    const pad = !large ? random.below(300) : random.below(random.chance(0.1) ? frameBytes * 1.1 : 20_000);
    write(gather, record, pad);
    written.push(record);
    gather.add("in", undefined, { resolve() {}, reject() {} }, 0);
    if (random.chance(5 / streams / 20) || gather.rawBytes() > 6 * 2 ** 20) groups.push(gather.take());
  }
  groups.push(gather.take());
  return { written, groups };
}

async function recordsOf(frame: Gathered["frames"][number]): Promise<Written[]> {
  const lines = Buffer.from(await frame.payload)
    .toString()
    .split("\n");
  expect(lines.pop()).toBe("");
  expect(lines).toHaveLength(frame.records);
  return lines.map((line) => {
    const { stream, quarter, file, n } = JSON.parse(line) as Written;
    return { stream, quarter, file, n };
  });
}

const reader = new ContentsReader();

/** The frame says what it is; a mixed one with contents says which records are whose. Whether it had some. */
function expectHonest(frame: Gathered["frames"][number], records: readonly Written[]): boolean {
  for (const { stream, quarter } of records) {
    expect(quarter).toBe(Math.floor(frame.minMs / quarterMs));
    if (frame.mixed) expect(stream.from).toBe(frame.stream.from as string);
    else expect(stream).toEqual(frame.stream);
  }
  if (frame.contents === undefined) return false;
  const runs = reader.read(frame.contents, frame.records, frame.rawBytes);
  expect(runs?.flatMap(({ stream, records: count }) => Array.from({ length: count }, () => stream))).toEqual(records.map(({ stream }) => stream));
  return true;
}

const ofStream = ({ stream, quarter, file }: Written): string => JSON.stringify([stream, quarter, file]);

for (const [streams, records, seeds] of [
  [3, 300, 20],
  [40, 1000, 20],
  [300, 3000, 6],
  // Some too many to be kept apart, and many too many.
  [5000, 7000, 3],
  [5000, 12_000, 1],
] as const) {
  test(`${records} records of ${streams} streams: each record once, and those of a file in one stream in the order they came (${seeds} seeds)`, async () => {
    let contents = 0;
    for (let seed = 1; seed <= seeds; seed++) {
      const { written, groups } = await life(seed, streams, records);
      const came: Written[] = [];
      for (const { frames } of groups) {
        for (const frame of frames) {
          const held = await recordsOf(frame);
          if (expectHonest(frame, held)) contents++;
          came.push(...held);
        }
      }
      expect(Map.groupBy(came, ofStream)).toEqual(Map.groupBy(written, ofStream));
    }
    // Else what a mixed frame says would not have been looked at; beyond 4,096 streams few frames can say it.
    if (streams >= 40 && streams < 1000) expect(contents).toBeGreaterThan(5);
  }, 60_000);
}
