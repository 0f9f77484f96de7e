/**
 * Appends commit groups to segment files. A group goes out as one write at the end of one segment and counts once
 * fdatasync has returned success; a new file also once its folder is synced.
 *
 * After a failed write the segment is cut back to what counts and tried again. After a failed sync it is never written
 * again, since nobody knows what reached the disk: the next segment's head names how much of it counts.
 */
import type { DiskFile } from "../core/disk.ts";
import type { Doors } from "../core/doors.ts";
import { errnoOf, Fault } from "../core/fault.ts";
import { encodeBlock, type FrameHeader, type GroupDelta } from "./format.ts";
import { frameRef, type Segment, type Segments } from "./segments.ts";

/** A compressed group, ready to be written. */
export interface Group {
  readonly frames: readonly { header: Omit<FrameHeader, "kind" | "firstSequence">; payload: Uint8Array }[];
  readonly delta: GroupDelta;
}

/** Where the log goes on: from recovery at first, then moved by every group. */
export interface Tail {
  nextSegment: number;
  nextSequence: number;
  nextGroup: number;
  /** NDJSON bytes so far. */
  rawBytes: number;
  /** The delta of the last group, repeated in the next one's commit. */
  lastDelta: GroupDelta;
  /** The newest segment and what counts of it. */
  previousSegment: number;
  previousBytes: number;
  /** Of its last seal, 0 when there is none. */
  previousSealBytes: number;
}

export interface WriterOptions {
  readonly doors: Doors;
  readonly segments: Segments;
  readonly segmentsDir: string;
  readonly segmentBytes: number;
  readonly spoolId: string;
  readonly epoch: string;
  readonly writer: string;
  /** Called in the same moment as a group begins to count: positions and tail are never seen apart. `begun`: first of its segment. */
  readonly counted: (delta: GroupDelta, begun: boolean) => void;
}

/** What a group costs on disk beside its payloads, at most, streams and deltas aside: head, frame blocks, commit, seal. */
export const groupOverheadBytes = 512;

export class SegmentWriter {
  readonly #options: WriterOptions;
  readonly tail: Tail;
  #file: DiskFile | undefined;
  #segment: Segment | undefined;
  /** Where the next group goes: behind the last seal. */
  #at = 0;
  /** Files in which nothing counts and that could not be removed yet. */
  #litter: string[] = [];

  constructor(options: WriterOptions, tail: Tail) {
    this.#options = options;
    this.tail = tail;
  }

  /** Bytes the group will take on disk, about. */
  static bytesOf(group: Group): number {
    const frames = group.frames.reduce(
      (sum, { payload, header }) => sum + payload.byteLength + (header.contents?.byteLength ?? 0) + groupOverheadBytes,
      groupOverheadBytes,
    );
    return frames + 2 * JSON.stringify(group.delta).length; // in the commit and in the seal
  }

  /** Ends the newest segment, so that it may go once it is delivered; the next group begins another. */
  async roll(): Promise<void> {
    if (this.#segment !== undefined) this.#segment.endedMs = this.#options.doors.clock.monotonic();
    this.#segment = undefined;
    const file = this.#file;
    this.#file = undefined;
    await file?.close().catch(() => {}); // everything that counts was synced
  }

  /** Makes the group durable. Rejects with a Fault (later): nothing of it counts, call again with the same group. */
  async write(group: Group): Promise<void> {
    const bytes = SegmentWriter.bytesOf(group);
    if (this.#segment !== undefined && this.#at + bytes > this.#options.segmentBytes) await this.roll();
    const begun = this.#file === undefined;
    const file = this.#file ?? (await this.#begin());
    const { parts, refs, length } = this.#layOut(group, begun);
    await this.#append(file, parts, begun);
    this.#count(group, refs, length, begun);
    await this.#seal(file);
  }

  async #begin(): Promise<DiskFile> {
    await this.#sweep();
    const path = this.#options.segments.path(this.tail.nextSegment);
    try {
      this.#file = await this.#options.doors.disk.open(path, "create");
    } catch (cause) {
      throw writeFault(`create segment ${path}`, cause);
    }
    this.#at = 0;
    return this.#file;
  }

  #layOut(group: Group, begun: boolean): { parts: Uint8Array[]; refs: ReturnType<typeof frameRef>[]; length: number } {
    const { tail } = this;
    const parts: Uint8Array[] = [];
    const refs: ReturnType<typeof frameRef>[] = [];
    let at = this.#at;
    const put = (part: Uint8Array): void => {
      parts.push(part);
      at += part.byteLength;
    };
    const segment = this.#segment?.number ?? tail.nextSegment;
    if (begun) put(this.#head(group));
    const groupAt = at;
    let sequence = tail.nextSequence;
    let crc = 0;
    for (const { header, payload } of group.frames) {
      const full: FrameHeader = { kind: "frame", firstSequence: sequence, ...header };
      const block = encodeBlock(full);
      crc = Bun.hash.crc32(block, crc);
      put(block);
      refs.push(frameRef(segment, full, at));
      put(payload);
      sequence += header.records;
    }
    put(
      encodeBlock({
        kind: "commit",
        group: tail.nextGroup,
        groupBytes: at - groupAt,
        nextSequence: sequence,
        framesCrc: crc,
        delta: group.delta,
        previousDelta: tail.lastDelta,
      }),
    );
    return { parts, refs, length: at - this.#at };
  }

  #head(group: Group): Uint8Array {
    const { tail } = this;
    const { spoolId, epoch, writer, doors } = this.#options;
    return encodeBlock({
      kind: "head",
      spoolId,
      epoch,
      segment: tail.nextSegment,
      previousSegment: tail.previousSegment,
      previousBytes: tail.previousBytes,
      firstSequence: tail.nextSequence,
      firstGroup: tail.nextGroup,
      rawBefore: tail.rawBytes,
      minMs: group.frames[0]?.header.minMs ?? doors.clock.now(),
      writer,
      previousSealBytes: tail.previousSealBytes,
    });
  }

  async #append(file: DiskFile, parts: Uint8Array[], begun: boolean): Promise<void> {
    try {
      await file.write(parts, this.#at);
    } catch (cause) {
      await this.#undo(file, begun);
      throw writeFault(`write segment ${file.path}`, cause);
    }
    try {
      await file.datasync();
      if (begun) await this.#options.doors.disk.syncDirectory(this.#options.segmentsDir);
    } catch (cause) {
      await this.#abandon(file, begun);
      throw new Fault({
        code: "spool_sync_failed",
        retry: "later",
        message: `sync segment ${file.path}`,
        hint: "the disk refused to make data durable: check the kernel log and the disk. What was not acknowledged is written to another segment",
        cause,
      });
    }
  }

  /** After a failed write: back to what counts, or no file at all when nothing does. */
  async #undo(file: DiskFile, begun: boolean): Promise<void> {
    try {
      await file.truncate(this.#at);
      if (!begun) return;
      this.#file = undefined;
      await file.close();
      await this.#options.doors.disk.remove(file.path);
    } catch {
      await this.#abandon(file, begun); // cannot even be cut: leave it, recovery ignores what lies beyond
    }
  }

  async #abandon(file: DiskFile, begun: boolean): Promise<void> {
    if (begun) {
      // A segment in which nothing counts must not be named as predecessor, nor its number used again.
      this.tail.nextSegment++;
      // What it holds is written elsewhere. Left behind, it would be the newest once its successors are delivered and gone, and
      // a start would take it for data; and a disk that fails sync after sync would fill up with such files.
      this.#litter.push(file.path);
    }
    // As far as the disk still obeys: what lies beyond is ignored anyway, but looks like damage to whoever reads the file.
    else await file.truncate(this.#at).catch(() => {});
    await this.roll();
    await this.#sweep();
  }

  async #sweep(): Promise<void> {
    const left: string[] = [];
    for (const path of this.#litter) await this.#options.doors.disk.remove(path).catch(() => left.push(path));
    this.#litter = left;
  }

  #count(group: Group, refs: ReturnType<typeof frameRef>[], length: number, begun: boolean): void {
    const { tail } = this;
    const { segments } = this.#options;
    const records = group.frames.reduce((sum, { header }) => sum + header.records, 0);
    const rawBytes = group.frames.reduce((sum, { header }) => sum + header.rawBytes, 0);
    this.#at += length;
    if (begun) {
      this.#segment = {
        number: tail.nextSegment,
        bytes: 0,
        firstSequence: tail.nextSequence,
        nextSequence: tail.nextSequence,
        firstGroup: tail.nextGroup,
        lastGroup: tail.nextGroup,
        rawBefore: tail.rawBytes,
        rawBytes: 0,
        minMs: group.frames[0]?.header.minMs ?? this.#options.doors.clock.now(),
        endedMs: undefined,
      };
      segments.add(this.#segment);
      tail.previousSegment = tail.nextSegment++;
    }
    tail.previousBytes = this.#at;
    tail.previousSealBytes = 0;
    tail.nextSequence += records;
    tail.rawBytes += rawBytes;
    tail.lastDelta = group.delta;
    if (this.#segment !== undefined) {
      segments.grow(this.#segment, { bytes: this.#at, frames: refs, nextSequence: tail.nextSequence, group: tail.nextGroup, rawBytes });
    }
    tail.nextGroup++;
    this.#options.counted(group.delta, begun);
  }

  /** Says that the group was synced, and its positions once more: what is then found broken is rot, not a torn write. Losing the seal itself costs nothing. */
  async #seal(file: DiskFile): Promise<void> {
    const seal = encodeBlock({ kind: "seal", group: this.tail.nextGroup - 1, delta: this.tail.lastDelta });
    try {
      await file.write([seal], this.#at);
      this.#at += seal.byteLength;
      this.tail.previousSealBytes = seal.byteLength;
    } catch {
      await file.truncate(this.#at).catch(() => {});
    }
  }
}

function writeFault(operation: string, cause: unknown): Fault {
  const errno = errnoOf(cause);
  if (errno === "ENOSPC" || errno === "EDQUOT") {
    return new Fault({
      code: "spool_no_space",
      retry: "later",
      message: operation,
      hint: "free space on the file system that holds spool.dir; sources wait, nothing is lost, and reading goes on by itself",
      cause,
    });
  }
  return new Fault({
    code: "spool_write_failed",
    retry: "later",
    message: operation,
    hint: "check that the file system of spool.dir is mounted for writing and that the kernel log shows no disk errors; it is tried again until it works",
    cause,
  });
}
