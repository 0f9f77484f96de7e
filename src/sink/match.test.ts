/** Objects and the spool's records: which are found in which, also where either lacks some. */
import { expect, test } from "bun:test";
import { zstdCompressSync } from "bun";
import { gzipSync } from "node:zlib";
import * as fc from "fast-check";
import { MemorySpool } from "../../test/support/spool.ts";
import { systemCompress } from "../core/compress.ts";
import type { Codec } from "../core/contract.ts";
import { BodyDamaged, expand, LineHashes } from "./expand.ts";
import { match, SpoolHashes, type Matched } from "./match.ts";
import { pushRange } from "./ranges.ts";

const seed = 17n;
const record = (n: number): { n: number } => ({ n });
const lineOf = (n: number): string => `${JSON.stringify(record(n))}\n`;

async function* cut(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  const part = new Uint8Array(size);
  for (let at = 0; at < bytes.length; at += size) {
    part.set(bytes.subarray(at, at + size));
    yield part.subarray(0, Math.min(size, bytes.length - at));
  }
}

async function hashesOf(body: Uint8Array, codec: Codec, size = 7): Promise<BigUint64Array> {
  const lines = new LineHashes(seed);
  for await (const piece of expand(cut(body, size), codec, systemCompress)) lines.add(piece);
  return lines.finish();
}

/** Frames of `perFrame` records up to `next`; those below `from` are dropped. */
function spoolOf(next: number, perFrame: number, from = 0): MemorySpool {
  const spool = new MemorySpool();
  for (let n = 0; n < next; n += perFrame) spool.add(Array.from({ length: Math.min(perFrame, next - n) }, (_, i) => record(n + i)));
  if (from > 0) spool.drop(from);
  return spool;
}

async function find(spool: MemorySpool, held: readonly number[], first = held[0] ?? 0, last = held.at(-1) ?? 0): Promise<Matched> {
  const lines = await hashesOf(Buffer.from(held.map(lineOf).join("")), "none", 1000);
  return match(lines, first, last, new SpoolHashes(spool, systemCompress, seed), { from: spool.firstSequence(), next: spool.nextSequence() });
}

test("bodies of every codec give the same lines, however they are cut", async () => {
  const texts = [0, 1, 2].map((part) => Array.from({ length: 50 }, (_, n) => lineOf(part * 50 + n)).join(""));
  const plain = await hashesOf(Buffer.from(texts.join("")), "none");
  expect(plain.length).toBe(150);
  const zstd = Buffer.concat(texts.map((text) => zstdCompressSync(Buffer.from(text))));
  const gzip = Buffer.concat(texts.map((text) => gzipSync(text)));
  for (const size of [1, 13, 100_000]) {
    expect(await hashesOf(zstd, "zstd", size)).toEqual(plain);
    expect(await hashesOf(gzip, "gzip", size)).toEqual(plain);
  }
});

test("a body that is torn, damaged or something else is said to be so", async () => {
  const zstd = zstdCompressSync(Buffer.from(lineOf(1)));
  const bad: [Uint8Array, Codec][] = [
    [zstd.subarray(0, -2), "zstd"],
    [Buffer.from("something else"), "zstd"],
    [gzipSync("x\n").subarray(0, -3), "gzip"],
    [Buffer.from("no end"), "none"],
  ];
  for (const [body, codec] of bad) await expect(hashesOf(body, codec)).rejects.toThrow(BodyDamaged);
});

test("records of any partition are found, forward and from the middle of the spool on", async () => {
  const cases = fc.record({
    next: fc.integer({ min: 1, max: 200 }),
    perFrame: fc.integer({ min: 1, max: 30 }),
    fromFrame: fc.integer({ min: 0, max: 5 }),
    pick: fc.array(fc.boolean(), { minLength: 200, maxLength: 200 }),
  });
  await fc.assert(
    fc.asyncProperty(cases, async ({ next, perFrame, fromFrame, pick }) => {
      const spool = spoolOf(next, perFrame, Math.min(fromFrame * perFrame, Math.floor((next - 1) / perFrame) * perFrame));
      const held = Array.from({ length: next }, (_, n) => n).filter((n) => pick[n]);
      if (held.length === 0) return;
      const { ranges, records, foreign } = await find(spool, held);
      const there = held.filter((n) => n >= spool.firstSequence());
      const expected: [number, number][] = [];
      for (const n of there) pushRange(expected, n, n);
      expect({ ranges, records, foreign }).toEqual({ ranges: expected, records: there.length, foreign: 0 });
    }),
  );
});

test("what damage took from the spool lets as many lines pass, and no more", async () => {
  for (const from of [0, 10]) {
    const spool = spoolOf(100, 10);
    spool.damage(spool.frames()[4]!);
    if (from > 0) spool.drop(from);
    const held = Array.from({ length: 100 }, (_, n) => n).filter((n) => n % 3 !== 1);
    const { records, foreign } = await find(spool, held);
    expect({ records, foreign }).toEqual({ records: held.filter((n) => n >= from && (n < 40 || n >= 50)).length, foreign: 0 });
  }
});

test("another history under the same sequences: only what both have is found", async () => {
  const spool = spoolOf(100, 10);
  expect(await find(spool, [0, 1, 2, 1003, 1004], 0, 4)).toEqual({ ranges: [[0, 2]], records: 3, foreign: 2 });
  expect(await find(spool, [1000, 1001], 98, 120)).toEqual({ ranges: [], records: 0, foreign: 2 });
});
