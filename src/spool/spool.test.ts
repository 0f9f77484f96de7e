/** The spool over a real folder: what is appended is there again, in order, after a close, a crash, a torn end and a rotten byte. */
import { afterEach, expect, test } from "bun:test";
import { appendFile, cp, mkdtemp, open, readdir, rm, stat, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { createBoard } from "../core/board.ts";
import type { Frames, Piece, PositionDelta, Stream } from "../core/contract.ts";
import { systemDoors } from "../core/doors.ts";
import { silent } from "../core/log.ts";
import { createMeter } from "../core/meter.ts";
import * as v from "valibot";
import { spoolSchema } from "./config.ts";
import { readPositions, readRecords, verifySpool } from "./inspect.ts";
import { encodeBlock } from "./format.ts";
import { openSpool, type Spool } from "./spool.ts";

const made: string[] = [];
const spools: Spool[] = [];
afterEach(async () => {
  for (const spool of spools.splice(0)) await spool.close().catch(() => {});
  for (const dir of made.splice(0)) await rm(dir, { recursive: true, force: true });
});

async function folder(): Promise<string> {
  const dir = await mkdtemp(`${tmpdir()}/spool-`);
  made.push(dir);
  return dir;
}

const board = createBoard(silent, () => 0);

async function openIn(dir: string, options: Record<string, unknown> = {}, machineId = "m1"): Promise<Spool> {
  const spool = await openSpool({
    config: v.parse(spoolSchema, { dir, commit_interval: "5ms", min_free_bytes: 0, ...options }),
    doors: systemDoors,
    board,
    log: silent,
    meter: createMeter(),
    writer: "0.0.0-test",
    machineId,
    sinks: ["lake"],
    kill: new AbortController().signal,
  });
  spools.push(spool);
  return spool;
}

async function closed(spool: Spool): Promise<void> {
  spools.splice(spools.indexOf(spool), 1);
  await spool.close();
}

/** Appends records as an encoder does: straight into the open frames. */
function put(spool: Spool, records: string[], delta?: PositionDelta, stream: Stream = {}, timeMs = 1_000_000): Promise<void> {
  const write = (frames: Frames): void => {
    for (const record of records) {
      const bytes = Buffer.from(`${record}\n`);
      const frame = frames(JSON.stringify(stream), stream, timeMs, bytes.byteLength);
      frame.bytes.set(bytes, frame.length);
      frame.length += bytes.byteLength;
      frame.records++;
      frame.minMs = Math.min(frame.minMs, timeMs);
      frame.maxMs = Math.max(frame.maxMs, timeMs);
    }
  };
  return spool.append(write, "s", delta);
}

const line = (n: number): string => JSON.stringify({ source: "s", n });
const lines = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => line(from + i));

async function read(spool: Spool, from = 0): Promise<string[]> {
  const found: string[] = [];
  for (let at = from; at < spool.reader.nextSequence();) {
    for (const piece of await spool.reader.pieces(at, 10)) {
      at = await readPiece(spool, piece, found);
    }
  }
  return found;
}

async function readPiece(spool: Spool, piece: Piece, found: string[]): Promise<number> {
  if ("lost" in piece) {
    found.push(`lost ${piece.lost.records}`);
    return piece.lost.firstSequence + piece.lost.records;
  }
  const { frame } = piece;
  try {
    const raw = Buffer.from(await systemDoors.compress.unzstd(await spool.reader.payload(frame))).toString("utf8");
    found.push(...raw.trimEnd().split("\n"));
  } catch (cause) {
    found.push(`corrupt ${(cause as { code: string }).code}`);
  }
  return frame.firstSequence + frame.records;
}

async function segmentFiles(dir: string): Promise<string[]> {
  return (await readdir(`${dir}/segments`)).toSorted().map((name) => `${dir}/segments/${name}`);
}

async function flip(path: string, at: number): Promise<void> {
  await using file = await open(path, "r+");
  const byte = new Uint8Array(1);
  await file.read(byte, 0, 1, at);
  byte[0] = (byte[0] ?? 0) ^ 0xff;
  await file.write(byte, 0, 1, at);
}

test("what was appended is read back in order, also after closing and opening", async () => {
  const dir = await folder();
  const first = await openIn(dir);
  await put(first, lines(0, 100), { f: 100 });
  await put(first, lines(100, 200), { f: 200 });
  expect(await read(first)).toEqual(lines(0, 200));
  const { id, epoch } = first.reader;
  await closed(first);
  const second = await openIn(dir);
  expect(await read(second)).toEqual(lines(0, 200));
  expect(second.positions("s").get("f")).toBe(200);
  expect(second.reader.id).toBe(id);
  expect(second.reader.epoch).not.toBe(epoch);
  await put(second, lines(200, 210), { f: 210, old: null });
  expect(await read(second, 195)).toContain(line(209));
});

test("a copy taken without closing (as a kill leaves it) holds everything that was acknowledged, positions included", async () => {
  const dir = await folder();
  const spool = await openIn(dir);
  for (let i = 0; i < 20; i++) await put(spool, lines(i * 10, i * 10 + 10), { f: i * 10 + 10 });
  const copy = `${await folder()}/copy`;
  await cp(dir, copy, { recursive: true });
  const again = await openIn(copy);
  expect(await read(again)).toEqual(lines(0, 200));
  expect(again.positions("s").get("f")).toBe(200);
});

test("the segment is a valid zstd file: zstd -dc prints its records", async () => {
  const dir = await folder();
  const spool = await openIn(dir);
  await put(spool, lines(0, 50));
  await put(spool, lines(50, 60));
  await closed(spool);
  const [path = ""] = await segmentFiles(dir);
  const printed = Bun.spawnSync(["zstd", "-dc", path]).stdout.toString();
  expect(printed.trimEnd().split("\n")).toEqual(lines(0, 60));
});

test("a torn end is cut at every byte: a group is there whole or not at all", async () => {
  const dir = await folder();
  const spool = await openIn(dir);
  await put(spool, lines(0, 5), { f: 5 });
  const [path = ""] = await segmentFiles(dir);
  const kept = (await stat(path)).size;
  await put(spool, lines(5, 9), { f: 9 });
  const whole = (await stat(path)).size;
  const sealBytes = encodeBlock({ kind: "seal", group: 2, delta: { s: { f: 9 } } }).byteLength;
  for (let size = kept; size < whole; size += 7) {
    const copy = `${await folder()}/copy`;
    await cp(dir, copy, { recursive: true });
    await truncate((await segmentFiles(copy))[0] ?? "", size);
    const again = await openIn(copy);
    const records = await read(again);
    const position = again.positions("s").get("f");
    // Without its seal the group is still whole.
    expect([size, records.length, position]).toEqual(size >= whole - sealBytes ? [size, 9, 9] : [size, 5, 5]);
    await put(again, ["{}"]);
    expect((await read(again)).length).toBe(records.length + 1);
    await closed(again);
  }
});

test("a rotten byte anywhere costs one frame or one block, never the start, and verify names the segment", async () => {
  const dir = await folder();
  const spool = await openIn(dir);
  for (let i = 0; i < 6; i++) await put(spool, lines(i * 10, i * 10 + 10), { f: i * 10 + 10 });
  await closed(spool);
  const [path = ""] = await segmentFiles(dir);
  const size = (await stat(path)).size;
  for (let at = 0; at < size - 24; at += 41) {
    const copy = `${await folder()}/copy`;
    await cp(dir, copy, { recursive: true });
    await flip((await segmentFiles(copy))[0] ?? "", at);
    const damage = await Array.fromAsync(verifySpool(systemDoors.disk, copy));
    expect(damage.map(({ file }) => file)).toContain("0000000000000001.zst");
    const again = await openIn(copy);
    const records = (await read(again)).filter((record) => record.startsWith("{"));
    expect([at, records.length]).toEqual([at, records.length >= 50 ? records.length : -1]);
    expect(again.positions("s").get("f")).toBe(60);
    await closed(again);
  }
});

test("many streams at once are mixed, few are kept apart", async () => {
  const dir = await folder();
  const spool = await openIn(dir);
  const all: Promise<void>[] = [];
  for (let i = 0; i < 100; i++) all.push(put(spool, [line(i)], undefined, { labels: { app: String(i) } }));
  await Promise.all(all);
  const mixed = await spool.reader.pieces(0, 1000);
  expect(mixed.length).toBeLessThan(5);
  expect((await read(spool)).length).toBe(100);
  const start = spool.reader.nextSequence();
  await Promise.all([put(spool, [line(1)], undefined, { source: "a" }), put(spool, [line(2)], undefined, { source: "b" })]);
  const apart = await spool.reader.pieces(start, 10);
  expect(apart.map((piece) => ("frame" in piece ? [piece.frame.mixed, piece.frame.stream] : []))).toEqual([
    [false, { source: "a" }],
    [false, { source: "b" }],
  ]);
});

test("a frame never spans a quarter hour of record time", async () => {
  const spool = await openIn(await folder());
  await Promise.all([put(spool, [line(0)], undefined, {}, 899_999), put(spool, [line(1)], undefined, {}, 900_000)]);
  expect((await spool.reader.pieces(0, 10)).length).toBe(2);
});

test("a full spool waits, and goes on by itself when a sink made room", async () => {
  const dir = await folder();
  const spool = await openIn(dir, { max_bytes: "8MiB", segment_bytes: "1MiB" });
  spool.reader.claim("lake", 0);
  const noise = (): string => JSON.stringify({ x: Buffer.from(systemDoors.random.bytes(300_000)).toString("hex") });
  let durable = 0;
  const all = Array.from({ length: 40 }, () => put(spool, [noise()]).then(() => durable++));
  while (spool.status().paused !== "full") await Bun.sleep(5);
  expect(spool.accepting()).toBe(false);
  expect(durable).toBeLessThan(40);
  const held = spool.status().bytes;
  expect(held).toBeLessThanOrEqual(8 * 2 ** 20);
  while (durable < 40) {
    spool.reader.claim("lake", spool.reader.nextSequence());
    await Bun.sleep(5);
  }
  await Promise.all(all);
  expect(spool.reader.firstSequence()).toBeGreaterThan(0);
  expect(spool.status().paused).toBe("");
});

test("delivered segments go only behind a checkpoint; sequences and positions outlive all segments", async () => {
  const dir = await folder();
  const spool = await openIn(dir);
  await put(spool, lines(0, 30), { f: 30 });
  spool.reader.claim("lake", 30);
  await closed(spool);
  expect(await segmentFiles(dir)).toEqual([]);
  expect(await readPositions(systemDoors.disk, dir)).toEqual({ s: { f: 30 } });
  const again = await openIn(dir);
  expect(again.reader.nextSequence()).toBe(30);
  expect(again.positions("s").get("f")).toBe(30);
  await put(again, lines(30, 31));
  expect(await read(again, 30)).toEqual(lines(30, 31));
});

test("a second instance is refused, and the first keeps the lock", async () => {
  const dir = await folder();
  await openIn(dir);
  const script = `import { takeLock } from "${import.meta.dir}/lock.ts"; try { takeLock(process.argv[1] + "/lock"); } catch (fault) { console.log(fault.code); }`;
  expect(Bun.spawnSync([process.execPath, "-e", script, dir]).stdout.toString().trim()).toBe("spool_locked");
});

test("a spool copied to another machine gets a new id; a lost spool.json finds the old one", async () => {
  const dir = await folder();
  const spool = await openIn(dir);
  const { id } = spool.reader;
  await put(spool, lines(0, 1));
  await closed(spool);
  await rm(`${dir}/spool.json`);
  const found = await openIn(dir);
  expect(found.reader.id).toBe(id);
  await closed(found);
  expect((await openIn(dir, {}, "m2")).reader.id).not.toBe(id);
});

test("records are read from outside while the spool is in use, by sequence and by source", async () => {
  const dir = await folder();
  const spool = await openIn(dir);
  await put(spool, [...lines(0, 10), JSON.stringify({ source: "other", message: '"source":"s"' })]);
  const all = await Array.fromAsync(readRecords(systemDoors.disk, dir, { from: 3, to: 5 }));
  expect(all.map((record) => Buffer.from(record).toString("utf8").trim())).toEqual(lines(3, 6));
  const other = await Array.fromAsync(readRecords(systemDoors.disk, dir, { source: "other" }));
  expect(other.length).toBe(1);
  expect((await Array.fromAsync(readRecords(systemDoors.disk, dir, { source: "s" }))).length).toBe(10);
});

test("a foreign file among the segments is left alone", async () => {
  const dir = await folder();
  const spool = await openIn(dir);
  await put(spool, lines(0, 2));
  await closed(spool);
  await appendFile(`${dir}/segments/notes.txt`, "mine");
  const again = await openIn(dir);
  expect(await read(again)).toEqual(lines(0, 2));
  expect(await readdir(`${dir}/segments`)).toContain("notes.txt");
});
