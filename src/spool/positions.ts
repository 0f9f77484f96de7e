/**
 * How far every source has read: source → key → value, moved only by commit groups.
 *
 * Two checkpoint files are written in turn, each one line `crc32hex json` and a line end: the group it covers, the next
 * sequence and all positions. A torn one fails its CRC and the other, older one is used; the deltas in the commit blocks
 * since then bring it up to date. Size: about 200 bytes a file followed.
 */
import type { Json, PositionDelta } from "../core/contract.ts";
import type { Disk } from "../core/disk.ts";
import { Fault } from "../core/fault.ts";
import { version as formatVersion, type GroupDelta } from "./format.ts";

export interface Checkpoint {
  group: number;
  nextSequence: number;
  /** NDJSON bytes in all groups up to this one. */
  rawBytes: number;
  positions: Positions;
}

interface CheckpointFile {
  format: number;
  writer: string;
  group: number;
  next_sequence: number;
  raw_bytes: number;
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
    return this.#sources.get(source) ?? new Map<string, Json>();
  }

  apply(delta: GroupDelta): void {
    for (const [source, keys] of Object.entries(delta)) {
      let known = this.#sources.get(source);
      if (known === undefined) this.#sources.set(source, (known = new Map()));
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

/** Writes the checkpoint into `path`, syncs it, reads it back and compares: a segment may go on the strength of it. */
export async function writeCheckpoint(disk: Disk, path: string, writer: string, checkpoint: Checkpoint): Promise<void> {
  const value: CheckpointFile = {
    format: formatVersion,
    writer,
    group: checkpoint.group,
    next_sequence: checkpoint.nextSequence,
    raw_bytes: checkpoint.rawBytes,
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

/** The newer of the two checkpoints that is whole; undefined when none is. `damaged` counts files that are there and not whole. */
export async function readCheckpoints(
  disk: Disk,
  paths: readonly string[],
): Promise<{ newest: (Checkpoint & { path: string }) | undefined; damaged: number }> {
  let newest: (Checkpoint & { path: string }) | undefined;
  let damaged = 0;
  for (const path of paths) {
    const bytes = await readWhole(disk, path);
    if (bytes === undefined || bytes.byteLength === 0) continue;
    const value = parseLine(bytes);
    if (value === undefined) {
      damaged++;
      continue;
    }
    if (value.format > formatVersion) throw futureFormat(path, value.writer);
    if (newest !== undefined && newest.group >= value.group) continue;
    newest = { path, group: value.group, nextSequence: value.next_sequence, rawBytes: value.raw_bytes, positions: Positions.from(value.positions) };
  }
  return { newest, damaged };
}

/** A format from the future: refused, with the version that wrote it. */
export function futureFormat(path: string, writer: string): Fault {
  return new Fault({
    code: "spool_future_format",
    retry: "never",
    message: `open spool: ${path} was written by logferry ${writer}, in a format this version does not know`,
    hint: `install logferry ${writer} or later; nothing was changed`,
  });
}

/** A whole small file; undefined when it is not there. */
export async function readWhole(disk: Disk, path: string): Promise<Buffer | undefined> {
  const found = await disk.stat(path);
  if (found === undefined) return undefined;
  await using file = await disk.open(path, "read");
  const bytes = Buffer.alloc(found.bytes);
  let length = 0;
  while (length < bytes.byteLength) {
    const count = await file.read(bytes.subarray(length), length);
    if (count === 0) break;
    length += count;
  }
  return bytes.subarray(0, length);
}

function crcOf(json: string): string {
  return Bun.hash.crc32(json).toString(16).padStart(8, "0");
}

function parseLine(bytes: Buffer): CheckpointFile | undefined {
  const text = bytes.toString("utf8");
  const end = text.indexOf("\n");
  const json = text.slice(9, end);
  if (end < 0 || text.slice(0, 9) !== `${crcOf(json)} `) return undefined;
  try {
    return JSON.parse(json) as CheckpointFile;
  } catch {
    return undefined;
  }
}
