/**
 * Lines that are more than plain text, to records: unwrap, join, put together, read the time, parse, write.
 *
 *     chunk ─ lines ─▶ unwrap ─▶ text.ts ─▶ time ─▶ parse ─▶ record.ts
 *                      cri         events     in the     json
 *                      docker                 line       logfmt
 *
 * Only sources that ask for a format, a time or events come here: plain lines take the way of ../lines.ts. A line that is not in its
 * source's format is never lost: it is a record with its text as `message`, and counted.
 */
import { isUtf8 } from "node:buffer";
import type { Chunk, PositionDelta } from "../../core/contract.ts";
import { Lines, lineEndsOf, markBytes } from "../../core/encoding.ts";
import { spanTimeout, type LineKeys } from "../../core/format.ts";
import { JsonScan } from "../../core/json.ts";
import { cutAt } from "../escape.ts";
import type { FrameWriter } from "../frame.ts";
import type { LinesOptions } from "../lines.ts";
import { unwrapCri } from "./cri.ts";
import { DockerLines } from "./docker.ts";
import { createLine, noCounts, outputs, type FormatCounts, type Line } from "./line.ts";
import { Logfmt } from "./logfmt.ts";
import { createMachine } from "./presets.ts";
import { RecordWriter } from "./record.ts";
import { Swift } from "./swift.ts";
import { Text, type TextOptions } from "./text.ts";
import { TimeFinder } from "./time.ts";

/** Kept of open events of all texts together; beyond, events end where their chunk does. Ten thousand files of 3 KiB each. */
const heldBytesMax = 32 * 1024 * 1024;
const LF = 10;
const CR = 13;
const SPACE = 0x20;
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();
const utf8 = { ends: lineEndsOf(undefined) };

export interface FormatEncoded extends FormatCounts {
  /** Of a chunk with a flow: what may be committed with it. */
  readonly position?: PositionDelta | undefined;
}

/** Undefined when the lines are plain ones and nothing else is asked for. */
export function createFormatEncoder(keys: LineKeys, lines: LinesOptions): FormatEncoder | undefined {
  const { format = "plain", timestamp, multiline } = keys;
  return format === "plain" && timestamp === undefined && multiline === undefined ? undefined : new FormatEncoder(keys, lines);
}

export class FormatEncoder {
  readonly #lines: LinesOptions;
  readonly #format: NonNullable<LineKeys["format"]>;
  readonly #asText: boolean;
  readonly #time: TimeFinder | undefined;
  readonly #keyed: boolean;
  readonly #spans: boolean;
  readonly #several: boolean;
  readonly #options: TextOptions;
  readonly #texts = new Map<string, Text>();
  #heldBytes = 0;
  readonly #scan: JsonScan;
  readonly #logfmt: Logfmt;
  readonly #docker = new DockerLines();
  readonly #swift: Swift | undefined;
  readonly #line = createLine();
  /** Of the chunk at hand. */
  #record: RecordWriter | undefined;
  #writer: FrameWriter | undefined;
  #counts = noCounts();
  #scanned: Uint8Array | undefined;
  #flat: Uint8Array = new Uint8Array(0);
  readonly #foreign = new Map<string, Lines>();

  constructor(keys: LineKeys, lines: LinesOptions) {
    const { format = "plain", data_as, timestamp, multiline } = keys;
    const timeout = spanTimeout(keys);
    this.#lines = lines;
    this.#format = format;
    this.#asText = data_as === "string";
    this.#keyed = timestamp?.key !== undefined && (format === "json" || format === "logfmt");
    this.#time = timestamp === undefined ? undefined : new TimeFinder(timestamp);
    this.#scan = new JsonScan(timestamp?.key ?? "");
    this.#logfmt = new Logfmt(timestamp?.key);
    this.#spans = timeout !== undefined;
    this.#several = multiline !== undefined;
    const { kernel } = lines;
    if (kernel !== undefined && !this.#spans && format !== "logfmt") {
      const content = format === "plain" ? "message" : this.#asText ? "text" : "data";
      this.#swift = new Swift({ lines, kernel, content, time: this.#time, key: this.#keyed ? timestamp?.key : undefined });
    }
    this.#options = {
      machine: multiline === undefined ? undefined : createMachine(multiline),
      linesMax: multiline?.lines_max ?? 1,
      bytesMax: multiline?.bytes_max ?? lines.lineBytesMax,
      lineBytesMax: lines.lineBytesMax,
      timeoutMs: timeout ?? Infinity,
    };
  }

  encode(chunk: Chunk, writer: FrameWriter): FormatEncoded {
    const { flow, bytes, readMs } = chunk;
    const counts = (this.#counts = noCounts());
    const { fields, stream } = this.#lines;
    this.#record = new RecordWriter(fields, stream, chunk, writer, counts);
    this.#writer = writer;
    this.#scanned = undefined;
    if (!this.#spans) {
      this.#split(chunk, undefined, chunk.offset ?? 0);
      return { ...counts, position: flow?.cover(flow.placeAt(bytes.length), undefined) };
    }
    const start = flow?.start ?? chunk.offset ?? 0;
    const text = this.#textOf(chunk, start);
    const before = text.heldBytes;
    text.begin(bytes, counts);
    this.#split(chunk, text, start);
    const end = flow === undefined || flow.end;
    let settled = text.settle(flow, start, readMs, end);
    this.#heldBytes += text.heldBytes - before;
    if (this.#heldBytes > heldBytesMax && text.heldBytes > 0) {
      counts.split++;
      this.#heldBytes -= text.heldBytes;
      text.begin(bytes, counts);
      settled = text.settle(flow, start, readMs, true);
    }
    if (flow !== undefined && settled.idle) this.#texts.delete(flow.key);
    return { ...counts, position: flow?.cover(settled.known, settled.state) };
  }

  /** The text that `chunk` goes on with. What was held of one that is read again from further back is forgotten. */
  #textOf({ flow, readMs }: Chunk, start: number): Text {
    const make = (): Text => new Text(this.#options, start, flow?.state, this.#counts, (event) => this.#finish(event));
    if (flow === undefined) return make();
    const known = this.#texts.get(flow.key);
    if (known?.next === start) return known;
    if (known !== undefined) {
      this.#heldBytes -= known.heldBytes;
      // Bytes between were left out by the source: what was begun before them ends there.
      if (known.next < start) known.settle(undefined, known.next, readMs, true);
    }
    const text = make();
    this.#texts.set(flow.key, text);
    return text;
  }

  #split(chunk: Chunk, text: Text | undefined, place: number): void {
    const { bytes, readMs, encoding } = chunk;
    const foreign = encoding === undefined ? undefined : this.#foreignLines(encoding);
    // What is ASCII in an encoding that holds it needs no decoder.
    const read = foreign?.isPlain(bytes) === true ? undefined : foreign;
    const { ends } = foreign ?? utf8;
    const line = this.#line;
    const valid = read !== undefined || isUtf8(bytes);
    const nuls = bytes.indexOf(0) >= 0;
    const marked = chunk.offset === 0 && markBytes(bytes, 0, bytes.length) > 0;
    const forKernel = read === undefined && !nuls && !marked && this.#swift?.begin(chunk, this.#writer as FrameWriter, this.#counts) === true;
    const swift = forKernel ? this.#swift : undefined;
    for (let start = swift?.run(0) ?? 0; start < bytes.length; start = swift?.run(start) ?? start) {
      const found = ends.first(bytes, start, bytes.length, place);
      const next = found < 0 ? bytes.length : found;
      line.bytes = bytes;
      line.start = start;
      line.end = found < 0 ? next : ends.trim(bytes, start, next - ends.unit);
      line.place = place + start;
      line.output = outputs.none;
      line.goesOn = false;
      line.partial = chunk.partial === true;
      line.truncated = chunk.truncated === true;
      line.seconds = NaN;
      if (read !== undefined) this.#read(line, read);
      if (nuls) this.#skipNuls(line, ends.unit);
      if (line.place === 0 && chunk.offset === 0) this.#skipMark(line, read);
      if (!valid && !isUtf8(bytes.subarray(line.start, line.end))) this.#repair(line);
      start = next;
      if (found < 0 && line.start === line.end) continue; // nothing but what was left out
      this.#unwrap(line);
      if (read === undefined && line.end - line.start > this.#lines.lineBytesMax) this.#cut(line);
      if (text === undefined) this.#finish(line);
      else text.add(line, readMs);
      swift?.learn(line);
    }
  }

  #foreignLines(encoding: string): Lines {
    let lines = this.#foreign.get(encoding);
    if (lines === undefined) this.#foreign.set(encoding, (lines = new Lines(encoding)));
    return lines;
  }

  /** Into UTF-8. The bound on a line counts bytes as they came. */
  #read(line: Line, lines: Lines): void {
    const { bytes, start, end } = line;
    const cut = Math.min(end, start + this.#lines.lineBytesMax);
    line.truncated ||= cut < end;
    line.bytes = lines.read(bytes.subarray(start, cut), line.truncated);
    line.start = 0;
    line.end = line.bytes.length;
    if (lines.invalid) this.#counts.invalidUtf8++;
  }

  /** A byte order mark at the begin of the file is no part of its first line. */
  #skipMark(line: Line, read: Lines | undefined): void {
    const bytes = markBytes(line.bytes, line.start, line.end);
    if (bytes === 0) return;
    line.start += bytes;
    line.place += read === undefined ? bytes : read.markBytes;
  }

  /** NUL bytes before a line are no part of it: its writer kept its place when the file was truncated. */
  #skipNuls(line: Line, unit: number): void {
    const { start, end } = line;
    let at = start;
    while (at < end && line.bytes[at] === 0) at++;
    if (at === start) return;
    line.start = at;
    line.place += (at - start) * unit;
    this.#counts.nulRuns++;
  }

  #repair(line: Line): void {
    this.#counts.invalidUtf8++;
    line.bytes = encoder.encode(decoder.decode(line.bytes.subarray(line.start, line.end)));
    line.start = 0;
    line.end = line.bytes.length;
  }

  #cut(line: Line): void {
    line.end = cutAt(line.bytes, line.start, line.end, this.#lines.lineBytesMax);
    line.truncated = true;
  }

  #unwrap(line: Line): void {
    const format = this.#format;
    if (format !== "cri" && format !== "docker") return;
    if (format === "cri" ? unwrapCri(line) : this.#docker.unwrap(line)) return;
    line.seconds = NaN;
    if (line.end > line.start) this.#counts.mismatched++;
  }

  /** An event, or a line that is one by itself, becomes a record. */
  #finish(line: Line): void {
    const { bytes, start, end } = line;
    if (start === end && this.#lines.skipEmpty) return;
    if (this.#time !== undefined && !this.#keyed && !this.#time.find(line, this.#readMs())) this.#counts.timeUnread++;
    if (start === end || line.truncated) this.#record?.write(line, "message", bytes, start, end);
    else if (this.#format === "json") this.#json(line);
    else if (this.#format === "logfmt") this.#pairs(line);
    else this.#record?.write(line, "message", bytes, start, end);
  }

  #json(line: Line): void {
    const { bytes, start, end } = line;
    const scan = this.#scanOf(bytes);
    const record = this.#record as RecordWriter;
    const fine = scan.scan(start, end);
    if (this.#keyed) {
      const { start: from, end: to } = scan.value;
      const quotes = fine && from >= 0 && bytes[from] === 0x22 ? 1 : 0;
      this.#readTime(line, bytes, fine ? from + quotes : -1, to - quotes);
    }
    if (!fine) {
      this.#counts.mismatched++;
      record.write(line, "message", bytes, start, end);
    } else if (this.#asText) {
      record.write(line, "text", bytes, scan.object.start, scan.object.end);
    } else if (scan.stumble !== "") {
      this.#counts.keptAsText++;
      record.write(line, "message", bytes, start, end);
    } else if (this.#several) {
      const { start: from, end: to } = scan.object;
      record.write(line, "data", this.#inOneLine(bytes, from, to), 0, to - from);
    } else {
      record.write(line, "data", bytes, scan.object.start, scan.object.end);
    }
  }

  #pairs(line: Line): void {
    const { bytes, start, end } = line;
    const record = this.#record as RecordWriter;
    const logfmt = this.#logfmt;
    const length = logfmt.convert(bytes, start, end);
    if (this.#keyed) this.#readTime(line, bytes, length < 0 ? -1 : logfmt.valueStart, logfmt.valueEnd);
    if (length < 0) {
      this.#counts.mismatched++;
      record.write(line, "message", bytes, start, end);
    } else if (this.#asText) {
      record.write(line, "text", logfmt.out, 0, length);
    } else if (logfmt.doubtful && (!this.#scanOf(logfmt.out).scan(0, length) || this.#scan.stumble !== "")) {
      this.#counts.keptAsText++;
      record.write(line, "message", bytes, start, end);
    } else {
      record.write(line, "data", logfmt.out, 0, length);
    }
  }

  #readTime(line: Line, bytes: Uint8Array, start: number, end: number): void {
    const read = start >= 0 && this.#time?.readWhole(line, bytes, start, end, this.#readMs()) === true;
    if (!read) this.#counts.timeUnread++;
  }

  #readMs(): number {
    return (this.#record as RecordWriter).readMs;
  }

  #scanOf(bytes: Uint8Array): JsonScan {
    if (this.#scanned !== bytes) this.#scan.use(bytes);
    this.#scanned = bytes;
    return this.#scan;
  }

  /** A copy of JSON whose line ends, which can only be white space in it, are blanks. */
  #inOneLine(bytes: Uint8Array, start: number, end: number): Uint8Array {
    if (this.#flat.length < end - start) this.#flat = new Uint8Array(2 * (end - start));
    for (let at = start; at < end; at++) {
      const byte = bytes[at] as number;
      this.#flat[at - start] = byte === LF || byte === CR ? SPACE : byte;
    }
    return this.#flat;
  }
}
