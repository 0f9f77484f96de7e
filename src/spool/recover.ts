/**
 * Opens the log after whatever happened: finds what counts, cuts what was torn, keeps what is only rotten.
 *
 * What a crash can leave in the newest segment, and what is done with it:
 *
 *     nothing but a torn head              nothing in it counts: the file is removed
 *     frames without a commit block        torn: cut off, nothing in it was acknowledged
 *     a commit block, payloads not whole,  torn (blocks of one write reach the disk in any order): cut off
 *       no seal and nothing after it
 *     the same with a seal or a later      rot: kept; the damaged frame is left out and reported when it is met
 *       group after it
 *     a whole group without its seal       kept: written back in place and synced before anything is built on it, since
 *                                          after a failed sync the page cache shows what the disk may not have
 *
 * Older segments count up to what the head of their successor says. A segment that its successor does not name was
 * abandoned before anything in it counted: removed. Cost: one block of every segment, and the headers of those since the checkpoint.
 */
import type { DiskFile } from "../core/disk.ts";
import type { Doors } from "../core/doors.ts";
import type { GroupDelta, Head } from "./format.ts";
import { FutureVersion } from "./format.ts";
import { segmentName, segmentNumber, type Layout } from "./layout.ts";
import { futureFormat, Positions, readCheckpoints } from "./positions.ts";
import { GroupCollector, type FoundGroup } from "./groups.ts";
import { readFully, scan } from "./scan.ts";
import type { Segment } from "./segments.ts";
import type { Tail } from "./writer.ts";

export interface Recovered {
  readonly segments: Segment[];
  readonly tail: Tail;
  readonly positions: Positions;
  /** Which of the two files holds the newest checkpoint. */
  readonly checkpointPath: string | undefined;
  /** The id in the newest head, should spool.json be lost. */
  readonly knownId: string | undefined;
  /** What was met on the way, for the log: `{ what: "torn tail", segment, bytes }`. */
  readonly notes: { code: string; message: string }[];
}

interface FoundSegment {
  readonly number: number;
  readonly path: string;
  readonly head: Head | undefined;
  readonly fileBytes: number;
}

  /** Sequences below it that are missing were given up for room. */
  readonly droppedTo: number;
/** Reads what is there and cuts the torn end. Throws Fault `spool_future_format` (never), or the disk's error. */
export async function recover(doors: Doors, layout: Layout): Promise<Recovered> {
  const { newest, damaged } = await readCheckpoints(doors.disk, layout.positions);
  const notes: Recovered["notes"] = [];
  if (damaged > 0) notes.push({ code: "spool_checkpoint_damaged", message: `open spool: ${damaged} of the two position checkpoints not whole` });
  const found = await findSegments(doors, layout, notes);
  const recovery = new Recovery(doors, layout, notes, newest?.positions ?? new Positions(), newest?.group ?? 0);
  await recovery.run(found);
  const last = recovery.segments.at(-1);
  const lastRaw = last === undefined ? 0 : last.rawBefore + last.rawBytes;
  return {
    segments: recovery.segments,
    positions: recovery.positions,
    checkpointPath: newest?.path,
    knownId: found.findLast((segment) => segment.head !== undefined)?.head?.spoolId,
    notes,
    tail: {
      nextSegment: (found.at(-1)?.number ?? 0) + 1,
      nextSequence: Math.max(newest?.nextSequence ?? 0, last?.nextSequence ?? 0),
      nextGroup: Math.max(newest?.group ?? 0, last?.lastGroup ?? 0) + 1,
      rawBytes: Math.max(newest?.rawBytes ?? 0, lastRaw),
      lastDelta: recovery.lastDelta,
      previousSegment: last?.number ?? 0,
      previousBytes: last?.bytes ?? 0,
    },
  };
}

/** A head is at most 348 bytes (its longest writer's name): one small read a segment, so that 10,000 of them open fast. */
const headBytesMax = 512;

async function findSegments(doors: Doors, layout: Layout, notes: Recovered["notes"]): Promise<FoundSegment[]> {
  const found: FoundSegment[] = [];
  const numbers: number[] = [];
  for (const name of await doors.disk.list(layout.segments)) {
    const number = segmentNumber(name);
    if (number !== undefined) numbers.push(number);
    else notes.push({ code: "spool_foreign_file", message: `open spool: ${layout.segments}/${name} is no segment; left alone` });
  }
  for (const number of numbers.sort((a, b) => a - b)) {
    const path = `${layout.segments}/${segmentName(number)}`;
    droppedTo: newest?.droppedTo ?? 0,
    await using file = await doors.disk.open(path, "read");
    const { bytes } = await file.stat();
    const head = await firstHead(file, path, Math.min(bytes, headBytesMax));
    found.push({ number, path, head, fileBytes: bytes });
  }
  return found;
}

async function firstHead(file: DiskFile, path: string, end: number): Promise<Head | undefined> {
  try {
    for await (const { block } of scan(file, 0, end)) return block?.kind === "head" ? block : undefined;
  } catch (cause) {
    if (cause instanceof FutureVersion) throw futureFormat(path, "of a later version");
    throw cause;
  }
  return undefined;
}

class Recovery {
  readonly segments: Segment[] = [];
  readonly positions: Positions;
  lastDelta: GroupDelta = {};
  readonly #doors: Doors;
  readonly #layout: Layout;
  readonly #notes: Recovered["notes"];
  readonly #checkpointGroup: number;
  #appliedGroup: number;

  constructor(doors: Doors, layout: Layout, notes: Recovered["notes"], positions: Positions, checkpointGroup: number) {
    this.#doors = doors;
    this.#layout = layout;
    this.#notes = notes;
    this.positions = positions;
    this.#checkpointGroup = checkpointGroup;
    this.#appliedGroup = checkpointGroup;
  }

  async run(found: FoundSegment[]): Promise<void> {
    // From the newest back: the tail may be empty, and then its predecessor is the one that may be torn.
    const counts: { segment: FoundSegment; bytes: number; groups: FoundGroup[] | undefined }[] = [];
    let successor: Head | undefined;
    for (const segment of found.toReversed()) {
      if (successor !== undefined && successor.previousSegment < segment.number) {
        await this.#drop(segment, "abandoned before anything in it counted");
        continue;
      }
      if (successor?.previousSegment === segment.number && this.#coveredBy(successor)) {
        counts.push({ segment, bytes: Math.min(successor.previousBytes, segment.fileBytes), groups: undefined });
      } else {
        const limit = successor?.previousSegment === segment.number ? Math.min(successor.previousBytes, segment.fileBytes) : segment.fileBytes;
        const groups = await this.#groups(segment, limit);
        // Named by its successor: all that counts. Not named, since the successor's head is rotten: up to its last whole group.
        const named = successor?.previousSegment === segment.number;
        const bytes = successor === undefined ? await this.#settle(segment, groups) : named ? limit : (groups.at(-1)?.end ?? 0);
        if (bytes === 0) {
          await this.#drop(segment, "holds nothing that counts");
          continue;
        }
        counts.push({ segment, bytes, groups: groups.filter((group) => group.end <= bytes) });
      }
      successor = segment.head ?? successor;
    }
    for (const { segment, bytes, groups } of counts.toReversed()) this.#add(segment, bytes, groups, found);
  }

  /** True when the checkpoint covers every group before `successor`: its predecessor's headers need not be read. */
  #coveredBy(successor: Head): boolean {
    return successor.firstGroup <= this.#checkpointGroup + 1;
  }

  async #groups(segment: FoundSegment, end: number): Promise<FoundGroup[]> {
    const collector = new GroupCollector();
    await using file = await this.#doors.disk.open(segment.path, "read");
    try {
      for await (const item of scan(file, 0, end)) collector.add(item);
    } catch (cause) {
      if (cause instanceof FutureVersion) throw futureFormat(segment.path, "of a later version");
      throw cause;
    }
    return collector.finish();
  }

  /** How much of the newest segment counts; makes that durable and cuts the rest. */
  async #settle(segment: FoundSegment, groups: FoundGroup[]): Promise<number> {
    const last = groups.at(-1);
    if (last === undefined) return 0;
    await using file = await this.#doors.disk.open(segment.path, "write");
    let end = last.end;
    if (!last.sealed) {
      if (await wholeGroup(file, last)) await writeBack(file, last.at, last.end);
      else end = groups.at(-2)?.end ?? 0;
    }
    if (end > 0 && end < segment.fileBytes) {
      if (!last.sealed)
        this.#notes.push({ code: "spool_torn_tail", message: `open spool: cut ${segment.fileBytes - end} torn bytes off ${segment.path}` });
      await file.truncate(end);
    }
    await file.datasync();
    return end;
  }

  async #drop(segment: FoundSegment, why: string): Promise<void> {
    this.#notes.push({ code: "spool_torn_tail", message: `open spool: removed ${segment.path} (${segment.fileBytes} bytes): ${why}` });
    await this.#doors.disk.remove(segment.path);
    await this.#doors.disk.syncDirectory(this.#layout.segments);
  }

  #add(segment: FoundSegment, bytes: number, groups: FoundGroup[] | undefined, found: FoundSegment[]): void {
    const before = this.segments.at(-1);
    const after = found.find((other) => other.head?.previousSegment === segment.number)?.head;
    const firstFrame = groups?.flatMap((group) => group.frames).at(0)?.header;
    const firstSequence = segment.head?.firstSequence ?? before?.nextSequence ?? firstFrame?.firstSequence ?? 0;
    const rawBefore = segment.head?.rawBefore ?? (before === undefined ? 0 : before.rawBefore + before.rawBytes);
    const frames = groups?.flatMap((group) => group.frames) ?? [];
    const lastFrame = frames.at(-1)?.header;
    const lastCommit = groups?.findLast((group) => group.commit !== undefined)?.commit;
    this.segments.push({
      number: segment.number,
      bytes,
      firstSequence,
      nextSequence:
        after?.firstSequence ?? lastCommit?.nextSequence ?? (lastFrame === undefined ? firstSequence : lastFrame.firstSequence + lastFrame.records),
      firstGroup: segment.head?.firstGroup ?? (before?.lastGroup ?? 0) + 1,
      lastGroup: after === undefined ? (lastCommit?.group ?? segment.head?.firstGroup ?? 0) : after.firstGroup - 1,
      rawBefore,
      rawBytes: after === undefined ? frames.reduce((sum, { header }) => sum + header.rawBytes, 0) : after.rawBefore - rawBefore,
      minMs: segment.head?.minMs ?? firstFrame?.minMs ?? 0,
      endedMs: this.#doors.clock.monotonic(),
    });
    for (const group of groups ?? []) this.#apply(group);
  }

  /** Brings the positions up to date. A rotten commit costs none of them, since the next one repeats its delta. */
  #apply({ commit }: FoundGroup): void {
    if (commit === undefined) return;
    if (commit.group > this.#appliedGroup) {
      if (commit.group > this.#appliedGroup + 1) this.positions.apply(commit.previousDelta);
      this.positions.apply(commit.delta);
      this.#appliedGroup = commit.group;
    }
    this.lastDelta = commit.delta;
  }
}

/** True when every block and payload of the group is as it was written. */
async function wholeGroup(file: DiskFile, group: FoundGroup): Promise<boolean> {
  if (group.damaged || group.commit === undefined) return false;
  for (const { header, payloadAt } of group.frames) {
    const payload = new Uint8Array(header.payloadBytes);
    if ((await readFully(file, payload, payloadAt)) !== payload.byteLength) return false;
    if (Bun.hash.crc32(payload) !== header.payloadCrc) return false;
  }
  const framesBytes = group.frames.reduce((sum, { header }) => sum + header.payloadBytes, 0);
  return framesBytes <= group.commit.groupBytes && group.commit.groupBytes < group.end - group.at;
}

/** Writes a group's bytes over themselves: dirty again in the page cache, so that the next sync really writes them. */
async function writeBack(file: DiskFile, at: number, end: number): Promise<void> {
  const bytes = new Uint8Array(end - at);
  await readFully(file, bytes, at);
  await file.write([bytes], at);
}
