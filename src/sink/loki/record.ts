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
import { unescape } from "./text.ts";
import { Times, type ReadTime } from "./time.ts";

export interface Entry {
  seconds: number;
  nanos: number;
  /** The time was written with more than six digits. */
  readonly exact: boolean;
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

const string = String.raw`"(?:[^"\\]|\\.)*"`;
const ownHead = new RegExp(
  String.raw`^"(,"host":${string},"source":${string}(?:,"file":${string})?)(?:,"offset":(\d+))?((?:,"stream":${string})?(?:,"partial":true)?(?:,"truncated":true)?(?:,"labels":\{(?:${string}:${string},?)*\})?),"(message|data)":`,
);
const opening = Buffer.from(`{"timestamp":"`);
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const BRACE = 0x7d;
/** What is looked at for the head: labels of a stream are far below it. */
const headBytesMax = 16_384;
/** About what the lines of a frame come to. */
const scratchBytes = 256 * 1024;
const none = Buffer.alloc(0);
/** Tags, lengths and the time of an entry, as protobuf. */
const entryBytes = 24;

/** What a run of records shares. */
interface Run {
  /** All bytes up to the digits of the offset, and the time in them. */
  head: Uint8Array;
  time: ReadTime;
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
  /** Where texts lie whose escapes were undone. Never written again: entries show into it. */
  #scratch = none;
  #filled = 0;

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
    const run = this.#runFor(line);
    if (run === undefined) return undefined;
    const { head, behind, placed, time, flags } = run;
    let content = head.byteLength;
    if (behind !== undefined) {
      while (isDigit(line[content])) content++;
      content += behind.byteLength;
      if (!begins(line, content - behind.byteLength, behind)) return undefined;
    }
    const text = run.content === "message" ? this.#messageIn(line, content) : this.#dataIn(line, content);
    if (text === undefined) return undefined;
    const offset = behind === undefined ? "" : line.toString("latin1", head.byteLength, content - behind.byteLength);
    return this.#entry(placed, time, text, [...this.#place(offset, sequence), ...flags], sequence);
  }

  /** The run that the record is of: the one before, maybe at another time, or a new one. */
  #runFor(line: Buffer): Run | undefined {
    const run = this.#run;
    if (run !== undefined && begins(line, 0, run.head)) return run;
    if (!begins(line, 0, opening)) return undefined;
    const at = line.indexOf(QUOTE, opening.byteLength);
    if (at < 0) return undefined;
    const known = run !== undefined && begins(line, at, run.before) ? run : this.#runOf(line, at);
    if (known === undefined) return undefined;
    known.head = Buffer.from(line.subarray(0, at + known.before.byteLength));
    known.time = this.#times.read(line.toString("latin1", opening.byteLength, at));
    this.#run = known;
    return known;
  }

  #runOf(line: Buffer, at: number): Run | undefined {
    const found = ownHead.exec(line.toString("utf8", at, Math.min(line.byteLength, at + headBytesMax)));
    if (found === null) return undefined;
    const [, place = "", offset, rest = "", content = ""] = found;
    const end = `${rest},"${content}":`;
    const { partial, truncated, ...fields } = JSON.parse(`{${place.slice(1)}${rest}}`) as Fields & { partial?: true; truncated?: true };
    const flags = this.#metadata === "all" ? [...(partial ? ["partial", "true"] : []), ...(truncated ? ["truncated", "true"] : [])] : [];
    return {
      head: none,
      time: { seconds: 0, nanos: 0, exact: true },
      before: Buffer.from(offset === undefined ? `"${place}${end}` : `"${place},"offset":`),
      behind: offset === undefined ? undefined : Buffer.from(end),
      content: content === "data" ? "data" : "message",
      placed: this.#streams.placeOf({ ...fields, labels: fields.labels ?? {} }),
      flags,
    };
  }

  /** The text whose quote stands at `from` and that ends the record; undefined when something follows it there. */
  #messageIn(line: Buffer, from: number): Uint8Array | undefined {
    const end = line.byteLength - 2;
    if (line[from] !== QUOTE || end <= from || line[end] !== QUOTE || line[end + 1] !== BRACE) return undefined;
    const escape = line.indexOf(BACKSLASH, from + 1);
    if (escape < 0) return line.indexOf(QUOTE, from + 1) < end ? undefined : line.subarray(from + 1, end);
    if (this.#scratch.byteLength - this.#filled < end - from) {
      this.#scratch = Buffer.allocUnsafeSlow(Math.max(scratchBytes, end - from));
      this.#filled = 0;
    }
    const start = this.#filled;
    const length = unescape(line, from + 1, end, this.#scratch, start);
    if (length >= 0) {
      this.#filled = start + length;
      return this.#scratch.subarray(start, this.#filled);
    }
    return parsedText(line.toString("utf8", from, end + 1));
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

function begins(line: Uint8Array, at: number, bytes: Uint8Array): boolean {
  if (at + bytes.byteLength > line.byteLength) return false;
  for (let index = 0; index < bytes.byteLength; index++) if (line[at + index] !== bytes[index]) return false;
  return true;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

/** The text of a JSON string; undefined when it is more than one. */
function parsedText(json: string): Uint8Array | undefined {
  try {
    const text: unknown = JSON.parse(json);
    return typeof text === "string" ? Buffer.from(text) : undefined;
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
