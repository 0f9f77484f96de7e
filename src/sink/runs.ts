/**
 * Source, host and labels of records one after the other: those of a stream are parsed once.
 *
 * A record as our own pipeline writes it begins with timestamp, host, source, file, offset and labels, and only then comes what
 * differs from line to line. Where these bytes, timestamp and offset left out, were seen before, the values are those of then: no
 * string is made. Any other record is parsed whole, one without labels too, since they might stand behind the message: 3 µs each,
 * which would double the cost of a stream that is split. That no key is there twice, the pipeline has seen to.
 */
import { ByteMap, noBytes } from "../core/bytemap.ts";
import type { PartitionValues } from "./partition.ts";

/** A record's own fields, as far as they can matter here. */
interface RecordFields {
  readonly source?: unknown;
  readonly host?: unknown;
  readonly labels?: unknown;
}

const utf8 = new TextEncoder();
const opening = utf8.encode(`{"timestamp":"`);
const hostKey = utf8.encode(`,"host":`);
const sourceKey = utf8.encode(`,"source":`);
const fileKey = utf8.encode(`,"file":`);
const offsetKey = utf8.encode(`,"offset":`);
const marks = [utf8.encode(`,"partial":true`), utf8.encode(`,"truncated":true`)];
const labelsKey = utf8.encode(`,"labels":{`);
const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const colon = 0x3a;
const closing = 0x7d;

/** Heads remembered: streams that are split, each from some files. */
const rememberedMax = 16_384;

export class Runs {
  readonly #known = new ByteMap<PartitionValues>(rememberedMax);
  /** From behind the timestamp to the digits of the offset, and from there to the end of the labels; the second empty without an offset. */
  readonly #before = { start: -1, end: -1 };
  readonly #behind = { start: -1, end: -1 };

  /** The values of the record `bytes[start, end)`, the same object for the same head. */
  valuesOf(bytes: Buffer, start: number, end: number): PartitionValues {
    if (!this.#findHead(bytes, start, end)) return parsed(bytes, start, end);
    return this.#known.get(bytes, this.#before, this.#behind, noBytes, () => parsed(bytes, start, end));
  }

  /** False when the record is not as our own pipeline writes it, or has no labels. */
  #findHead(bytes: Uint8Array, start: number, end: number): boolean {
    let at = literal(bytes, start, opening);
    at = at < 0 ? -1 : text(bytes, at - 1, end);
    this.#before.start = at;
    at = text(bytes, literal(bytes, at, hostKey), end);
    at = text(bytes, literal(bytes, at, sourceKey), end);
    const file = literal(bytes, at, fileKey);
    if (file >= 0) at = text(bytes, file, end);
    const offset = literal(bytes, at, offsetKey);
    this.#before.end = offset;
    this.#behind.start = this.#behind.end = -1;
    if (offset >= 0) {
      for (at = offset; isDigit(bytes[at] as number); at++);
      this.#behind.start = at;
    }
    for (const mark of marks) at = Math.max(at, literal(bytes, at, mark));
    at = labels(bytes, literal(bytes, at, labelsKey), end);
    if (offset >= 0) this.#behind.end = at;
    else this.#before.end = at;
    return at >= 0 && at <= end;
  }
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

/** Behind `wanted` at `at`; -1 when it does not stand there, or `at` is negative. */
function literal(bytes: Uint8Array, at: number, wanted: Uint8Array): number {
  if (at < 0) return -1;
  for (let index = 0; index < wanted.length; index++) if (bytes[at + index] !== wanted[index]) return -1;
  return at + wanted.length;
}

/** Behind the JSON string at `at`; -1 when there is none that ends before `end`. */
function text(bytes: Uint8Array, at: number, end: number): number {
  if (at < 0 || bytes[at] !== quote) return -1;
  for (let index = at + 1; index < end; index++) {
    const byte = bytes[index];
    if (byte === quote) return index + 1;
    if (byte === backslash) index++;
  }
  return -1;
}

/** Behind the brace that ends an object of texts, whose first key stands at `from`; -1 when it is none. */
function labels(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  if (at >= 0 && bytes[at] === closing) return at + 1;
  while (at >= 0) {
    at = text(bytes, at, end);
    if (at < 0 || bytes[at] !== colon) return -1;
    at = text(bytes, at + 1, end);
    if (at < 0 || bytes[at] === closing) return at < 0 ? -1 : at + 1;
    at = bytes[at] === comma ? at + 1 : -1;
  }
  return -1;
}

function parsed(bytes: Buffer, start: number, end: number): PartitionValues {
  let record: RecordFields;
  try {
    const value: unknown = JSON.parse(bytes.toString("utf8", start, end));
    record = typeof value === "object" && value !== null ? value : {};
  } catch {
    record = {}; // never written by our own pipeline: it goes where records without these fields go
  }
  const pairs = typeof record.labels === "object" && record.labels !== null ? (record.labels as Record<string, unknown>) : {};
  return {
    source: typeof record.source === "string" ? record.source : undefined,
    host: typeof record.host === "string" ? record.host : undefined,
    labels: Object.fromEntries(Object.entries(pairs).filter((entry): entry is [string, string] => typeof entry[1] === "string")),
  };
}
