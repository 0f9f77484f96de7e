/**
 * Records of the spool as entries of Loki: stream, time, line, structured metadata.
 *
 * The line is the message's text, or the bytes of `data` as they are. What stands before it is constant but for time and offset in
 * a run of records as our own pipeline writes them: these bytes are compared with those of the record before, and the message
 * is taken as it lies where it holds no escape. Any other record is parsed whole.
 *
 * Two records of one stream with equal time, line and metadata are one entry for Loki. With `metadata: all` none are: a record says
 * its `offset`, and where it has none, its `sequence` in the spool.
 */
import { JsonScan } from "../../core/json.ts";
import type { Config } from "./config.ts";
import type { Placed, Stream, Streams } from "./stream.ts";
import type { Fields } from "./template.ts";
import { Times, type ReadTime } from "./time.ts";

export interface Entry extends ReadTime {
  readonly stream: Stream;
  readonly line: Uint8Array;
  /** Names and values by turns. */
  readonly metadata: readonly string[];
  readonly sequence: number;
  /** The line was longer. */
  readonly cut: boolean;
  /** What it adds to a push. */
  readonly bytes: number;
}

const text = String.raw`"(?:[^"\\]|\\.)*"`;
const ownHead = new RegExp(
  String.raw`^"(,"host":${text},"source":${text}(?:,"file":${text})?)(?:,"offset":(\d+))?((?:,"stream":${text})?(?:,"partial":true)?(?:,"truncated":true)?(?:,"labels":\{(?:${text}:${text},?)*\})?),"(message|data)":`,
);
const opening = Buffer.from(`{"timestamp":"`);
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const BRACE = 0x7d;
/** What is looked at for the head: labels of a stream are far below it. */
const headBytesMax = 16_384;
/** Tags, lengths and the time of an entry, as protobuf. */
const entryBytes = 24;

/** What a run of records shares. */
interface Run {
  /** From the quote behind the time up to the digits of the offset, and from there to the content. */
  readonly before: Uint8Array;
  readonly behind: Uint8Array | undefined;
  readonly content: "message" | "data";
  readonly placed: Placed;
  readonly flags: readonly string[];
}

/** The keys that are not metadata of their own. */
const ownKeys = new Set(["timestamp", "host", "source", "file", "stream", "offset", "labels", "metadata", "parsed", "message", "data"]);

export class Records {
  readonly #streams: Streams;
  readonly #metadata: Config["metadata"];
  readonly #lineBytesMax: number;
  readonly #times = new Times();
  readonly #object = new JsonScan("");
  readonly #data = new JsonScan("data");
  #run: Run | undefined;

  constructor(config: Pick<Config, "metadata" | "line_bytes_max">, streams: Streams) {
    this.#streams = streams;
    this.#metadata = config.metadata;
    this.#lineBytesMax = config.line_bytes_max;
  }

  /** The entry of the record in `line`, which has no line end. */
  entryOf(line: Buffer, sequence: number): Entry {
    return this.#quick(line, sequence) ?? this.#whole(line, sequence);
  }

  /** Undefined when the record is not as our own pipeline writes most. */
  #quick(line: Buffer, sequence: number): Entry | undefined {
    if (opening.compare(line, 0, opening.byteLength) !== 0) return undefined;
    const at = line.indexOf(QUOTE, opening.byteLength);
    if (at < 0) return undefined;
    let found = this.#run === undefined ? -1 : contentAt(line, at, this.#run);
    if (found < 0) {
      this.#run = this.#runOf(line, at);
      found = this.#run === undefined ? -1 : contentAt(line, at, this.#run);
    }
    const run = this.#run;
    if (run === undefined || found < 0) return undefined;
    const content = run.content === "message" ? messageIn(line, found) : this.#dataIn(line, found);
    if (content === undefined) return undefined;
    const time = this.#times.read(line.toString("latin1", opening.byteLength, at));
    const offset = run.behind === undefined ? "" : line.toString("latin1", at + run.before.byteLength, found - run.behind.byteLength);
    return this.#entry(run.placed, time, content, [...this.#place(offset, sequence), ...run.flags], sequence);
  }

  #runOf(line: Buffer, at: number): Run | undefined {
    const found = ownHead.exec(line.toString("utf8", at, Math.min(line.byteLength, at + headBytesMax)));
    if (found === null) return undefined;
    const [, place = "", offset, rest = "", content = ""] = found;
    const end = `${rest},"${content}":`;
    const { partial, truncated, ...fields } = JSON.parse(`{${place.slice(1)}${rest}}`) as Fields & { partial?: true; truncated?: true };
    const flags = this.#metadata === "all" ? [...(partial ? ["partial", "true"] : []), ...(truncated ? ["truncated", "true"] : [])] : [];
    return {
      before: Buffer.from(offset === undefined ? `"${place}${end}` : `"${place},"offset":`),
      behind: offset === undefined ? undefined : Buffer.from(end),
      content: content === "data" ? "data" : "message",
      placed: this.#streams.placeOf({ ...fields, labels: fields.labels ?? {} }),
      flags,
    };
  }

  /** The object from `from` to the brace that ends the record; undefined when something follows it there. */
  #dataIn(line: Buffer, from: number): Uint8Array | undefined {
    this.#object.use(line);
    return line[line.byteLength - 1] === BRACE && this.#object.scan(from, line.byteLength - 1) ? line.subarray(from, line.byteLength - 1) : undefined;
  }

  #whole(line: Buffer, sequence: number): Entry {
    const record = parsed(line);
    const fields: Fields = {
      source: textOf(record["source"]),
      host: textOf(record["host"]),
      file: textOf(record["file"]),
      stream: textOf(record["stream"]),
      labels: textsOf(record["labels"]),
    };
    const offset = typeof record["offset"] === "number" ? String(record["offset"]) : "";
    const metadata = this.#metadata === "none" ? {} : textsOf(record["metadata"]);
    const own = Object.entries(metadata).flat();
    // Written by this sink before it came back from a Loki: told apart already.
    const place = Object.hasOwn(metadata, "offset") || Object.hasOwn(metadata, "sequence") ? [] : this.#place(offset, sequence);
    const more = this.#metadata === "all" ? Object.entries(record).flatMap(([name, value]) => (ownKeys.has(name) ? [] : [name, shown(value)])) : [];
    const time = this.#times.read(textOf(record["timestamp"]) ?? "");
    return this.#entry(this.#streams.placeOf(fields), time, this.#contentOf(line, record), [...own, ...place, ...more], sequence);
  }

  #contentOf(line: Buffer, record: Readonly<Record<string, unknown>>): Uint8Array {
    if (typeof record["message"] === "string") return Buffer.from(record["message"]);
    this.#data.use(line);
    const { value } = this.#data;
    if (this.#data.scan(0, line.byteLength) && value.start >= 0) return line.subarray(value.start, value.end);
    return line;
  }

  /** What tells a record apart from others that say the same at the same time. */
  #place(offset: string, sequence: number): string[] {
    if (this.#metadata !== "all") return [];
    return offset === "" ? ["sequence", String(sequence)] : ["offset", offset];
  }

  #entry({ stream, rest }: Placed, { seconds, nanos, exact }: ReadTime, content: Uint8Array, given: string[], sequence: number): Entry {
    const cut = content.byteLength > this.#lineBytesMax;
    const line = cut ? content.subarray(0, characterEnd(content, this.#lineBytesMax)) : content;
    const metadata = rest.length === 0 ? given : [...rest, ...given];
    if (cut && this.#metadata === "all" && !metadata.includes("truncated")) metadata.push("truncated", "true");
    let bytes = entryBytes + line.byteLength;
    for (const part of metadata) bytes += part.length + 4;
    return { stream, seconds, nanos, exact, line, metadata, sequence, cut, bytes };
  }
}

/** Where the content of a record of this run begins; -1 when it is of another. */
function contentAt(line: Buffer, at: number, { before, behind }: Run): number {
  let end = at + before.byteLength;
  if (end > line.byteLength || line.compare(before, 0, before.byteLength, at, end) !== 0) return -1;
  if (behind === undefined) return end;
  for (let digit = line[end] ?? 0; digit >= 0x30 && digit <= 0x39; digit = line[++end] ?? 0);
  const content = end + behind.byteLength;
  return content <= line.byteLength && line.compare(behind, 0, behind.byteLength, end, content) === 0 ? content : -1;
}

/** The text whose quote stands at `from` and that ends the record; undefined when something follows it there. */
function messageIn(line: Buffer, from: number): Uint8Array | undefined {
  const end = line.byteLength - 2;
  if (line[from] !== QUOTE || end <= from || line[end] !== QUOTE || line[end + 1] !== BRACE) return undefined;
  const body = line.subarray(from + 1, end);
  if (!body.includes(BACKSLASH)) return body.includes(QUOTE) ? undefined : body;
  try {
    const message: unknown = JSON.parse(line.toString("utf8", from, end + 1));
    return typeof message === "string" ? Buffer.from(message) : undefined;
  } catch {
    return undefined;
  }
}

function parsed(line: Buffer): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(line.toString("utf8"));
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
  } catch {
    return {}; // never written by our own pipeline: it goes as it is
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function textsOf(value: unknown): Record<string, string> {
  if (typeof value !== "object" || value === null) return {};
  return Object.fromEntries(Object.entries(value).flatMap(([name, one]) => (typeof one === "string" ? [[name, one]] : [])));
}

function shown(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** The border of a character at or before `at`. */
function characterEnd(bytes: Uint8Array, at: number): number {
  let end = at;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return end;
}
