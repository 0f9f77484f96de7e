/**
 * Opens the log after whatever happened: finds what counts, cuts what was torn, keeps what is only rotten.
 *
 * What a crash can leave in the newest segment, and what is done with it:
 *
 *     nothing but a torn head              nothing in it counts: the file is removed
 *     frames without a commit block        torn: cut off, nothing in it was acknowledged
 *     a commit block, payloads not whole,  torn (blocks of one write reach the disk in any order): cut off
 *       no seal and nothing after it
 *     the same with a seal, a later group  rot: kept; the damaged frame is left out and reported when it is met
 *       after it, or a checkpoint of it
 *     a whole group without its seal       kept: written back in place and synced before anything is built on it, since
 *                                          after a failed sync the page cache shows what the disk may not have; then sealed
 *
 * Older segments count up to what the head of their successor says. A segment that its successor does not name was
 * abandoned before anything in it counted: removed. Cost: find.ts, and the headers of the segments since the checkpoint.
 *
 * What a crash cannot leave is damage: kept in quarantine/, counted, shown in health, and never a reason not to start.
 *
 *     a file that is no segment, or one    left where it is; its number is not used again
 *       under another's number
 *     a head that is rotten                read without it: what its frames say, and the heads beside it
 *     a segment shorter than its           what is there counts, the rest is lost
 *       successor's head says
 *     bytes behind what counts that no     kept aside, cut off
 *       write of ours begins with
 *     a segment the disk cannot read       left where it is, its records are missing
 *     records missing between segments,    lost; said at once, and again by every sink that comes there
 *       or known only to the checkpoint
 *     positions that no commit and no      what is known counts; those files are read again from an older place
 *       checkpoint has
 */
import type { DiskFile } from "../core/disk.ts";
import type { Doors } from "../core/doors.ts";
import { errnoOf } from "../core/fault.ts";
import { encodeBlock, FutureVersion, type Commit, type GroupDelta, type Head } from "./format.ts";
import { segmentName, type Layout } from "./layout.ts";
import { futureFormat, Positions, readCheckpoints } from "./positions.ts";
import { findSegments, tellUnreadable, type FoundSegment } from "./find.ts";
import { GroupCollector, type FoundGroup } from "./groups.ts";
import type { Quarantine } from "./quarantine.ts";
import { beginsAsOurs, readFully, scan, sealBytesAt } from "./scan.ts";
import type { Segment } from "./segments.ts";
import type { Tail } from "./writer.ts";

export interface Recovered {
  readonly segments: Segment[];
  readonly tail: Tail;
  readonly positions: Positions;
  /** Sequences below it that are missing were given up for room. */
  readonly droppedTo: number;
  /** Which of the two files holds the newest checkpoint. */
  readonly checkpointPath: string | undefined;
  /** The id in the newest head, should spool.json be lost. */
  readonly knownId: string | undefined;
  /** What a crash left and is mended, for the log. */
  readonly notes: { code: string; message: string }[];
}

/** Reads what is there and cuts the torn end. Throws Fault `spool_future_format` (never) before anything was changed, or the disk's error. */
export async function recover(doors: Doors, layout: Layout, quarantine: Quarantine, tableMin: number): Promise<Recovered> {
  const { newest, damaged } = await readCheckpoints(doors.disk, layout.positions);
  const { found, numbers } = await findSegments(doors, layout, quarantine, tableMin);
  const notes: Recovered["notes"] = [];
  const recovery = new Recovery(doors, layout, quarantine, notes, newest?.positions ?? new Positions(), newest?.group ?? 0);
  await recovery.run(found, newest?.nextSequence ?? 0);
  // One that is not whole is what a crash during its write leaves, also of the very first, beside which there is no other. Both never are.
  const torn = newest !== undefined || (damaged.length === 1 && found.length > 0 && !recovery.positionsGap);
  if (damaged.length > 0 && torn) notes.push({ code: "spool_checkpoint_damaged", message: `open spool: ${damaged.join(" and ")} not whole` });
  const hint = "the disk or somebody else changed it: positions are taken from the segments, as far as these reach";
  for (const path of torn ? [] : damaged)
    await quarantine.keepWhole(path, { code: "spool_checkpoint_damaged", message: `open spool: ${path} is not whole`, hint });
  if (recovery.positionsGap || (damaged.length > 0 && !torn)) {
    await quarantine.missing("positions-lost", {
      code: "spool_positions_lost",
      message: "open spool: positions of some sources are older than what was read",
      hint: "what those sources read since is read again and arrives twice; look why the files beside spool.json were lost or put back",
    });
  }
  const last = recovery.segments.at(-1);
  const lastRaw = last === undefined ? 0 : last.rawBefore + last.rawBytes;
  return {
    segments: recovery.segments,
    positions: recovery.positions,
    droppedTo: newest?.droppedTo ?? 0,
    checkpointPath: newest?.path,
    knownId: found.findLast((segment) => segment.head !== undefined)?.head?.spoolId,
    notes,
    tail: {
      nextSegment: Math.max(0, ...numbers) + 1,
      nextSequence: Math.max(newest?.nextSequence ?? 0, last?.nextSequence ?? 0),
      nextGroup: Math.max(newest?.group ?? 0, last?.lastGroup ?? 0) + 1,
      rawBytes: Math.max(newest?.rawBytes ?? 0, lastRaw),
      lastDelta: recovery.lastDelta,
      previousSegment: last?.number ?? 0,
      previousBytes: last?.bytes ?? 0,
      previousSealBytes: recovery.sealBytes,
    },
  };
}

interface Counted {
  readonly segment: FoundSegment;
  readonly bytes: number;
  /** Undefined when a checkpoint covers them all. */
  readonly groups: FoundGroup[] | undefined;
}

class Recovery {
  readonly segments: Segment[] = [];
  readonly positions: Positions;
  lastDelta: GroupDelta = {};
  /** Of the seal behind what counts of the newest segment. */
  sealBytes = 0;
  /** A commit's positions are neither in the checkpoint nor repeated by the next. */
  positionsGap = false;
  readonly #doors: Doors;
  readonly #layout: Layout;
  readonly #quarantine: Quarantine;
  readonly #notes: Recovered["notes"];
  readonly #checkpointGroup: number;
  #appliedGroup: number;

  constructor(doors: Doors, layout: Layout, quarantine: Quarantine, notes: Recovered["notes"], positions: Positions, checkpointGroup: number) {
    this.#doors = doors;
    this.#layout = layout;
    this.#quarantine = quarantine;
    this.#notes = notes;
    this.positions = positions;
    this.#checkpointGroup = checkpointGroup;
    this.#appliedGroup = checkpointGroup;
  }

  /** `nextSequence`: what the checkpoint knows of. */
  async run(found: FoundSegment[], nextSequence: number): Promise<void> {
    const { counts, dropped } = await this.#count(found);
    const successors = new Map<number, Head>();
    for (const { head } of found.toReversed()) if (head !== undefined) successors.set(head.previousSegment, head);
    const headed = counts.flatMap(({ segment }) => segment.head ?? []);
    for (const counted of counts.toReversed()) {
      if (this.#isMisplaced(counted, headed)) this.#tellMisplaced(counted.segment);
      else this.#add(counted, successors.get(counted.segment.number));
    }
    const last = this.segments.at(-1);
    // Without segments all may have been delivered.
    const missing = last === undefined ? 0 : Math.max(0, nextSequence - last.nextSequence);
    for (const { segment, abandoned } of dropped) {
      // Not torn, when the checkpoint knows of what it began with.
      const counted = missing > 0 || (segment.head?.firstSequence ?? nextSequence) < nextSequence;
      await this.#drop(segment, abandoned, counted && !abandoned);
    }
    for (const [i, { number, nextSequence: end }] of this.segments.entries()) {
      const next = this.segments[i + 1];
      const due = next?.firstSequence ?? end + missing;
      if (due > end) await this.#missing(end, due, `behind ${segmentName(number)}`);
    }
  }

  /** From the newest back: the tail may be empty, and then its predecessor is the one that may be torn. */
  async #count(found: FoundSegment[]): Promise<{ counts: Counted[]; dropped: { segment: FoundSegment; abandoned: boolean }[] }> {
    const counts: Counted[] = [];
    const dropped: { segment: FoundSegment; abandoned: boolean }[] = [];
    let successor: Head | undefined;
    for (const segment of found.toReversed()) {
      // What it began with was written again elsewhere. One that begins before that could not be read by some start since.
      if (
        successor !== undefined &&
        successor.previousSegment < segment.number &&
        (segment.head?.firstSequence ?? Infinity) >= successor.firstSequence
      ) {
        dropped.push({ segment, abandoned: true });
        continue;
      }
      const named = successor?.previousSegment === segment.number ? successor : undefined;
      if (named !== undefined) await this.#checkLength(segment, named);
      const limit = Math.min(named?.previousBytes ?? segment.fileBytes, segment.fileBytes);
      if (named !== undefined && segment.head !== undefined && this.#coveredBy(named)) counts.push({ segment, bytes: limit, groups: undefined });
      else {
        const groups = await this.#groups(segment, limit, named === undefined ? undefined : limit);
        if (groups === "unreadable") {
          successor = segment.head ?? successor;
          continue;
        }
        // Named by its successor: all that counts. Not named, since the successor's head is rotten: up to its last whole group.
        const bytes = successor === undefined ? await this.#settle(segment, groups) : named !== undefined ? limit : endBefore(groups, successor);
        if (bytes > 0) counts.push({ segment, bytes, groups: groups.filter((group) => group.end <= bytes) });
        else dropped.push({ segment, abandoned: false });
      }
      successor = segment.head ?? successor;
    }
    return { counts, dropped };
  }

  /** True when the checkpoint covers every group before `successor`: its predecessor's headers need not be read. */
  #coveredBy(successor: Head): boolean {
    return successor.firstGroup <= this.#checkpointGroup + 1;
  }

  async #groups(segment: FoundSegment, end: number, countsTo: number | undefined): Promise<FoundGroup[] | "unreadable"> {
    const collector = new GroupCollector();
    await using file = await this.#doors.disk.open(segment.path, "read");
    try {
      for await (const item of scan(file, 0, end)) collector.add(item);
    } catch (cause) {
      if (cause instanceof FutureVersion) throw futureFormat(segment.path, cause.writer);
      if (errnoOf(cause) !== "EIO") throw cause;
      // Nothing is cut and nothing removed on the strength of what could not be read.
      tellUnreadable(this.#quarantine, segment.path);
      return "unreadable";
    }
    return collector.finish(countsTo);
  }

  /** A segment that its successor names: shorter than that is damage; longer is what a failed sync left, or foreign bytes. */
  async #checkLength(segment: FoundSegment, { previousBytes: bytes, previousSealBytes }: Head): Promise<void> {
    const { path, fileBytes } = segment;
    if (fileBytes < bytes) {
      await this.#quarantine.missing(`${segmentName(segment.number)}-short`, {
        code: "spool_segment_short",
        message: `open spool: ${path} has ${fileBytes} of ${bytes} bytes`,
        hint: "somebody or the disk has cut it: what is there is read, the rest is lost",
      });
    }
    // Its own seal may lie behind what counts, or a part of it.
    if (fileBytes <= bytes + previousSealBytes) return;
    await using file = await this.#doors.disk.open(path, "write");
    await this.#cut(file, segment, bytes + (await sealBytesAt(file, bytes, fileBytes)));
  }

  /** How much of the newest segment counts; makes that durable, cuts the rest, and seals it. */
  async #settle(segment: FoundSegment, groups: FoundGroup[]): Promise<number> {
    const last = groups.at(-1);
    if (last === undefined) return 0;
    await using file = await this.#doors.disk.open(segment.path, "write");
    let kept: FoundGroup | undefined = last;
    if (!last.sealed && !this.#covers(last)) {
      if (await wholeGroup(file, last)) await writeBack(file, last.at, last.end);
      else kept = groups.at(-2);
    }
    if (kept === undefined) return 0;
    if (kept.sealEnd < segment.fileBytes) await this.#cut(file, segment, kept.sealEnd);
    await file.datasync();
    // The process before may have died between the sync of a new file and that of its name.
    await this.#doors.disk.syncDirectory(this.#layout.segments);
    this.sealBytes = kept.sealEnd - kept.end;
    if (this.sealBytes === 0 && kept.commit !== undefined) await this.#seal(file, kept.end, kept.commit);
    return kept.end;
  }

  /** The next start is to know that this was synced. Losing the seal costs nothing, as ever. */
  async #seal(file: DiskFile, at: number, { group, delta }: Commit): Promise<void> {
    const seal = encodeBlock({ kind: "seal", group, delta });
    try {
      await file.write([seal], at);
      this.sealBytes = seal.byteLength;
    } catch {
      await file.truncate(at);
    }
  }

  /** A checkpoint is written of what was synced only. */
  #covers({ commit }: FoundGroup): boolean {
    return commit !== undefined && commit.group <= this.#checkpointGroup;
  }

  /** Cuts what lies behind `at`. Torn: a write of ours that nobody was told of. Else damage, and kept aside. */
  async #cut(file: DiskFile, segment: FoundSegment, at: number): Promise<void> {
    const length = segment.fileBytes - at;
    if (await beginsAsOurs(file, at, segment.fileBytes)) {
      this.#notes.push({ code: "spool_torn_tail", message: `open spool: cut ${length} torn bytes off ${segment.path}` });
    } else {
      await this.#quarantine.keepOf(segment.path, at, length, {
        code: "spool_segment_long",
        message: `open spool: ${segment.path} has ${length} foreign bytes at its end`,
        hint: "nothing of ours is lost: they were cut off and are kept in quarantine/. Look who wrote there",
      });
    }
    await file.truncate(at);
  }

  async #drop({ path, fileBytes }: FoundSegment, abandoned: boolean, keep: boolean): Promise<void> {
    const why = abandoned ? "abandoned before anything in it counted" : "holds nothing that counts";
    const message = `open spool: removed ${path} (${fileBytes} bytes): ${why}`;
    if (keep && fileBytes > 0) {
      const hint = "the checkpoint knows of records that may have been in it; what there is of it is kept in quarantine/";
      await this.#quarantine.keepOf(path, 0, fileBytes, { code: "spool_block_corrupt", message, hint });
    } else this.#notes.push({ code: "spool_torn_tail", message });
    await this.#doors.disk.remove(path);
    await this.#doors.disk.syncDirectory(this.#layout.segments);
  }

  async #missing(from: number, to: number, where: string): Promise<void> {
    await this.#quarantine.missing(`records-${from}-missing`, {
      code: "spool_segment_missing",
      message: `open spool: records ${from} to ${to - 1} are missing ${where}`,
      hint: "a segment was removed, cut or put back by somebody, or the disk lost it: restore it if you can, with logferry stopped",
    });
  }

  /** Without a head only its records tell where it belongs: a copy, or one that was moved, would give numbers twice. */
  #isMisplaced({ segment, groups }: Counted, headed: readonly Head[]): boolean {
    const frames = groups?.flatMap((group) => group.frames) ?? [];
    const [first, last] = [frames[0]?.header, frames.at(-1)?.header];
    if (segment.head !== undefined || first === undefined || last === undefined) return false;
    const due = headed.findLast((head) => head.segment > segment.number)?.firstSequence ?? Infinity;
    return first.firstSequence < (this.segments.at(-1)?.nextSequence ?? 0) || last.firstSequence + last.records > due;
  }

  #tellMisplaced({ path }: FoundSegment): void {
    const hint = "a copy, or a file that was moved, and its head is damaged: it is not read and never removed";
    this.#quarantine.foreign(path, { code: "spool_foreign_file", message: `open spool: ${path} holds records out of their order`, hint });
  }

  /** `after`: the head of the first segment that names this one. */
  #add({ segment, bytes, groups }: Counted, after: Head | undefined): void {
    const before = this.segments.at(-1);
    const firstFrame = groups?.flatMap((group) => group.frames).at(0)?.header;
    const firstSequence = segment.head?.firstSequence ?? firstFrame?.firstSequence ?? before?.nextSequence ?? 0;
    const rawBefore = segment.head?.rawBefore ?? (before === undefined ? 0 : before.rawBefore + before.rawBytes);
    const frames = groups?.flatMap((group) => group.frames) ?? [];
    const lastFrame = frames.at(-1)?.header;
    const lastCommit = groups?.findLast(({ commit }) => commit !== undefined)?.commit;
    const lastGroup = groups?.findLast(({ commit, seal }) => (commit ?? seal) !== undefined);
    const framesEnd = lastFrame === undefined ? firstSequence : lastFrame.firstSequence + lastFrame.records;
    this.segments.push({
      number: segment.number,
      bytes,
      firstSequence,
      nextSequence: after?.firstSequence ?? Math.max(lastCommit?.nextSequence ?? 0, framesEnd),
      firstGroup: segment.head?.firstGroup ?? (before?.lastGroup ?? 0) + 1,
      lastGroup: after === undefined ? ((lastGroup?.commit ?? lastGroup?.seal)?.group ?? segment.head?.firstGroup ?? 0) : after.firstGroup - 1,
      rawBefore,
      rawBytes: after === undefined ? frames.reduce((sum, { header }) => sum + header.rawBytes, 0) : after.rawBefore - rawBefore,
      minMs: segment.head?.minMs ?? firstFrame?.minMs ?? 0,
      endedMs: this.#doors.clock.monotonic(),
    });
    for (const group of groups ?? []) this.#apply(group);
  }

  /** Brings the positions up to date. A rotten commit costs none of them, since its seal and the next commit repeat its delta. */
  #apply({ commit, seal }: FoundGroup): void {
    const said = commit ?? seal;
    if (said === undefined) return;
    if (said.group > this.#appliedGroup) {
      if (said.group > this.#appliedGroup + (commit === undefined ? 1 : 2)) this.positionsGap = true;
      if (commit !== undefined && said.group > this.#appliedGroup + 1) this.positions.apply(commit.previousDelta);
      this.positions.apply(said.delta);
      this.#appliedGroup = said.group;
    }
    this.lastDelta = said.delta;
  }
}

/** Where the last of `groups` ends whose records come before those of `successor`; numbers are not to be there twice. */
function endBefore(groups: readonly FoundGroup[], successor: Head): number {
  const before = groups.findLast(({ frames }) => {
    const last = frames.at(-1)?.header;
    return last === undefined || last.firstSequence + last.records <= successor.firstSequence;
  });
  return before?.end ?? 0;
}

/** True when every block and payload of the group is as it was written. */
async function wholeGroup(file: DiskFile, group: FoundGroup): Promise<boolean> {
  if (group.damaged || group.commit === undefined) return false;
  for (const { header, payloadAt } of group.frames) {
    const payload = new Uint8Array(header.payloadBytes);
    const count = await readFully(file, payload, payloadAt).catch((cause: unknown) => {
      if (errnoOf(cause) !== "EIO") throw cause;
      return 0;
    });
    if (count !== payload.byteLength || Bun.hash.crc32(payload) !== header.payloadCrc) return false;
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
