/**
 * What arrives between two commits: open frames that encoders write into, the position deltas and who waits for them.
 *
 * Frames keep the order in which they were opened, so that the records of a file keep theirs. A full frame is compressed
 * at once, off the main thread, while others gather. Memory: `groupBytes` and one chunk, since nobody is let in beyond that.
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
}

/** Frames below this cost ratio and headers: several of them in one group are mixed. */
const smallBytes = 64 * 1024;
const smallMax = 4;

export class Gather {
  readonly #compress: Compress;
  readonly #level: number;
  readonly #buffers: FrameBuffers;
  #frames: Open[] = [];
  #open = new Map<string, Open>();
  #delta: GroupDelta = {};
  #waiters: Waiter[] = [];
  #closedBytes = 0;
  #closedRecords = 0;
  #sources: BySource = new Map();
  /** Records and bytes that were attributed to a source so far. */
  #attributed = { records: 0, bytes: 0 };
  /** When the first of what is here came; undefined while there is nothing. */
  sinceMs: number | undefined;
  /** A frame has been filled: the group is worth writing. */
  filled = false;

  constructor(compress: Compress, level: number, buffers: FrameBuffers) {
    this.#compress = compress;
    this.#level = level;
    this.#buffers = buffers;
  }

  /** NDJSON bytes gathered. Walks the open frames, at most `streamsOpen` and the mixed ones. */
  rawBytes(): number {
    let bytes = this.#closedBytes;
    for (const frame of this.#open.values()) bytes += frame.length;
    return bytes;
  }

  #records(): number {
    let records = this.#closedRecords;
    for (const frame of this.#open.values()) records += frame.records;
    return records;
  }

  empty(): boolean {
    return this.#waiters.length === 0;
  }

  readonly frames: Frames = (key, stream, timeMs, roomBytes) => {
    const quarter = Math.floor(timeMs / quarterMs);
    let frame = this.#open.get(`${quarter} ${key}`);
    if (frame === undefined && this.#open.size >= streamsOpen) {
      const from = stream.from === undefined ? {} : { from: stream.from };
      frame = this.#open.get(mixedKey(quarter, stream)) ?? this.#add(mixedKey(quarter, stream), from, quarter, true, roomBytes);
    }
    frame ??= this.#add(`${quarter} ${key}`, stream, quarter, false, roomBytes);
    if (frame.bytes.byteLength - frame.length >= roomBytes) return frame;
    if (frame.length + roomBytes <= frameBytes) {
      this.#grow(frame, frame.length + roomBytes);
      return frame;
    }
    // An empty frame that is too small for one giant record grows beyond the usual bound; any other is full.
    if (frame.length > 0) {
      void this.#close(frame);
      this.filled = true;
      return this.#add(frame.key, frame.stream, quarter, frame.mixed, Math.max(roomBytes, frameBytes));
    }
    this.#grow(frame, roomBytes);
    return frame;
  };

  /** Counts what was just written towards this group. */
  add(source: string, delta: PositionDelta | undefined, waiter: Waiter, nowMs: number): void {
    if (delta !== undefined) addDelta(this.#delta, source, delta);
    const records = this.#records();
    const bytes = this.rawBytes();
    addAmount(this.#sources, source, { records: records - this.#attributed.records, bytes: bytes - this.#attributed.bytes });
    this.#attributed = { records, bytes };
    this.#waiters.push(waiter);
    this.sinceMs ??= nowMs;
  }

  /** Everything gathered so far, as a group; the next one begins empty. */
  take(): Gathered {
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
    this.#closedBytes = 0;
    this.#closedRecords = 0;
    this.#sources = new Map();
    this.#attributed = { records: 0, bytes: 0 };
    this.sinceMs = undefined;
    this.filled = false;
    return group;
  }

  #add(key: string, stream: Stream, quarter: number, mixed: boolean, roomBytes: number): Open {
    const bytes = this.#buffers.take(roomBytes);
    const frame: Open = { key, stream, quarter, mixed, bytes, length: 0, records: 0, minMs: Infinity, maxMs: -Infinity, closed: undefined };
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
    this.#closedBytes += frame.length;
    this.#closedRecords += frame.records;
    this.#open.delete(frame.key);
    frame.closed = payload.finally(() => this.#buffers.give(frame.bytes));
    frame.closed.catch(() => {}); // the committer awaits it and sees the rejection
    return frame.closed;
  }

  /** Joins small frames of one quarter and source, where there are several, into mixed ones. */
  #mixSmall(): void {
    const small = Map.groupBy(
      [...this.#open.values()].filter((frame) => frame.records > 0 && frame.length < smallBytes),
      (frame) => mixedKey(frame.quarter, frame.stream),
    );
    for (const [key, frames] of small) {
      const [first] = frames;
      if (first === undefined || frames.length <= smallMax) continue;
      const total = frames.reduce((sum, frame) => sum + frame.length, 0);
      const from = first.stream.from === undefined ? {} : { from: first.stream.from };
      const joined = { ...this.#detached(key, from, first.quarter, total) };
      for (const frame of frames) this.#move(frame, joined);
      this.#frames.push(joined);
    }
  }

  #detached(key: string, stream: Stream, quarter: number, roomBytes: number): Open {
    const bytes = this.#buffers.take(roomBytes);
    return { key, stream, quarter, mixed: true, bytes, length: 0, records: 0, minMs: Infinity, maxMs: -Infinity, closed: undefined };
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

function mixedKey(quarter: number, stream: Stream): string {
  return `${quarter} mixed\n${stream.from ?? ""}`;
}
