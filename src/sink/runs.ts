/**
 * Source, host and labels of records one after the other: those of a run (one stream's in a mixed frame) are parsed once.
 *
 * A record as our own pipeline writes it begins with timestamp, host, source, file, offset and labels, and only then comes what
 * differs from line to line. Where these bytes, timestamp and offset left out, are those of the record before, so are the
 * values. Any other record is parsed whole, one without labels too, since they might stand behind the message: 3 µs each, which
 * would double the cost of a stream that is split. That no key is there twice, the pipeline has seen to.
 */
import type { PartitionValues } from "./partition.ts";

/** A record's own fields, as far as they can matter here. */
interface RecordFields {
  readonly source?: unknown;
  readonly host?: unknown;
  readonly labels?: unknown;
}

/** The bytes before and behind the digits of the offset; all of them in `before` where there is none. */
interface Shared {
  readonly before: Uint8Array;
  readonly behind: Uint8Array | undefined;
}

const text = String.raw`"(?:[^"\\]|\\.)*"`;
/** From the quote that ends the timestamp to the key of the message: everything in between stands at the top level, in our order. */
const ownHead = new RegExp(
  String.raw`^"(,"host":${text},"source":${text}(?:,"file":${text})?(?:,"offset":)?)(?:(\d+))?((?:,"partial":true)?(?:,"truncated":true)?,"labels":\{(?:${text}:${text},?)*\},"(?:message|data)":)`,
);
const opening = Buffer.from(`{"timestamp":"`);
const quote = 0x22;
/** What is looked at for the head: labels of a stream are far below it. */
const headBytesMax = 4096;

export class Runs {
  #shared: Shared | undefined;
  #values: PartitionValues = {};

  valuesOf(line: Buffer): PartitionValues {
    const at = line.indexOf(quote, opening.byteLength);
    if (this.#shared !== undefined && at > 0 && isShared(line, at, this.#shared)) return this.#values;
    this.#values = parsed(line);
    this.#shared = sharedOf(line, at);
    return this.#values;
  }
}

function isShared(line: Buffer, at: number, { before, behind }: Shared): boolean {
  if (opening.compare(line, 0, opening.byteLength) !== 0 || line[at - 1] === 0x5c) return false;
  let end = at + before.byteLength;
  if (end > line.byteLength || line.compare(before, 0, before.byteLength, at, end) !== 0) return false;
  if (behind === undefined) return true;
  for (let digit = line[end] ?? 0; digit >= 0x30 && digit <= 0x39; digit = line[++end] ?? 0);
  return end + behind.byteLength <= line.byteLength && line.compare(behind, 0, behind.byteLength, end, end + behind.byteLength) === 0;
}

function sharedOf(line: Buffer, at: number): Shared | undefined {
  if (at < 0 || opening.compare(line, 0, opening.byteLength) !== 0 || line[at - 1] === 0x5c) return undefined;
  const found = ownHead.exec(line.toString("utf8", at, Math.min(line.byteLength, at + headBytesMax)));
  if (found === null) return undefined;
  const [, before = "", digits, behind = ""] = found;
  if (digits === undefined) return { before: Buffer.from(`"${before}${behind}`), behind: undefined };
  return { before: Buffer.from(`"${before}`), behind: Buffer.from(behind) };
}

function parsed(line: Buffer): PartitionValues {
  let record: RecordFields;
  try {
    const value: unknown = JSON.parse(line.toString("utf8"));
    record = typeof value === "object" && value !== null ? value : {};
  } catch {
    record = {}; // never written by our own pipeline: it goes where records without these fields go
  }
  const labels = typeof record.labels === "object" && record.labels !== null ? (record.labels as Record<string, unknown>) : {};
  return {
    source: typeof record.source === "string" ? record.source : undefined,
    host: typeof record.host === "string" ? record.host : undefined,
    labels: Object.fromEntries(Object.entries(labels).filter((entry): entry is [string, string] => typeof entry[1] === "string")),
  };
}
