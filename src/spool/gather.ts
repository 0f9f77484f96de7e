/**
 * What arrives between two commits: open frames that encoders write into, the position deltas and who waits for them.
 *
 * Frames keep the order in which they were opened, so that the records of a file keep theirs. A full frame is compressed
 * at once, off the main thread, while others gather. Memory: `groupBytes` and one chunk, since nobody is let in beyond that,
 * and what is unused of the buffers, 4 KiB for a stream of few records.
 *
 * Many small streams are joined to mixed frames when the group is taken, stream by stream in the order of their keys: what is
 * alike lies together, which compresses as well as one stream does, and whoever ships a stream finds it in one piece, in about the
 * same place of each group. The records of one stream and quarter hour keep the order in which they came.
 */
import type { Compress } from "../core/compress.ts";
import type { Frames, OpenFrame, PositionDelta, Stream } from "../core/contract.ts";
import { frameBytes, quarterMs, streamsOpen } from "../core/limits.ts";
import { addAmount, type BySource } from "./drops.ts";
import { addDelta } from "./positions.ts";
import type { GroupDelta } from "./format.ts";
import { ContentsWriter } from "../core/contents.ts";
import type { FrameBuffers } from "./buffers.ts";

/** A frame on its way: gathered, then compressed. */
export interface GatheredFrame {
  readonly stream: Stream;
  readonly mixed: boolean;
  /** What a mixed frame holds, where that is known and small. */
  readonly contents?: Uint8Array;
  readonly records: number;
  readonly rawBytes: number;
  readonly minMs: number;
  readonly maxMs: number;
  readonly payload: Promise<Uint8Array>;
}

export interface Waiter {
  resolve(): void;
  reject(cause: unknown): void;
}

export interface Gathered {
  readonly frames: GatheredFrame[];
  readonly delta: GroupDelta;
  readonly waiters: Waiter[];
  /** Whose records it holds. */
  readonly sources: BySource;
  /** When the first of it came, monotonic milliseconds. */
  readonly sinceMs: number;
}

interface Open extends OpenFrame {
  bytes: Uint8Array;
  readonly key: string;
  readonly stream: Stream;
  readonly quarter: number;
  readonly mixed: boolean;
  closed: Promise<Uint8Array> | undefined;
  contents: Uint8Array | undefined;
  /** What of it was counted. */
  countedBytes: number;
  countedRecords: number;
}

/** Frames below this cost ratio and headers: several of them in one group are mixed. */
const smallBytes = 64 * 1024;
const smallMax = 4;
/**
 * Worth writing before its time is over. Not at the first full frame: each group is two writes, a sync and a frame that is not full, and
 * those are a tenth of what 10 MB/s cost. Not later: senders that wait for their answer bring no more until it is written.
 */
const groupFullBytes = 2 * frameBytes;
/** Streams kept apart while a group gathers, 4 KiB each at least; beyond, records are mixed in the order they come. */
const streamsApart = 4096;
/**
 * NDJSON of a mixed frame. A group's streams lie in them in the order of their keys, so whoever ships an eighth of a thousand
 * streams decodes an eighth of a group and not all of it. A mebibyte would compress 3 % better.
 */
const mixedBytes = 256 * 1024;
/** NDJSON for a byte of contents, at least: compressed six times it costs 3 %, and saves whoever splits the frame one of two decodings. */
const contentsShare = 200;

export class Gather {
  readonly #compress: Compress;
  readonly #level: number;
  readonly #buffers: FrameBuffers;
  #frames: Open[] = [];
  /** By quarter, then key: a key put together from both would be a new string for every record. */
  #open = new Map<number, Map<string, Open>>();
  #openCount = 0;
  #delta: GroupDelta = {};
  #waiters: Waiter[] = [];
  #bytes = 0;
  #sources: BySource = new Map();
  /** Frames that were handed out since the last `add`. */
  readonly #touched = new Set<Open>();
  /** When the first of what is here came; undefined while there is nothing. */
  sinceMs: number | undefined;
  /** The group is worth writing. */
  filled = false;

  constructor(compress: Compress, level: number, buffers: FrameBuffers) {
    this.#compress = compress;
    this.#level = level;
    this.#buffers = buffers;
  }

  /** NDJSON bytes gathered, up to the last `add`. */
  rawBytes(): number {
    return this.#bytes;
  }

  empty(): boolean {
    return this.#waiters.length === 0;
  }

  readonly frames: Frames = (key, stream, timeMs, roomBytes) => {
    const quarter = Math.floor(timeMs / quarterMs);
    const streams = this.#open.get(quarter);
    let frame = streams?.get(key);
    if (frame === undefined && this.#openCount >= streamsApart) {
      frame = streams?.get(mixedKey(stream)) ?? this.#add(mixedKey(stream), fromOf(stream), quarter, true, roomBytes);
    }
    frame ??= this.#add(key, stream, quarter, false, roomBytes);
    this.#touched.add(frame);
    if (frame.bytes.byteLength - frame.length >= roomBytes) return frame;
    if (frame.length + roomBytes <= frameBytes) {
      this.#grow(frame, frame.length + roomBytes);
      return frame;
    }
    // An empty frame that is too small for one giant record grows beyond the usual bound; any other is full.
    if (frame.length > 0) {
      void this.#close(frame);
      const next = this.#add(frame.key, frame.stream, quarter, frame.mixed, Math.max(roomBytes, frameBytes));
      this.#touched.add(next);
      return next;
    }
    this.#grow(frame, roomBytes);
    return frame;
  };

  /** Counts what was just written towards this group. */
  add(source: string, delta: PositionDelta | undefined, waiter: Waiter, nowMs: number): void {
    if (delta !== undefined) addDelta(this.#delta, source, delta);
    const added = { records: 0, bytes: 0 };
    for (const frame of this.#touched) {
      added.records += frame.records - frame.countedRecords;
      added.bytes += frame.length - frame.countedBytes;
      frame.countedRecords = frame.records;
      frame.countedBytes = frame.length;
    }
    this.#touched.clear();
    addAmount(this.#sources, source, added);
    this.#bytes += added.bytes;
    if (this.#bytes >= groupFullBytes) this.filled = true;
    this.#waiters.push(waiter);
    this.sinceMs ??= nowMs;
  }

  /** Everything gathered so far, as a group; the next one begins empty. */
  take(): Gathered {
    this.#touched.clear();
    this.#mixSmall();
    const frames: GatheredFrame[] = [];
    for (const frame of this.#frames) {
      if (frame.records === 0) {
        this.#buffers.give(frame.bytes);
        continue;
      }
      const { stream, mixed, records, length, minMs, maxMs, contents } = frame;
      const known = contents === undefined ? {} : { contents };
      frames.push({ stream, mixed, ...known, records, rawBytes: length, minMs, maxMs, payload: frame.closed ?? this.#close(frame) });
    }
    const group = { frames, delta: this.#delta, waiters: this.#waiters, sources: this.#sources, sinceMs: this.sinceMs ?? 0 };
    this.#frames = [];
    this.#open = new Map();
    this.#openCount = 0;
    this.#delta = {};
    this.#waiters = [];
    this.#bytes = 0;
    this.#sources = new Map();
    this.sinceMs = undefined;
    this.filled = false;
    return group;
  }

  #add(key: string, stream: Stream, quarter: number, mixed: boolean, roomBytes: number): Open {
    // Few streams get what they will need anyway; many have a few records each.
    const bytes = this.#buffers.take(this.#openCount < streamsOpen ? Math.max(roomBytes, smallBytes) : roomBytes);
    const frame = newFrame(key, stream, quarter, mixed, bytes);
    this.#frames.push(frame);
    const streams = this.#open.get(quarter);
    if (streams === undefined) this.#open.set(quarter, new Map([[key, frame]]));
    else streams.set(key, frame);
    this.#openCount++;
    return frame;
  }

  #grow(frame: Open, bytes: number): void {
    const larger = this.#buffers.take(Math.max(bytes, Math.min(frameBytes, frame.bytes.byteLength * 4)));
    larger.set(frame.bytes.subarray(0, frame.length));
    this.#buffers.give(frame.bytes);
    frame.bytes = larger;
  }

  #close(frame: Open): Promise<Uint8Array> {
    const payload = this.#compress.zstd(frame.bytes.subarray(0, frame.length), this.#level);
    this.#forget(frame);
    frame.closed = payload.finally(() => this.#buffers.give(frame.bytes));
    frame.closed.catch(() => {}); // the committer awaits it and sees the rejection
    return frame.closed;
  }

  #forget(frame: Open): void {
    if (this.#open.get(frame.quarter)?.delete(frame.key) === true) this.#openCount--;
  }

  /** Joins small frames of one quarter and source, where there are several, into mixed ones. */
  #mixSmall(): void {
    for (const streams of this.#open.values()) {
      const small = [...streams.values()].filter((frame) => frame.records > 0 && frame.length < smallBytes);
      if (small.length <= smallMax) continue;
      for (const frames of Map.groupBy(small, (frame) => frame.stream.from).values()) if (frames.length > smallMax) this.#join(frames);
    }
  }

  #join(frames: Open[]): void {
    let left = frames.reduce((sum, frame) => sum + frame.length, 0);
    let joined: Open | undefined;
    let [contents, known] = [new ContentsWriter(), true];
    const end = (): void => {
      const bytes = contents.bytes();
      if (joined !== undefined && known && bytes.length <= joined.length / contentsShare) joined.contents = bytes;
      [contents, known] = [new ContentsWriter(), true];
    };
    // A stream is kept apart from its first record in a group, or not at all: what was mixed as it came is of others.
    for (const frame of frames.sort((a, b) => (a.key < b.key ? -1 : 1))) {
      if (joined === undefined || joined.length + frame.length > mixedBytes) {
        end();
        joined = newFrame(frame.key, fromOf(frame.stream), frame.quarter, true, this.#buffers.take(Math.min(left, mixedBytes)));
        this.#frames.push(joined);
      }
      left -= frame.length;
      if (frame.mixed) known = false;
      else contents.add(frame.stream, frame.records, frame.length);
      this.#move(frame, joined);
    }
    end();
  }

  #move(from: Open, to: Open): void {
    to.bytes.set(from.bytes.subarray(0, from.length), to.length);
    to.length += from.length;
    to.records += from.records;
    to.minMs = Math.min(to.minMs, from.minMs);
    to.maxMs = Math.max(to.maxMs, from.maxMs);
    from.records = 0;
    from.length = 0;
    this.#forget(from);
  }
}

function newFrame(key: string, stream: Stream, quarter: number, mixed: boolean, bytes: Uint8Array): Open {
  const empty = { length: 0, records: 0, minMs: Infinity, maxMs: -Infinity, countedBytes: 0, countedRecords: 0 };
  return { key, stream, quarter, mixed, bytes, closed: undefined, contents: undefined, ...empty };
}

/** Not the key of any stream, which is JSON. */
function mixedKey({ from }: Stream): string {
  return `mixed\n${from ?? ""}`;
}

/** What the records of a mixed frame have in common. */
function fromOf({ from }: Stream): Stream {
  return from === undefined ? {} : { from };
}
