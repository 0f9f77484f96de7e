/** Many batches out of the same frames: the same bytes as one by one, with each frame read once, and memory that is bounded. */
import { expect, test } from "bun:test";
import { MemorySpool } from "../../test/support/spool.ts";
import { at, noise, Rig, records, soon, useRigs } from "../../test/support/rig.ts";
import { systemCompress } from "../core/compress.ts";
import type { Codec, Range } from "../core/contract.ts";
import { encodeBody, measureBody, RecordsGone } from "./encode.ts";
import { pushRange } from "./ranges.ts";
import { keptBody, passOf, recoder, splitBodies } from "./split.ts";

useRigs();

/** `frames` mixed frames of records of `partitions` streams in turn, and the ranges of each stream. */
function mixed(frames: number, partitions: number, each: number): { spool: MemorySpool; ranges: Range[][] } {
  const spool = new MemorySpool();
  const ranges: Range[][] = Array.from({ length: partitions }, () => []);
  for (let frame = 0; frame < frames; frame++) {
    const { firstSequence } = spool.add(
      Array.from({ length: partitions * each }, (_, n) => ({ n: frame * partitions * each + n, text: noise(20) })),
      { mixed: true },
    );
    for (let n = 0; n < partitions * each; n++) pushRange(ranges[n % partitions] ?? [], firstSequence + n, firstSequence + n);
  }
  return { spool, ranges };
}

/** As the planner has them; how long they are it may not know to the byte. */
const draftsOf = (ranges: readonly Range[][]) => ranges.map((each) => ({ ranges: each, rawBytes: 1000 }));

for (const codec of ["zstd", "gzip", "none"] satisfies Codec[]) {
  test(`${codec}: the bodies are those made one by one, from as many reads as there are frames`, async () => {
    const { spool, ranges } = mixed(5, 7, 30);
    const bodies = await splitBodies(draftsOf(ranges), codec, { reader: spool, compress: systemCompress, keepBytesMax: 1e9 });
    expect(spool.reads).toBe(5);
    for (const [i, { parts, ...sums }] of bodies.entries()) {
      const alone = (): AsyncGenerator<Uint8Array> => encodeBody({ ranges: ranges[i] ?? [], codec, encoder: recoder }, spool, systemCompress);
      expect(sums).toEqual(await measureBody(alone()));
      expect(Buffer.concat(await Array.fromAsync(keptBody(parts ?? [], "recode/1")))).toEqual(Buffer.concat(await Array.fromAsync(alone())));
    }
  });
}

test("no more is kept than may be; what is not kept is measured all the same", async () => {
  const { spool, ranges } = mixed(3, 10, 50);
  const options = { reader: spool, compress: systemCompress };
  const all = await splitBodies(draftsOf(ranges), "zstd", { ...options, keepBytesMax: 1e9 });
  const bytes = all.reduce((sum, body) => sum + body.bytes, 0);
  const some = await splitBodies(draftsOf(ranges), "zstd", { ...options, keepBytesMax: bytes / 2 });
  const kept = some.filter(({ parts }) => parts !== undefined);
  expect(kept.length).toBeGreaterThan(3);
  expect(kept.reduce((sum, body) => sum + body.bytes, 0)).toBeLessThanOrEqual(bytes / 2);
  expect(some.map(({ digest }) => digest)).toEqual(all.map(({ digest }) => digest));
});

test("a damaged frame is told; then each batch is made alone", async () => {
  const { spool, ranges } = mixed(2, 3, 10);
  const [frame] = spool.frames();
  if (frame !== undefined) spool.damage(frame);
  const split = splitBodies(draftsOf(ranges), "zstd", { reader: spool, compress: systemCompress, keepBytesMax: 1e9 });
  expect(await split.catch((cause: unknown) => cause)).toBeInstanceOf(RecordsGone);
});

test("a pass takes as many as gather and come to what may wait in memory, and one that is larger alone", () => {
  const drafts = [10, 20, 30, 100, 5].map((rawBytes) => ({ rawBytes, bodyBytes: rawBytes / 5 }));
  const limits = { gatherBytesMax: 60, bodyBytesMax: 1000 };
  expect(passOf(drafts, limits)).toEqual(drafts.slice(0, 3));
  expect(passOf(drafts.slice(3), limits)).toEqual(drafts.slice(3, 4));
  expect(passOf(drafts, { gatherBytesMax: 1000, bodyBytesMax: 1000 })).toEqual(drafts);
  expect(passOf(drafts, { gatherBytesMax: 1000, bodyBytesMax: 6 })).toEqual(drafts.slice(0, 2));
});

test("bodies that are not kept would be made twice: passes are small enough to keep them all", async () => {
  const rig = new Rig({ partition: { template: "app={labels.app}", zone: "UTC" }, bytesMax: 2 ** 30, ageMsMax: 60_000 });
  const own = { timestamp: "2026-11-23T01:30:20Z", host: "h", source: "s" };
  const apps = Array.from("abcdefghij");
  const frames = 10;
  for (let frame = 0; frame < frames; frame++) {
    const of = (app: string, i: number): object[] =>
      Array.from({ length: 25 }, (_, n) => ({ n: (frame * apps.length + i) * 25 + n, ...own, labels: { app }, text: noise(21_000) }));
    rig.spool.add(apps.flatMap(of), { mixed: true, timeMs: at("01:30:00") });
  }
  await rig.drain();
  expect(rig.all()).toEqual(Array.from({ length: frames * apps.length * 25 }, (_, n) => n));
  // 52 MB of bodies. Once to see whose records they are, once for each of three passes of three bodies, and twice for the last one, which
  // is made alone. With more in a pass half of them would be made alone.
  expect(rig.spool.reads).toBeLessThanOrEqual(frames * 6);
}, 30_000);

test("a sink of hundreds of partitions reads each frame a few times, delivers every record once, and one object for each partition", async () => {
  const rig = new Rig({ partition: { template: "app={labels.app}", zone: "UTC" }, concurrency: 4, bytesMax: 1e6, ageMsMax: 60_000 });
  const apps = 300;
  for (let frame = 0; frame < 8; frame++) {
    rig.spool.add(
      Array.from({ length: apps * 2 }, (_, n) => ({
        timestamp: "2026-11-23T01:30:20Z",
        host: "h",
        source: "s",
        labels: { app: `a${Math.floor(n / 2)}` },
        message: "m",
        n: frame * apps * 2 + n,
      })),
      { mixed: true, timeMs: at("01:30:00") },
    );
  }
  await rig.drain();
  expect(rig.all()).toEqual(Array.from({ length: apps * 16 }, (_, n) => n));
  expect(rig.far.objects.size).toBe(apps);
  // Once to see whose records they are and once to make the bodies; alone it would be 300 times.
  expect(rig.spool.reads).toBeLessThanOrEqual(8 * 3);
}, 30_000);

test("a damaged frame among those that are split costs its own records, once, whoever shared it", async () => {
  const rig = new Rig({ partition: { template: "app={labels.app}", zone: "UTC" }, bytesMax: 1e6, ageMsMax: 60_000 });
  const own = { timestamp: "2026-11-23T01:30:20Z", host: "h", source: "s" };
  const frames = [0, 1, 2].map((frame) =>
    rig.spool.add(
      Array.from({ length: 40 }, (_, n) => ({ ...own, labels: { app: `a${Math.floor(n / 2)}` }, n: frame * 40 + n })),
      { mixed: true, timeMs: at("01:30:00") },
    ),
  );
  const runner = await rig.open();
  await soon(() => rig.spool.reads === 3); // all are seen, none is closed: now one rots
  if (frames[1] !== undefined) rig.spool.damage(frames[1]);
  rig.stop.abort();
  await runner.done;
  await runner[Symbol.asyncDispose]();
  expect(rig.all()).toEqual([...Array.from({ length: 40 }, (_, n) => n), ...Array.from({ length: 40 }, (_, n) => 80 + n)]);
  expect(rig.board.counts()).toEqual({ spool_records_lost: 40 });
  expect(rig.spool.reads).toBeLessThan(12);
});

test("a batch split out is sent again under the same name with the same bytes after a restart", async () => {
  const rig = new Rig({ partition: { template: "app={labels.app}", zone: "UTC" }, concurrency: 2 });
  const own = { timestamp: "2026-11-23T01:30:20Z", host: "h", source: "s" };
  const both = ["a", "b", "c"].flatMap((app) =>
    records(0, 5, { ...own, labels: { app }, app }).map((record, n) => ({ ...record, n: app.charCodeAt(0) * 10 + n })),
  );
  rig.spool.add(both, { mixed: true, timeMs: at("01:30:00") });
  const tried: string[] = [];
  rig.script = (batch) => {
    tried.push(`${batch.name} ${batch.digest}`);
    return new Promise(() => {});
  };
  const runner = await rig.open();
  rig.stop.abort();
  await soon(() => tried.length === 2);
  rig.kill.abort();
  await runner.done;
  await runner[Symbol.asyncDispose]();
  const first = new Set(tried);
  rig.script = (batch) => {
    tried.push(`${batch.name} ${batch.digest}`);
    return undefined;
  };
  await rig.drain();
  for (const each of first) expect(tried.filter((name) => name === each).length).toBeGreaterThan(1);
  expect(rig.all().length).toBe(15);
});
