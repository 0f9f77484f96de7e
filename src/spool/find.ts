/**
 * Which segments there are, and what their heads say, as recovery begins with: one small read of each file, several at once,
 * or none where the table of an earlier life is to be trusted (table.ts).
 */
import type { DiskFile } from "../core/disk.ts";
import type { Doors } from "../core/doors.ts";
import { errnoOf } from "../core/fault.ts";
import { FutureVersion, headBytesMax, type Head } from "./format.ts";
import { segmentNumber, type Layout } from "./layout.ts";
import { futureFormat } from "./positions.ts";
import type { Quarantine } from "./quarantine.ts";
import { scan } from "./scan.ts";
import { headOf, isRowOf, readTable, type Row } from "./table.ts";

export interface FoundSegment {
  readonly number: number;
  readonly path: string;
  readonly head: Head | undefined;
  readonly fileBytes: number;
}

interface Look {
  readonly number: number | undefined;
  readonly path: string;
  readonly found?: FoundSegment;
  /** Why the file is none of ours. */
  readonly foreign?: string;
  readonly unreadable?: true;
}

/** Heads read at once: beyond a few, two cores and the pool of four threads give no more. */
const looksAtOnce = 16;

/** The segments in the folder, oldest first, and every number that is taken. What is none of ours is told and left alone. */
export async function findSegments(
  doors: Doors,
  layout: Layout,
  quarantine: Quarantine,
  tableMin: number,
): Promise<{ found: FoundSegment[]; numbers: number[] }> {
  const names = (await doors.disk.list(layout.segments)).toSorted();
  const looks = await trustedRows(doors, layout, names, tableMin);
  const unknown = names.filter((name) => !looks.has(name));
  for (let at = 0; at < unknown.length; at += looksAtOnce) {
    const some = await Promise.all(unknown.slice(at, at + looksAtOnce).map(async (name) => [name, await lookAt(doors, layout, name)] as const));
    for (const [name, look] of some) looks.set(name, look);
  }
  const found: FoundSegment[] = [];
  for (const name of names) {
    const look = looks.get(name);
    if (look?.found !== undefined) found.push(look.found);
    if (look?.unreadable === true) tellUnreadable(quarantine, look.path);
    if (look?.foreign !== undefined) {
      const hint = "move it away: nothing of it is read, and it is never removed";
      quarantine.foreign(look.path, { code: "spool_foreign_file", message: `open spool: ${look.path} ${look.foreign}; left alone`, hint });
    }
  }
  return { found, numbers: names.flatMap((name) => segmentNumber(name) ?? []) };
}

export function tellUnreadable(quarantine: Quarantine, path: string): void {
  const hint = "the disk cannot read it: its records are missing. The file is left where it is";
  quarantine.foreign(path, { code: "spool_segment_unreadable", message: `open spool: ${path} cannot be read`, hint });
}

async function lookAt({ disk }: Doors, layout: Layout, name: string): Promise<Look> {
  const path = `${layout.segments}/${name}`;
  const number = segmentNumber(name);
  if (number === undefined || (await disk.stat(path))?.kind !== "file") return { number, path, foreign: "is no segment" };
  try {
    await using file = await disk.open(path, "read");
    const { bytes } = await file.stat();
    const head = await firstHead(file, path, Math.min(bytes, headBytesMax));
    if (head !== undefined && head.segment !== number) return { number, path, foreign: `is a copy of segment ${head.segment}` };
    return { number, path, found: { number, path, head, fileBytes: bytes } };
  } catch (cause) {
    // A bad sector costs what lies on it, not the start. Anything else (rights, no descriptors) is for the operator.
    if (errnoOf(cause) !== "EIO") throw cause;
    return { number, path, unreadable: true };
  }
}

/** By name, the segments whose files need not be opened, since the table knows them and the one before. */
async function trustedRows(doors: Doors, layout: Layout, names: readonly string[], tableMin: number): Promise<Map<string, Look>> {
  const trusted = new Map<string, Look>();
  if (names.length < tableMin) return trusted;
  const rows = await readTable(doors.disk, layout.table);
  const rowOf = (name: string | undefined): Row | undefined => rows.get(name === undefined ? -1 : (segmentNumber(name) ?? -1));
  const newestAt = names.findLastIndex((name) => rowOf(name) !== undefined);
  const newest = rowOf(names[newestAt]);
  const head = newest === undefined ? undefined : (await lookAt(doors, layout, names[newestAt] ?? "")).found?.head;
  if (newest === undefined || head === undefined || !isRowOf(newest, head)) return trusted;
  for (const [i, name] of names.slice(0, newestAt).entries()) {
    const row = rowOf(name);
    if (row === undefined || (i > 0 && rowOf(names[i - 1]) === undefined)) continue;
    const path = `${layout.segments}/${name}`;
    trusted.set(name, { number: row.number, path, found: { number: row.number, path, head: headOf(row, head), fileBytes: row.bytes } });
  }
  return trusted;
}

async function firstHead(file: DiskFile, path: string, end: number): Promise<Head | undefined> {
  try {
    for await (const { block } of scan(file, 0, end)) return block?.kind === "head" ? block : undefined;
  } catch (cause) {
    if (cause instanceof FutureVersion) throw futureFormat(path, cause.writer);
    throw cause;
  }
  return undefined;
}
