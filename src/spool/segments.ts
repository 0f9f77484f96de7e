/**
 * The segments a spool holds, in order, and an index of frames for those that were lately asked for.
 *
 * Only a few numbers are kept per segment, so that 10,000 of them cost a few megabytes; the frames of a segment are
 * found by walking its headers, and remembered for the last few: sinks read forward, and most read the newest.
 */
import type { FrameRef, Piece } from "../core/contract.ts";
import type { Disk } from "../core/disk.ts";
import { errnoOf } from "../core/fault.ts";
import { Changed } from "../core/signals.ts";
import { addAmount, type BySource } from "./drops.ts";
import type { FrameHeader } from "./format.ts";
import { segmentName } from "./layout.ts";
import { scan } from "./scan.ts";

export interface Segment {
  readonly number: number;
  /** Bytes that count: what is synced (and found again by recovery). Grows only for the newest. */
  bytes: number;
  readonly firstSequence: number;
  /** One past its last record. */
  nextSequence: number;
  readonly firstGroup: number;
  lastGroup: number;
  /** NDJSON bytes in all segments before. */
  readonly rawBefore: number;
  rawBytes: number;
  /** Record time of its first frame, wall milliseconds. */
  readonly minMs: number;
  /** When it was ended, monotonic milliseconds; undefined while it grows. */
  endedMs: number | undefined;
  /** Whose records are in it; undefined when an earlier process wrote it. */
  sources?: BySource;
}

/** Indexes remembered: a walking sink each, and the newest. A 16 MiB segment of tiny frames has about 30,000 frames, 5 MB. */
const indexesMax = 4;

/** What a frame's header says, as sinks see it. */
export function frameRef(segment: number, header: FrameHeader, payloadAt: number): FrameRef {
  const { kind: _, payloadCrc: crc, ...rest } = header;
  return { segment, offset: payloadAt, ...rest, crc };
}

export class Segments {
  readonly #disk: Disk;
  readonly #dir: string;
  readonly #list: Segment[] = [];
  readonly #indexes = new Map<number, Piece[]>();
  readonly #damaged: (segment: number, at: number, length: number) => Promise<void>;
  /** Fires when frames were committed or segments removed. */
  readonly changed = new Changed();
  /** Called before a segment's file goes, so that nobody keeps its space by an open descriptor. */
  onRemove: (segment: number) => void = () => {};
  #held = 0;

  constructor(disk: Disk, dir: string, damaged: (segment: number, at: number, length: number) => Promise<void>) {
    this.#disk = disk;
    this.#dir = dir;
    this.#damaged = damaged;
  }

  path(segment: number): string {
    return `${this.#dir}/${segmentName(segment)}`;
  }

  all(): readonly Segment[] {
    return this.#list;
  }

  newest(): Segment | undefined {
    return this.#list.at(-1);
  }

  /** Bytes on disk of all segments. */
  heldBytes(): number {
    return this.#held;
  }

  add(segment: Segment): void {
    this.#list.push(segment);
    this.#held += segment.bytes;
  }

  /** Notes a group that was committed to the newest segment. */
  grow(segment: Segment, group: { bytes: number; frames: FrameRef[]; nextSequence: number; group: number; rawBytes: number }): void {
    this.#held += group.bytes - segment.bytes;
    segment.bytes = group.bytes;
    segment.lastGroup = group.group;
    segment.rawBytes += group.rawBytes;
    const index = segment.nextSequence === segment.firstSequence ? this.#remember(segment.number, []) : this.#indexes.get(segment.number);
    index?.push(...group.frames.map((frame) => ({ frame })));
    segment.nextSequence = group.nextSequence;
    this.changed.notify();
  }

  /** Notes whose records the group just added to the newest segment holds. */
  attribute(sources: BySource): void {
    const segment = this.newest();
    if (segment === undefined) return;
    if (segment.firstGroup === segment.lastGroup) segment.sources = new Map();
    if (segment.sources !== undefined) for (const [source, amount] of sources) addAmount(segment.sources, source, amount);
  }

  async remove(segment: Segment): Promise<void> {
    this.onRemove(segment.number);
    await this.#disk.remove(this.path(segment.number));
    const at = this.#list.indexOf(segment);
    if (at >= 0) this.#list.splice(at, 1);
    this.#held -= segment.bytes;
    this.#indexes.delete(segment.number);
    this.changed.notify();
  }

  /** The segment that holds `sequence`, or the first after it. */
  find(sequence: number): Segment | undefined {
    let low = 0;
    let high = this.#list.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#list[middle]?.nextSequence ?? 0) <= sequence) low = middle + 1;
      else high = middle;
    }
    return this.#list[low];
  }

  /** The pieces of a segment, in order, without holes. `asFar`: what lies behind a place that cannot be read (EIO) is lost, and no reason to reject. */
  async index(segment: Segment, asFar = false): Promise<readonly Piece[]> {
    const known = this.#indexes.get(segment.number);
    if (known !== undefined) {
      this.#indexes.delete(segment.number);
      this.#indexes.set(segment.number, known); // the least recently used is the first
      return known;
    }
    for (;;) {
      const { bytes, nextSequence } = segment;
      const pieces = await this.#walk(segment, bytes, nextSequence, asFar);
      // The newest may have grown meanwhile: an index that lacks frames must not be remembered.
      if (segment.bytes === bytes) return this.#remember(segment.number, pieces);
    }
  }

  async #walk(segment: Segment, bytes: number, nextSequence: number, asFar: boolean): Promise<Piece[]> {
    const pieces: Piece[] = [];
    let expected = segment.firstSequence;
    const lostUpTo = (sequence: number): void => {
      if (sequence > expected) pieces.push({ lost: { firstSequence: expected, records: sequence - expected } });
      expected = Math.max(expected, sequence);
    };
    await using file = await this.#disk.open(this.path(segment.number), "read");
    try {
      for await (const item of scan(file, 0, bytes)) {
        if (item.block === undefined) await this.#damaged(segment.number, item.at, item.length);
        if (item.block?.kind !== "frame" || !("payloadAt" in item) || item.block.firstSequence < expected) continue;
        lostUpTo(item.block.firstSequence);
        pieces.push({ frame: frameRef(segment.number, item.block, item.payloadAt) });
        expected += item.block.records;
      }
    } catch (cause) {
      if (!asFar || errnoOf(cause) !== "EIO") throw cause;
    }
    lostUpTo(nextSequence);
    return pieces;
  }

  #remember(segment: number, pieces: Piece[]): Piece[] {
    this.#indexes.set(segment, pieces);
    if (this.#indexes.size <= indexesMax) return pieces;
    // The growing one stays: it is added to, and walking it while it grows would race with that.
    for (const oldest of this.#indexes.keys()) {
      if (oldest === this.newest()?.number) continue;
      this.#indexes.delete(oldest);
      break;
    }
    return pieces;
  }
}
