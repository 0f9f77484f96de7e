/**
 * NDJSON to records, strictly: every line that is not empty is a JSON object, or nothing of the chunk is written.
 *
 * Two passes: the first reads every line and decides what becomes of it, the second writes and cannot fail.
 * - A record of another logferry stays byte for byte; host, source, labels and time are its own. A time that is more than
 *   ten years back or a day ahead of the reading does not choose the frame (counted): the read time does. Its bytes stay, so
 *   it cannot say so itself.
 * - Any other object becomes `"data":{…}` of a record of this source, its bytes as they are.
 * - An object that some reader would stumble over (core/json.ts) becomes the record's `"message"`, as text (counted).
 */
import { isUtf8 } from "node:buffer";
import type { Chunk, StreamFields } from "../core/contract.ts";
import { Fault } from "../core/fault.ts";
import { JsonScan } from "../core/json.ts";
import { quarterMs, recordAgeMsMax, recordAheadMsMax } from "../core/limits.ts";
import { headOf, pack, tailOf, type Fields } from "./envelope.ts";
import type { FrameWriter, NamedStream } from "./frame.ts";
import { LineEncoder, type LinesOptions } from "./lines.ts";
import { digitsMax, store, storeDigits } from "./loop.ts";
import { OwnRecords } from "./own.ts";
import { Rows } from "./rows.ts";
import { checkSource } from "./bound.ts";
import { parseTime } from "./time.ts";

export interface NdjsonCounts {
  records: number;
  /** Objects kept as text, since some reader would stumble over them. */
  keptAsText: number;
  /** Records whose own time is too far from the read time to choose a partition. */
  timeRejected: number;
  /** Time of the last record, wall milliseconds; undefined when there is none. */
  lastMs: number | undefined;
}

/** What becomes of a line: kept as it is (then with its stream), wrapped as data, or as a message. */
type Verdict = NamedStream | "data" | "message";

/** What the first pass leaves for the second, by record. */
interface Plan {
  readonly starts: number[];
  readonly ends: number[];
  readonly times: number[];
  readonly verdicts: Verdict[];
}

const LF = 10;

export class NdjsonEncoder {
  readonly #fields: Fields;
  readonly #lines: LinesOptions;
  readonly #own: OwnRecords;
  readonly #scan = new JsonScan();
  readonly #rows: Rows | undefined;

  /** `lines` is how a message is written: fields and stream of this source's own records. */
  constructor(lines: LinesOptions, streamFields: StreamFields) {
    this.#fields = lines.fields;
    this.#lines = lines;
    this.#own = new OwnRecords(streamFields, lines.fields.source);
    this.#rows = lines.kernel === undefined ? undefined : new Rows(lines.kernel);
  }

  /** Throws Fault `record_invalid` (poison) or `source_refused` (denied), `record` = the line's number, before anything is written. */
  encode(chunk: Chunk, writer: FrameWriter): NdjsonCounts {
    const counts: NdjsonCounts = { records: 0, keptAsText: 0, timeRejected: 0, lastMs: undefined };
    const plan = this.#read(chunk, counts);
    this.#write(chunk, plan, writer);
    counts.records = plan.starts.length;
    counts.lastMs = plan.times.at(-1);
    return counts;
  }

  #read(chunk: Chunk, counts: NdjsonCounts): Plan {
    const { bytes } = chunk;
    const plan: Plan = { starts: [], ends: [], times: [], verdicts: [] };
    const scan = this.#scan;
    if (!isUtf8(bytes)) throw invalid(...firstInvalid(bytes));
    scan.use(bytes);
    const rows = this.#rows;
    rows?.begin(bytes);
    let line = 0;
    for (let start = 0; start < bytes.length;) {
      for (let count = rows?.read(start, scan) ?? 0; count > 0; count = rows?.next(scan) ?? 0) this.#judge(chunk, ++line, plan, counts);
      start = rows?.reached(start) ?? start;
      if (start >= bytes.length) break;
      const found = bytes.indexOf(LF, start);
      const end = found < 0 ? bytes.length : found;
      line++;
      if (scan.scan(start, end)) this.#judge(chunk, line, plan, counts);
      else if (scan.reason !== "empty") throw invalid(line, `${scan.reason} (at byte ${scan.reasonAt + 1} of the line)`);
      start = end + 1;
    }
    return plan;
  }

  #judge(chunk: Chunk, line: number, plan: Plan, counts: NdjsonCounts): void {
    const scan = this.#scan;
    plan.starts.push(scan.object.start);
    plan.ends.push(scan.object.end);
    const origin = this.#own.originOf(scan, chunk.bytes);
    const ownMs = origin === undefined ? NaN : parseTime(chunk.bytes, scan.timestamp.start + 1, scan.timestamp.end - 1);
    const own = Number.isNaN(ownMs) ? undefined : origin;
    checkSource(chunk, own?.source ?? this.#fields.source, line);
    if (own === undefined) {
      plan.verdicts.push(scan.stumble === "" ? "data" : "message");
      plan.times.push(chunk.readMs);
      if (scan.stumble !== "") counts.keptAsText++;
      return;
    }
    const credible = ownMs >= chunk.readMs - recordAgeMsMax && ownMs <= chunk.readMs + recordAheadMsMax;
    if (!credible) counts.timeRejected++;
    plan.verdicts.push(own.named);
    plan.times.push(credible ? ownMs : chunk.readMs);
  }

  #write(chunk: Chunk, plan: Plan, writer: FrameWriter): void {
    const messages = new LineEncoder(this.#lines, chunk, writer);
    const data = this.#dataWriter(chunk, writer);
    for (let index = 0; index < plan.starts.length;) {
      const verdict = plan.verdicts[index] as Verdict;
      const start = plan.starts[index] as number;
      const end = plan.ends[index] as number;
      if (typeof verdict === "object") {
        index = copyRun(chunk.bytes, plan, index, verdict, writer);
        continue;
      }
      if (verdict === "data") data(start, end);
      else messages.encodeOne(chunk.bytes, start, end);
      index++;
    }
  }

  #dataWriter({ bytes, readMs, offset, ...origin }: Chunk, writer: FrameWriter): (start: number, end: number) => void {
    const at = offset === undefined ? {} : { offset };
    const head = pack(headOf(this.#fields, { readMs, ...at, ...origin }));
    const tail = pack(tailOf(this.#fields, { partial: origin.partial === true, truncated: origin.truncated === true }, "data"));
    return (start, end) => {
      writer.reserve(this.#lines.stream, readMs, head.length + digitsMax + tail.length + end - start + 2);
      let o = store(writer.view, writer.at, head);
      if (offset !== undefined) o = storeDigits(writer.bytes, o, offset + start);
      o = store(writer.view, o, tail);
      writer.bytes.set(bytes.subarray(start, end), o);
      o += end - start;
      writer.bytes[o] = 0x7d;
      writer.bytes[o + 1] = LF;
      writer.commit(o + 2, 1, readMs, readMs);
    };
  }
}

/**
 * Copies records of one stream and quarter hour that lie one after the other with one LF between, as many as the frame
 * holds, at once. Returns the index of the first one that is not copied.
 */
function copyRun(bytes: Uint8Array, plan: Plan, first: number, stream: NamedStream, writer: FrameWriter): number {
  const start = plan.starts[first] as number;
  const firstMs = plan.times[first] as number;
  const quarter = Math.floor(firstMs / quarterMs);
  let end = plan.ends[first] as number;
  writer.reserve(stream, firstMs, end - start + 1);
  let minMs = firstMs;
  let maxMs = firstMs;
  let index = first + 1;
  for (; index < plan.starts.length; index++) {
    const timeMs = plan.times[index] as number;
    const nextEnd = plan.ends[index] as number;
    if (plan.verdicts[index] !== stream || plan.starts[index] !== end + 1 || Math.floor(timeMs / quarterMs) !== quarter) break;
    if (nextEnd - start + 1 > writer.free()) break;
    end = nextEnd;
    minMs = Math.min(minMs, timeMs);
    maxMs = Math.max(maxMs, timeMs);
  }
  writer.bytes.set(bytes.subarray(start, end), writer.at);
  const recordsEnd = writer.at + end - start;
  writer.bytes[recordsEnd] = LF;
  writer.commit(recordsEnd + 1, index - first, minMs, maxMs);
  return index;
}

/** The number of the first line that is not UTF-8. */
function firstInvalid(bytes: Uint8Array): [line: number, reason: string] {
  for (let start = 0, line = 1; start < bytes.length; line++) {
    const found = bytes.indexOf(LF, start);
    const end = found < 0 ? bytes.length : found;
    if (!isUtf8(bytes.subarray(start, end))) return [line, "not valid UTF-8"];
    start = end + 1;
  }
  return [1, "not valid UTF-8"];
}

function invalid(line: number, reason: string): Fault {
  return new Fault({
    code: "record_invalid",
    retry: "poison",
    message: `line ${line}: ${reason}`,
    hint: "send one JSON object a line, in UTF-8, or plain text with Content-Type: text/plain",
    record: line,
  });
}
