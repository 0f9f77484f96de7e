import { expect, test } from "bun:test";
import { Audit } from "./audit.ts";
import type { Query } from "./query.ts";
import type { Seen } from "./seen.ts";
import { bucketSeconds, bucketStart } from "./time.ts";

const kill = new AbortController().signal;

function world(server: Record<number, number>, held: Record<number, number>) {
  const counts = (): Promise<Map<number, number>> =>
    Promise.resolve(new Map(Object.entries(server).map(([bucket, count]) => [Number(bucket) * bucketSeconds, count])));
  const audit = new Audit({ counts } as unknown as Query, { count: (bucket: number) => held[bucket] ?? 0 } as unknown as Seen);
  const read: [bigint, bigint][] = [];
  const compare = (from: number, to: number, step = 1) =>
    audit.compare(from, to, step, (start, end) => Promise.resolve(void read.push([start, end])), kill);
  return { audit, read, compare };
}

test("reads stretches that differ, neighbours as one, and nothing else", async () => {
  const { read, compare } = world({ 10: 5, 11: 5, 12: 5, 14: 2 }, { 10: 5, 11: 4, 14: 3 });
  expect(await compare(10, 16)).toEqual([
    { bucket: 11, server: 5, held: 4 },
    { bucket: 12, server: 5, held: 0 },
  ]);
  expect(read).toEqual([
    [bucketStart(11), bucketStart(13)],
    [bucketStart(14), bucketStart(15)],
  ]);
});

test("a difference that reading did not change is not read again, until a number changes", async () => {
  const server: Record<number, number> = { 10: 5 };
  const { read, compare } = world(server, { 10: 4 });
  await compare(10, 11);
  await compare(10, 11);
  expect(read.length).toBe(1);
  server[10] = 6;
  await compare(10, 11);
  expect(read.length).toBe(2);
});

test("steps of a minute sum the buckets held, and are kept apart from buckets", async () => {
  const { audit, read, compare } = world({ 12: 6 }, { 12: 1, 13: 2, 17: 3 });
  expect(await compare(12, 18, 6)).toEqual([]);
  expect(audit.stretches).toEqual([{ bucket: 12, server: 6, held: 6 }]);
  expect(read).toEqual([]);
});

test("nothing to compare is not asked for", async () => {
  const audit = new Audit({ counts: () => Promise.reject(new Error("asked")) } as unknown as Query, {} as Seen);
  expect(await audit.compare(5, 5, 1, () => Promise.resolve(), kill)).toEqual([]);
});
