/**
 * What arrives between two commits: open frames that encoders write into, the position deltas and who waits for them.
 *
 * Frames keep the order in which they were opened, so that the records of a file keep theirs. A full frame is compressed
 * at once, off the main thread, while others gather. Memory: `groupBytes` and one chunk, since nobody is let in beyond that,
 * and what is unused of the buffers, 4 KiB for a stream of few records.
 *
 * Many small streams are joined to mixed frames when the group is taken, stream by stream: what is alike lies together, which
 * compresses as well as one stream does, and whoever ships a stream finds it in one piece.
 */
import type { Compress } from "../core/compress.ts";
import type { Frames, OpenFrame, PositionDelta, Stream } from "../core/contract.ts";
import { frameBytes, quarterMs, streamsOpen } from "../core/limits.ts";
import { addAmount, type BySource } from "./drops.ts";
import { addDelta } from "./positions.ts";
import type { GroupDelta } from "./format.ts";
import type { FrameBuffers } from "./buffers.ts";

/** A frame on its way: gathered, then compressed. */
export interface GatheredFrame {
  readonly stream: Stream;
  readonly mixed: boolean;
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

export class Gather {
  readonly #compress: Compress;
  readonly #level: number;
  readonly #buffers: FrameBuffers;
  #frames: Open[] = [];
  #open = new Map<string, Open>();
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
    let frame = this.#open.get(`${quarter} ${key}`);
    if (frame === undefined && this.#open.size >= streamsApart) {
      const from = stream.from === undefined ? {} : { from: stream.from };
      frame = this.#open.get(mixedKey(quarter, stream)) ?? this.#add(mixedKey(quarter, stream), from, quarter, true, roomBytes);
    }
    frame ??= this.#add(`${quarter} ${key}`, stream, quarter, false, roomBytes);
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
      const { stream, mixed, records, length, minMs, maxMs } = frame;
      frames.push({ stream, mixed, records, rawBytes: length, minMs, maxMs, payload: frame.closed ?? this.#close(frame) });
    }
    const group = { frames, delta: this.#delta, waiters: this.#waiters, sources: this.#sources, sinceMs: this.sinceMs ?? 0 };
    this.#frames = [];
    this.#open = new Map();
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
    const bytes = this.#buffers.take(this.#open.size < streamsOpen ? Math.max(roomBytes, smallBytes) : roomBytes);
    const frame = newFrame(key, stream, quarter, mixed, bytes);
    this.#frames.push(frame);
    this.#open.set(key, frame);
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
    this.#open.delete(frame.key);
    frame.closed = payload.finally(() => this.#buffers.give(frame.bytes));
    frame.closed.catch(() => {}); // the committer awaits it and sees the rejection
    return frame.closed;
  }

  /** Joins small frames of one quarter and source, where there are several, into mixed ones of up to a mebibyte. */
  #mixSmall(): void {
    const small = Map.groupBy(
      [...this.#open.values()].filter((frame) => frame.records > 0 && frame.length < smallBytes),
      (frame) => mixedKey(frame.quarter, frame.stream),
    );
    for (const [key, frames] of small) {
      if (frames.length <= smallMax) continue;
      let left = frames.reduce((sum, frame) => sum + frame.length, 0);
      let joined: Open | undefined;
      // What came too late to be kept apart came before what was, once others were full.
      for (const frame of frames.sort((a, b) => Number(b.mixed) - Number(a.mixed))) {
        if (joined === undefined || joined.length + frame.length > frameBytes) {
          const from = frame.stream.from === undefined ? {} : { from: frame.stream.from };
          joined = newFrame(key, from, frame.quarter, true, this.#buffers.take(Math.min(left, frameBytes)));
          this.#frames.push(joined);
        }
        left -= frame.length;
        this.#move(frame, joined);
      }
    }
  }

  #move(from: Open, to: Open): void {
    to.bytes.set(from.bytes.subarray(0, from.length), to.length);
    to.length += from.length;
    to.records += from.records;
    to.minMs = Math.min(to.minMs, from.minMs);
    to.maxMs = Math.max(to.maxMs, from.maxMs);
    from.records = 0;
    from.length = 0;
    this.#open.delete(from.key);
  }
}

function newFrame(key: string, stream: Stream, quarter: number, mixed: boolean, bytes: Uint8Array): Open {
  const empty = { length: 0, records: 0, minMs: Infinity, maxMs: -Infinity, countedBytes: 0, countedRecords: 0 };
  return { key, stream, quarter, mixed, bytes, closed: undefined, ...empty };
}

function mixedKey(quarter: number, stream: Stream): string {
  return `${quarter} mixed\n${stream.from ?? ""}`;
}
