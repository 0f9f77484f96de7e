/**
 * Lines of text to NDJSON records: the hot path of the house.
 *
 * A record is never a string or an object here: bytes go from the chunk into the open frame, by the kernel (kernel/kernel.ts)
 * where the machine can run it, by the plain loop (loop.ts) else. Measured on access-log lines of 211 bytes, one core, in MB/s
 * of input: the kernel 3,200, the plain loop 1,090, a loop by bytes 840, `Buffer.copy` of the runs between escapes 770 (two
 * calls into the runtime per run cost more than they save).
 *
 * Room in the frame is not estimated: the loop writes until the frame is full, takes back the record begun, and asks for a
 * frame with exactly the room this record takes. So frames fill up, and a line that grows six times costs nobody else.
 *
 * Bytes that are not UTF-8 become U+FFFD exactly as the WHATWG decoder does it: lines that hold some (LF is never inside a
 * character, so lines can be judged one by one) go through the decoder and back, all others take the way above.
 */
import { isUtf8 } from "node:buffer";
import { assert } from "../core/assert.ts";
import type { Chunk } from "../core/contract.ts";
import { markBytes } from "../core/encoding.ts";
import { headOf, pack, tailOf, type Fields, type Packed } from "./envelope.ts";
import { cutAt, escapedLength } from "./escape.ts";
import { slackBytes, type FrameWriter, type NamedStream } from "./frame.ts";
import type { RecordsKernel } from "./kernel/records.ts";
import { digitsMax, type EncodeRun, type Run } from "./loop.ts";

export interface LinesOptions {
  readonly fields: Fields;
  readonly stream: NamedStream;
  /** Longer lines are cut, in bytes as they come, without their end. */
  readonly lineBytesMax: number;
  readonly skipEmpty: boolean;
  readonly encodeRun: EncodeRun;
  /** For lines that are more than plain text, where the machine can run it. */
  readonly kernel: RecordsKernel | undefined;
}

export interface LinesCounts {
  records: number;
  /** Records that held bytes that are not UTF-8. */
  invalidUtf8: number;
  /** Runs of NUL bytes before lines, left out. */
  nulRuns: number;
  /** Records cut at `lineBytesMax`, here or by the source. */
  truncated: number;
}

const LF = 10;
const CR = 13;
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();

/** Encodes the lines of one chunk; made anew for each, since the constant bytes are the chunk's. */
export class LineEncoder {
  readonly counts: LinesCounts = { records: 0, invalidUtf8: 0, nulRuns: 0, truncated: 0 };
  readonly #options: LinesOptions;
  readonly #writer: FrameWriter;
  readonly #timeMs: number;
  readonly #offset: number | undefined;
  /** The source has cut the line already. */
  readonly #cut: boolean;
  readonly #head: Packed;
  readonly #tail: Packed;
  readonly #tailTruncated: Packed;

  constructor(options: LinesOptions, chunk: Chunk, writer: FrameWriter) {
    this.#options = options;
    this.#writer = writer;
    this.#timeMs = chunk.readMs;
    this.#offset = chunk.offset;
    this.#cut = chunk.truncated === true;
    const flags = { partial: chunk.partial === true, truncated: this.#cut };
    this.#head = pack(headOf(options.fields, chunk));
    this.#tail = pack(tailOf(options.fields, flags, "message"));
    this.#tailTruncated = pack(tailOf(options.fields, { ...flags, truncated: true }, "message"));
  }

  /** All lines of `bytes`. A byte order mark at the begin of the file is no part of the first. */
  encode(bytes: Uint8Array): void {
    let from = this.#offset === 0 ? markBytes(bytes, 0, bytes.length) : 0;
    for (let nul = bytes.indexOf(0); nul >= 0; nul = bytes.indexOf(0, from)) from = this.#upToNuls(bytes, from, nul);
    this.#all(bytes, from, bytes.length);
    if (this.#cut) this.counts.truncated = this.counts.records;
  }

  /**
   * Lines of `bytes[from, …)` up to the first that NUL bytes stand before, the first NUL being at `nul`: its writer kept its place when the
   * file was truncated. Returns where that line begins behind them.
   */
  #upToNuls(bytes: Uint8Array, from: number, nul: number): number {
    // Within a line they are content.
    let start = nul;
    while (start >= 0 && start !== from && bytes[start - 1] !== LF) start = bytes.indexOf(0, start + 1);
    this.#all(bytes, from, start < 0 ? bytes.length : start);
    if (start < 0) return bytes.length;
    this.counts.nulRuns++;
    let end = start;
    while (bytes[end] === 0) end++;
    return end;
  }

  #all(bytes: Uint8Array, from: number, to: number): void {
    this.#valid(bytes, this.#repair(bytes, from, to, from), to);
  }

  /** `bytes[start, end)`, which is UTF-8, not empty and holds no line end, as one record. */
  encodeOne(bytes: Uint8Array, start: number, end: number): void {
    this.#one(bytes, viewOf(bytes), start, end, this.#offsetOf(start), false);
  }

  /**
   * Encodes what comes up to the last line of `bytes[from, to)` that is not UTF-8, from `begin` on: everything from `begin` to
   * `from` is. Returns where what is left begins, all of it good. Halves are judged until a bad line is alone, so that one of
   * them in a chunk costs three looks at its bytes at most, and not a call for every line.
   */
  #repair(bytes: Uint8Array, from: number, to: number, begin: number): number {
    if (isUtf8(bytes.subarray(from, to))) return begin;
    const middle = lineBorder(bytes, from, to);
    if (middle < to) return this.#repair(bytes, middle, to, this.#repair(bytes, from, middle, begin));
    this.#valid(bytes, begin, from);
    this.#repaired(bytes, from, contentEnd(bytes, from, to));
    return to;
  }

  #repaired(bytes: Uint8Array, start: number, end: number): void {
    const cut = cutAt(bytes, start, end, this.#options.lineBytesMax);
    const repaired = encoder.encode(decoder.decode(bytes.subarray(start, cut)));
    this.counts.invalidUtf8++;
    this.#one(repaired, viewOf(repaired), 0, repaired.length, this.#offsetOf(start), cut < end);
  }

  #offsetOf(index: number): number | undefined {
    return this.#offset === undefined ? undefined : this.#offset + index;
  }

  /** Lines of UTF-8 in `bytes[from, to)`. */
  #valid(bytes: Uint8Array, from: number, to: number): void {
    if (from >= to) return;
    const view = viewOf(bytes);
    let at = from;
    while (at < to) {
      const first = this.#first(bytes, view, at, to);
      const next = first > at ? first : this.#run(bytes, view, at, to, this.#offset, this.#tail, this.#options.lineBytesMax);
      assert(next > at, "a frame opened for a line has no room for it");
      at = next;
    }
  }

  /** The line a run begins with: skipped, cut, or room made for it. Returns where to go on. */
  #first(bytes: Uint8Array, view: DataView, start: number, to: number): number {
    const found = bytes.indexOf(LF, start);
    const next = found < 0 || found >= to ? to : found + 1;
    const end = contentEnd(bytes, start, next);
    if (end === start && this.#options.skipEmpty) return next;
    const cut = cutAt(bytes, start, end, this.#options.lineBytesMax);
    if (cut === end) {
      this.#open(escapedLength(bytes, start, next));
      return start;
    }
    this.#one(bytes, view, start, cut, this.#offsetOf(start), true);
    return next;
  }

  /** `bytes[start, end)`, which is not empty and holds no line end, as one record. */
  #one(bytes: Uint8Array, view: DataView, start: number, end: number, offset: number | undefined, truncated: boolean): void {
    this.#open(escapedLength(bytes, start, end));
    if (truncated) this.counts.truncated++;
    const base = offset === undefined ? undefined : offset - start;
    const reached = this.#run(bytes, view, start, end, base, truncated ? this.#tailTruncated : this.#tail, Infinity);
    assert(reached === end, "a frame opened for a record has no room for it");
  }

  /** Encodes until the frame is full; returns where the first line begins that was not encoded. */
  #run(bytes: Uint8Array, view: DataView, from: number, to: number, base: number | undefined, tail: Packed, lineBytesMax: number): number {
    const { bytes: out, view: outView, at } = this.#writer;
    const { skipEmpty, encodeRun } = this.#options;
    const run: Run = { bytes, view, from, to, base, head: this.#head, tail, lineBytesMax, skipEmpty, out, outView, end: at, records: 0, next: from };
    encodeRun(run);
    this.#writer.commit(run.end, run.records, this.#timeMs, this.#timeMs);
    this.counts.records += run.records;
    return run.next;
  }

  #open(escapedBytes: number): void {
    const room = this.#head.length + digitsMax + this.#tailTruncated.length + escapedBytes + slackBytes;
    this.#writer.reserve(this.#options.stream, this.#timeMs, room);
  }
}

/** Where the line `bytes[start, next)` ends without its LF or CRLF. */
function contentEnd(bytes: Uint8Array, start: number, next: number): number {
  if (next === start || bytes[next - 1] !== LF) return next;
  return next - 2 >= start && bytes[next - 2] === CR ? next - 2 : next - 1;
}

/** Where a line begins inside `bytes[from, to)`, near its middle; `to` when it is one line. */
function lineBorder(bytes: Uint8Array, from: number, to: number): number {
  const before = bytes.lastIndexOf(LF, (from + to) >> 1) + 1;
  if (before > from && before < to) return before;
  const found = bytes.indexOf(LF, (from + to) >> 1);
  return found < 0 || found >= to ? to : found + 1;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
