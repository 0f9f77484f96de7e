/**
 * A spool to be damaged, and what becomes of it: three segments of four groups of ten records, the position of `file` with
 * each group. The real modules on a real disk; the sink `lake` holds everything.
 */
import { open, readdir, readFile } from "node:fs/promises";
import { expect } from "bun:test";
import * as v from "valibot";
import { createBoard, type Board } from "../../src/core/board.ts";
import type { Frames } from "../../src/core/contract.ts";
import type { Disk } from "../../src/core/disk.ts";
import { systemDoors, type Doors } from "../../src/core/doors.ts";
import { Fault } from "../../src/core/fault.ts";
import { silent } from "../../src/core/log.ts";
import { createMeter } from "../../src/core/meter.ts";
import { bounds } from "../../src/spool/bounds.ts";
import { spoolSchema } from "../../src/spool/config.ts";
import { readRecords, verifySpool } from "../../src/spool/inspect.ts";
import { openSpool, type Spool } from "../../src/spool/spool.ts";
import type { Endurance } from "../../src/spool/unreadable.ts";

export const segments = 3;
export const groups = 4;
export const perGroup = 10;
export const perSegment = groups * perGroup;
export const total = segments * perSegment;

export const segment = (dir: string, number: number): string => `${dir}/segments/${String(number).padStart(16, "0")}.zst`;

export interface Opened extends AsyncDisposable {
  readonly spool: Spool;
  readonly board: Board;
}

/** Opens the spool in `dir`; disposing closes it. */
export async function openIn(dir: string, machineId = "m1", doors: Doors = systemDoors, endurance?: Endurance): Promise<Opened> {
  const board = createBoard(silent, Date.now);
  const spool = await openSpool({
    config: v.parse(spoolSchema, { dir, commit_interval: "2ms", min_free_bytes: 0 }),
    doors,
    board,
    log: silent,
    meter: createMeter(),
    writer: "0.0.0-test",
    machineId,
    sinks: ["lake"],
    kill: new AbortController().signal,
    ...(endurance === undefined ? {} : { bounds: { ...bounds, endurance } }),
  });
  return { spool, board, [Symbol.asyncDispose]: () => spool.close() };
}

/** The fault a start ends with. */
export async function refusal(dir: string): Promise<Fault> {
  try {
    await (await openIn(dir)).spool.close();
  } catch (cause) {
    if (cause instanceof Fault) return cause;
    throw cause;
  }
  throw new Error("the spool opened");
}

/** One group of records `n` from `first` on, and the position behind them. */
export function put(spool: Spool, first: number, count: number): Promise<void> {
  const write = (frames: Frames): void => {
    for (let n = first; n < first + count; n++) {
      const bytes = Buffer.from(`${JSON.stringify({ source: "app", n, text: "some words of a log line ".repeat(3) })}\n`);
      const frame = frames("all", {}, 1_000_000, bytes.byteLength);
      frame.bytes.set(bytes, frame.length);
      frame.length += bytes.byteLength;
      frame.records++;
      frame.minMs = Math.min(frame.minMs, 1_000_000);
      frame.maxMs = Math.max(frame.maxMs, 1_000_000);
    }
  };
  return spool.append(write, "app", { file: first + count });
}

/** The whole spool in `dir`, closed in good order. Segments have the numbers 1 to 3. */
export async function makeSpool(dir: string): Promise<void> {
  for (let i = 0; i < segments; i++) {
    await using opened = await openIn(dir);
    for (let j = 0; j < groups; j++) await put(opened.spool, i * perSegment + j * perGroup, perGroup);
  }
}

/** Where the blocks of a segment file begin, by kind in the order of the file. A frame's payload follows its block. */
export async function blocks(
  path: string,
): Promise<{ head: number; frames: number[]; payloads: number[]; commits: number[]; seals: number[]; end: number }> {
  const bytes = await readFile(path);
  const found = { head: 0, frames: [] as number[], payloads: [] as number[], commits: [] as number[], seals: [] as number[], end: bytes.byteLength };
  for (let at = 0; at < bytes.byteLength;) {
    expect(bytes.readUInt32LE(at)).toBe(0x184d2a5e);
    const kind = bytes.readUInt8(at + 8);
    const length = bytes.readUInt32LE(at + 4) + 8;
    if (kind === 2) {
      found.frames.push(at);
      found.payloads.push(at + length);
      at += bytes.readUInt32LE(at + 12 + 8 + 4 + 4);
    } else if (kind === 3) found.commits.push(at);
    else if (kind === 4) found.seals.push(at);
    at += length;
  }
  return found;
}

/** Changes every bit of the byte at `at`. */
export async function flip(path: string, at: number): Promise<void> {
  await using file = await open(path, "r+");
  const byte = new Uint8Array(1);
  await file.read(byte, 0, 1, at);
  byte[0] = (byte[0] ?? 0) ^ 0xff;
  await file.write(byte, 0, 1, at);
}

export interface Aftermath {
  /** `file code` for each damage `spool verify` names, before the start. */
  readonly verified: string[];
  /** Records `spool cat` printed, before the start. */
  readonly printed: number[];
  /** Records sinks get after the start, and the sequences they are told are lost. */
  readonly records: number[];
  readonly lost: number[];
  /** Codes in health, sorted, and counts by code. */
  readonly health: string[];
  readonly counts: Record<string, number>;
  readonly quarantine: string[];
  readonly position: unknown;
}

/** Verifies, prints, starts, reads everything, and shows that the spool takes records as before. */
export async function aftermathOf(dir: string, machineId?: string): Promise<Aftermath> {
  const { disk } = systemDoors;
  const verified = (await Array.fromAsync(verifySpool(disk, dir))).map(({ file, code }) => `${file} ${code}`);
  const printed = (await Array.fromAsync(readRecords(disk, dir, {}))).map(numberOf);
  await using opened = await openIn(dir, machineId);
  const { spool, board } = opened;
  const { records, lost } = await readAll(spool);
  const position = spool.positions("app").get("file");
  const next = spool.reader.nextSequence();
  await put(spool, 9000, 5);
  const after = await readAll(spool, next);
  expect(after.records).toEqual([9000, 9001, 9002, 9003, 9004]);
  return {
    verified,
    printed,
    records,
    lost,
    health: [...new Set(board.reasons().map(({ code }) => code))].toSorted(),
    counts: board.counts(),
    quarantine: (await readdir(`${dir}/quarantine`)).toSorted(),
    position,
  };
}

/** Every record from `from` on, and the sequences that are told to be lost. */
export async function readAll(spool: Spool, from = 0): Promise<{ records: number[]; lost: number[] }> {
  const records: number[] = [];
  const lost: number[] = [];
  for (let at = from; at < spool.reader.nextSequence();) {
    const [piece] = await spool.reader.pieces(at, 1);
    if (piece === undefined) throw new Error(`no piece at ${at}`);
    const { firstSequence, records: count } = "lost" in piece ? piece.lost : piece.frame;
    at = firstSequence + count;
    try {
      if ("lost" in piece) throw new Fault({ code: "lost", retry: "never", message: "" });
      const raw = Buffer.from(await systemDoors.compress.unzstd(await spool.reader.payload(piece.frame)));
      records.push(...raw.toString("utf8").trimEnd().split("\n").map(numberOf));
    } catch (cause) {
      if (!(cause instanceof Fault)) throw cause;
      for (let n = firstSequence; n < at; n++) lost.push(n);
    }
  }
  return { records, lost };
}

function numberOf(record: Uint8Array | string): number {
  return (JSON.parse(Buffer.from(record as Uint8Array).toString("utf8")) as { n: number }).n;
}

/** The records `from` … `to - 1`. */
export const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

/** All records without some. */
export const without = (from: number, to: number): number[] => range(0, total).filter((n) => n < from || n >= to);

/** The real doors over a disk that cannot read the bytes from `at` to `end` of the files that `matches` picks. */
export function badSectors(matches: (path: string) => boolean, at: number, end: number): Doors {
  const { disk } = systemDoors;
  const openBad: Disk["open"] = async (path, mode, permissions) => {
    const file = await disk.open(path, mode, permissions);
    if (!matches(path)) return file;
    const read = file.read.bind(file);
    file.read = (into, position) =>
      position < end && position + into.byteLength > at ? Promise.reject(Object.assign(new Error("EIO"), { code: "EIO" })) : read(into, position);
    return file;
  };
  return { ...systemDoors, disk: { ...disk, open: openBad } };
}
