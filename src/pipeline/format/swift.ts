/**
 * The fast way from formatted lines to records: the kernel makes runs of them, from one line that it leaves to the encoder to the next.
 *
 * Whatever the kernel does not take, the encoder reads line by line, with the same outcome but for speed; from a time that it has read it
 * takes what times look like for the lines that follow. Where hardly any line is for the kernel, it is asked ever more seldom.
 */
import { isUtf8 } from "node:buffer";
import type { Chunk } from "../../core/contract.ts";
import { headOf, pack, tailOf } from "../envelope.ts";
import type { FrameWriter } from "../frame.ts";
import type { RecordsKernel, Shape, Template } from "../kernel/records.ts";
import type { LinesOptions } from "../lines.ts";
import type { FormatCounts, Line } from "./line.ts";
import type { TimeFinder } from "./time.ts";

/** In a head: where its time begins, where the hour of it ends, and where its `Z` stands. */
const timeAt = '{"timestamp":"'.length;
const hourBytes = "2026-11-23T01:".length;
const zoneAt = timeAt + "2026-11-23T01:30:20.590123".length;
/** A head of its own for less than this does not pay. */
const chunkBytesMin = 4096;
/** Lines read one by one before the kernel is asked again, when it took none of them. */
const restMax = 32;
const nothing = new Uint8Array(0);
const encoder = new TextEncoder();

/** What lines are: their content, and where their time is looked for. */
export interface SwiftOptions {
  readonly lines: LinesOptions;
  readonly kernel: RecordsKernel;
  readonly content: Shape["content"];
  readonly time: TimeFinder | undefined;
  /** The time is this key's value, and not in the line. */
  readonly key: string | undefined;
}

export class Swift {
  readonly #options: SwiftOptions;
  readonly #key: Uint8Array | undefined;
  #template: Template | undefined;
  /** Of the chunk at hand. */
  #chunk: Chunk | undefined;
  #writer: FrameWriter | undefined;
  #counts: FormatCounts | undefined;
  #shaped = false;
  /** Its envelope is too long for the kernel. */
  #off = false;
  /** The piece that the kernel has. */
  #pieceEnd = 0;
  #pieceFine = false;
  #rest = 0;
  #restNext = 0;

  constructor(options: SwiftOptions) {
    this.#options = options;
    this.#key = options.key === undefined ? undefined : encoder.encode(options.key);
  }

  /** A chunk begins. False when it is not for the kernel. */
  begin(chunk: Chunk, writer: FrameWriter, counts: FormatCounts): boolean {
    if (chunk.bytes.length < chunkBytesMin || chunk.partial === true || chunk.truncated === true) return false;
    this.#chunk = chunk;
    this.#writer = writer;
    this.#counts = counts;
    this.#pieceEnd = 0;
    this.#shaped = this.#off = false;
    this.#rest = this.#restNext = 0;
    if (this.#template !== undefined && this.#options.time?.holds(this.#template, chunk.readMs) !== true) this.#template = undefined;
    return true;
  }

  /** Encodes lines from `at`, where one begins, up to one that is left to the encoder. Returns where that one begins. */
  run(at: number): number {
    const { time, kernel, lines } = this.#options;
    const chunk = this.#chunk as Chunk;
    const writer = this.#writer as FrameWriter;
    if (this.#off) return at;
    if (this.#rest > 0) {
      this.#rest--;
      return at;
    }
    const template = this.#template;
    if ((time !== undefined && template === undefined) || !this.#prepare()) return at;
    const timeMs = template === undefined ? chunk.readMs : template.quarterSeconds * 1000;
    let next = at;
    while (next < chunk.bytes.length && this.#load(next)) {
      writer.reserve(lines.stream, timeMs, 4096);
      const end = kernel.encode(next, writer.bytes, writer.at, chunk.offset);
      this.#commit(end, timeMs);
      const stopped = kernel.reached.next < this.#pieceEnd;
      next = kernel.reached.next;
      if (stopped) break;
    }
    this.#pace(next > at);
    return next;
  }

  /** The encoder has read a line with a time, if there is one that the kernel can go by. */
  learn(line: Line): void {
    const { time } = this.#options;
    if (time === undefined || this.#rest > 0 || Number.isNaN(line.seconds)) return;
    const known = this.#template;
    // Most lines that are left over have a time like all others.
    if (known !== undefined && Math.floor(line.seconds / 900) * 900 === known.quarterSeconds && this.#restNext === 0) return;
    const template = time.template(line);
    if (template === undefined || !time.holds(template, (this.#chunk as Chunk).readMs)) return;
    this.#template = template;
    this.#shaped = false;
  }

  #commit(end: number, timeMs: number): void {
    const { records, leastNanos, largestNanos, lastNanos } = this.#options.kernel.reached;
    const counts = this.#counts as FormatCounts;
    const msOf = (nanos: number): number => {
      if (this.#template === undefined) return timeMs;
      const seconds = Math.floor(nanos / 1e9);
      return (this.#template.quarterSeconds + seconds) * 1000 + (nanos - seconds * 1e9) / 1e6;
    };
    if (records === 0) return;
    this.#writer?.commit(end, records, msOf(leastNanos), msOf(largestNanos));
    counts.records += records;
    counts.lastMs = msOf(lastNanos);
  }

  /** Sees to it that the kernel has the lines at `at`. False when they are not for it. */
  #load(at: number): boolean {
    const { bytes } = this.#chunk as Chunk;
    if (at < this.#pieceEnd) return this.#pieceFine;
    this.#pieceEnd = this.#options.kernel.load(bytes, at);
    this.#pieceFine = this.#pieceEnd > at && isUtf8(bytes.subarray(at, this.#pieceEnd));
    return this.#pieceFine;
  }

  #prepare(): boolean {
    if (this.#shaped) return true;
    const { lines, kernel, content } = this.#options;
    const chunk = this.#chunk as Chunk;
    const template = this.#template;
    const head = headOf(lines.fields, chunk);
    const tail = tailOf(lines.fields, { partial: false, truncated: false }, content === "message" ? "message" : "data");
    const hour = template === undefined ? "" : new Date(template.quarterSeconds * 1000).toISOString().slice(0, hourBytes);
    this.#shaped = kernel.shape({
      open: template === undefined ? nothing : encoder.encode(head.slice(0, timeAt) + hour),
      head: pack(template === undefined ? head : head.slice(zoneAt)),
      tail: pack(content === "text" ? `${tail}"` : tail),
      lineBytesMax: lines.lineBytesMax,
      content,
      template,
      key: this.#key,
    });
    this.#off = !this.#shaped;
    return this.#shaped;
  }

  #pace(moved: boolean): void {
    this.#restNext = moved ? 0 : Math.min(restMax, Math.max(1, 2 * this.#restNext));
    this.#rest = this.#restNext;
  }
}
