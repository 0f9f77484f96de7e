/**
 * How far every source has read: source → key → value, moved only by commit groups.
 *
 * Two checkpoint files are written in turn, each one line `crc32hex json` and a line end: the group it covers, the next
 * sequence and all positions. A torn one fails its CRC and the other, older one is used; the deltas in the commit blocks
 * since then bring it up to date. Size: about 200 bytes a file followed.
 */
import type { Json, PositionDelta } from "../core/contract.ts";
import type { Disk } from "../core/disk.ts";
import { errnoOf, excerpt, Fault } from "../core/fault.ts";
import { deltaIn, version as formatVersion, type GroupDelta } from "./format.ts";

export interface Checkpoint {
  group: number;
  nextSequence: number;
  /** NDJSON bytes in all groups up to this one. */
  rawBytes: number;
  /** Sequences below it that are missing were given up for room (drops.ts). */
  droppedTo: number;
  positions: Positions;
}

/** The JSON of a checkpoint. */
export interface CheckpointFile {
  format: number;
  writer: string;
  group: number;
  next_sequence: number;
  raw_bytes: number;
  /** Left out while nothing was ever given up. */
  dropped_to?: number;
  positions: Record<string, Record<string, Json>>;
}

export class Positions {
  readonly #sources = new Map<string, Map<string, Json>>();

  static from(values: Record<string, Record<string, Json>>): Positions {
    const positions = new Positions();
    positions.apply(values);
    return positions;
  }

  /** What `source` has committed, by key. A live view. */
  of(source: string): ReadonlyMap<string, Json> {
    return this.#keysOf(source);
  }

  #keysOf(source: string): Map<string, Json> {
    let known = this.#sources.get(source);
    if (known === undefined) this.#sources.set(source, (known = new Map()));
    return known;
  }

  apply(delta: GroupDelta): void {
    for (const [source, keys] of Object.entries(delta)) {
      const known = this.#keysOf(source);
      for (const [key, value] of Object.entries(keys)) {
        if (value === null) known.delete(key);
        else known.set(key, value as Json);
      }
    }
  }

  toJson(): Record<string, Record<string, Json>> {
    return Object.fromEntries([...this.#sources].map(([source, keys]) => [source, Object.fromEntries(keys)]));
  }
}

/** Adds a chunk's delta to that of its group; a later value of a key wins. */
export function addDelta(group: GroupDelta, source: string, delta: PositionDelta): void {
  group[source] = { ...group[source], ...delta };
}

/** Writes the file over itself and syncs it: what a failed sync of an earlier process left in the page cache only is then on the medium. */
export async function settleCheckpoint(disk: Disk, path: string): Promise<void> {
  const bytes = await readWhole(disk, path, checkpointBytesMax);
  if (bytes === undefined) return;
  await using file = await disk.open(path, "write");
  await file.write([bytes], 0);
  await file.datasync();
}

/** Writes the checkpoint into `path`, syncs it, reads it back and compares: a segment may go on the strength of it. */
export async function writeCheckpoint(disk: Disk, path: string, writer: string, checkpoint: Checkpoint): Promise<void> {
  const value: CheckpointFile = {
    format: formatVersion,
    writer,
    group: checkpoint.group,
    next_sequence: checkpoint.nextSequence,
    raw_bytes: checkpoint.rawBytes,
    ...(checkpoint.droppedTo === 0 ? {} : { dropped_to: checkpoint.droppedTo }),
    positions: checkpoint.positions.toJson(),
  };
  const json = JSON.stringify(value);
  const line = Buffer.from(`${crcOf(json)} ${json}\n`);
  await using file = await disk.open(path, "write");
  await file.write([line], 0);
  await file.truncate(line.byteLength);
  await file.datasync();
  const back = new Uint8Array(line.byteLength);
  const count = await file.read(back, 0);
  if (count !== line.byteLength || !line.equals(back)) throw Object.assign(new Error("read back other bytes than were written"), { code: "EIO" });
}

/** Far beyond what is written (some hundred bytes a file followed): a file this long is none of ours and is not read into memory. */
const checkpointBytesMax = 256 * 1024 * 1024;

/**
 * The newer of the two checkpoints that is whole; undefined when none is. `damaged` names those that are there and not whole
 * (one that was never synced is empty, and no damage). Throws Fault `spool_future_format`.
 */
export async function readCheckpoints(
  disk: Disk,
  paths: readonly string[],
): Promise<{ newest: (Checkpoint & { path: string }) | undefined; damaged: string[] }> {
  let newest: (Checkpoint & { path: string }) | undefined;
  const damaged: string[] = [];
  for (const path of paths) {
    const bytes = await readWhole(disk, path, checkpointBytesMax);
    if (bytes === undefined || bytes.byteLength === 0) continue;
    const value = parseCheckpoint(bytes, path);
    if (value === undefined) {
      damaged.push(path);
      continue;
    }
    const { group, next_sequence: nextSequence, raw_bytes: rawBytes, dropped_to: droppedTo = 0 } = value;
    // Of one group there are two when segments were given up between them.
    if (newest !== undefined && (newest.group > group || (newest.group === group && newest.droppedTo >= droppedTo))) continue;
    newest = { path, group, nextSequence, rawBytes, droppedTo, positions: Positions.from(value.positions) };
  }
  return { newest, damaged };
}

/** A format from the future: refused, with the version that wrote it. */
export function futureFormat(path: string, writer: unknown): Fault {
  const named = typeof writer === "string" && writer !== "" ? excerpt(writer, 64) : undefined;
  return new Fault({
    code: "spool_future_format",
    retry: "never",
    message: `open spool: ${path} was written by ${named === undefined ? "a later logferry" : `logferry ${named}`}, in a format this version does not know`,
    hint: `install ${named === undefined ? "the version that wrote it" : `logferry ${named} or later`}; nothing was changed`,
  });
}

/** A whole small file, of which at most `bytesMax` are read; undefined when it is not there. What the disk cannot read comes as zeros: damage. */
export async function readWhole(disk: Disk, path: string, bytesMax: number): Promise<Buffer | undefined> {
  const found = await disk.stat(path);
  if (found?.kind !== "file") return undefined;
  await using file = await disk.open(path, "read");
  const bytes = Buffer.alloc(Math.min(found.bytes, bytesMax));
  let length = 0;
  while (length < bytes.byteLength) {
    const count = await file.read(bytes.subarray(length), length).catch((cause: unknown) => {
      if (errnoOf(cause) !== "EIO") throw cause;
      return bytes.byteLength - length;
    });
    if (count === 0) break;
    length += count;
  }
  return bytes.subarray(0, length);
}

function crcOf(json: string): string {
  return Bun.hash.crc32(json).toString(16).padStart(8, "0");
}

/**
 * The checkpoint in `bytes`, undefined when it is not whole. Throws Fault `spool_future_format`: in every version it is one
 * line, its CRC in front, an object with `format` and `writer` in it.
 */
export function parseCheckpoint(bytes: Buffer, path: string): CheckpointFile | undefined {
  const text = bytes.toString("utf8");
  const end = text.indexOf("\n");
  const json = text.slice(9, end);
  if (end < 0 || text.slice(0, 9) !== `${crcOf(json)} `) return undefined;
  let value: Partial<CheckpointFile> | null;
  try {
    value = JSON.parse(json) as typeof value;
    if (typeof value?.format !== "number") return undefined;
    if (value.format <= formatVersion) deltaIn(value.positions);
  } catch {
    return undefined; // a checksum that fits by chance over nonsense
  }
  if (value.format > formatVersion) throw futureFormat(path, value.writer);
  const counts = [value.group, value.next_sequence, value.raw_bytes, value.dropped_to ?? 0];
  return counts.every((count) => Number.isSafeInteger(count) && (count ?? -1) >= 0) ? (value as CheckpointFile) : undefined;
}
