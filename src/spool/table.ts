/**
 * What the heads of many segments say, in one file: a spool of 10,000 segments would otherwise open each of them at a start,
 * 170 µs each. Only a memory: written without a sync, and believed only where the head of the newest segment in it says the
 * same (the spool's id and the length of its predecessor included, which no other segment of that number has) and the
 * neighbour before it is in it too; without it a start takes longer and knows the same.
 *
 *     segments.table   crc32hex json: {"format":1,"spool":id,"rows":[number, bytes that count, first sequence, first group, raw bytes before, min ms, …]}
 */
import type { Disk } from "../core/disk.ts";
import type { Head } from "./format.ts";
import { readWhole } from "./positions.ts";
import type { Segment } from "./segments.ts";

const format = 1;
const rowLength = 6;
/** Fewer are read in 50 ms, and then every start looks at each. */
export const tableSegmentsMin = 256;
/** 60 bytes a row: a spool of 64 GiB in segments of 1 MiB. */
const tableBytesMax = 4 * 1024 * 1024;

export interface Row {
  /** The spool's id when the table was written. */
  readonly spoolId: string;
  readonly number: number;
  readonly bytes: number;
  readonly firstSequence: number;
  readonly firstGroup: number;
  readonly rawBefore: number;
  readonly minMs: number;
  /** The row before: what the head names as its predecessor. */
  readonly previous: Row | undefined;
}

/** Rows by number; empty when there is no such file, or none that is whole. */
export async function readTable(disk: Disk, path: string): Promise<Map<number, Row>> {
  const rows = new Map<number, Row>();
  const text = (await readWhole(disk, path, tableBytesMax).catch(() => undefined))?.toString("utf8") ?? "";
  const json = text.slice(9);
  if (text.slice(0, 9) !== `${crcOf(json)} `) return rows;
  let values: unknown;
  let spoolId = "";
  try {
    const value = JSON.parse(json) as { format?: unknown; spool?: unknown; rows?: unknown };
    values = value.format === format ? value.rows : undefined;
    spoolId = String(value.spool);
  } catch {
    return rows; // a checksum that fits by chance
  }
  if (!Array.isArray(values) || !values.every((value) => typeof value === "number")) return rows;
  let previous: Row | undefined;
  for (let at = 0; at + rowLength <= values.length; at += rowLength) {
    const [number = 0, bytes = 0, firstSequence = 0, firstGroup = 0, rawBefore = 0, minMs = 0] = values.slice(at, at + rowLength);
    previous = { spoolId, number, bytes, firstSequence, firstGroup, rawBefore, minMs, previous };
    rows.set(number, previous);
  }
  return rows;
}

/** Writes down the segments that grow no more. */
export async function writeTable(disk: Disk, path: string, spoolId: string, segments: readonly Segment[]): Promise<void> {
  const rows = segments.flatMap(({ number, bytes, firstSequence, firstGroup, rawBefore, minMs, endedMs }) =>
    endedMs === undefined ? [] : [number, bytes, firstSequence, firstGroup, rawBefore, Math.round(minMs)],
  );
  const json = JSON.stringify({ format, spool: spoolId, rows });
  const line = Buffer.from(`${crcOf(json)} ${json}`);
  if (line.byteLength > tableBytesMax) return;
  await using file = await disk.open(path, "write");
  await file.write([line], 0);
  await file.truncate(line.byteLength);
}

/** The head a row stands for. `identity` is that of the newest segment's head. */
export function headOf(row: Row, identity: Pick<Head, "spoolId" | "epoch" | "writer">): Head {
  const { number, previous, firstSequence, firstGroup, rawBefore, minMs } = row;
  const { spoolId, epoch, writer } = identity;
  const before = { previousSegment: previous?.number ?? 0, previousBytes: previous?.bytes ?? 0 };
  return { kind: "head", spoolId, epoch, writer, segment: number, ...before, firstSequence, firstGroup, rawBefore, minMs, previousSealBytes: 0 };
}

/** Whether a head is the one that `row` was written of. */
export function isRowOf(row: Row, head: Head | undefined): boolean {
  return (
    head !== undefined &&
    head.spoolId === row.spoolId &&
    head.segment === row.number &&
    head.firstSequence === row.firstSequence &&
    head.firstGroup === row.firstGroup &&
    head.rawBefore === row.rawBefore &&
    head.previousSegment === row.previous?.number &&
    head.previousBytes === row.previous.bytes
  );
}

function crcOf(json: string): string {
  return Bun.hash.crc32(json).toString(16).padStart(8, "0");
}
