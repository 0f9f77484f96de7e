/**
 * Entries as Loki sends them, on the tail and in answers to query_range alike, and the records they become.
 *
 * The identity of an entry is Loki's own: labels, time, line, structured metadata. It is kept as a hash of 64 bits. Two different
 * entries of one ten-second bucket that share a hash would count as one: at 20,000 entries a second for a whole day, one
 * expects 86400 s / 10 s x 200000^2 / 2^65 = 1 in 100,000 days.
 */
import type { Json } from "../../core/contract.ts";
import { giveBack } from "../../core/lend.ts";
import { bucketOf, formatNs } from "./time.ts";

export interface Entry {
  /** Nanoseconds since 1970, as sent. */
  readonly time: string;
  readonly seconds: number;
  readonly nanos: number;
  readonly bucket: number;
  /** Halves of the hash; never both 0. */
  readonly high: number;
  readonly low: number;
  readonly stream: Labels;
  readonly line: string;
  /** JSON objects, `""` for none. */
  readonly metadata: string;
  readonly parsed: string;
}

export interface Labels {
  /** All labels as a JSON object, sorted: part of the identity. */
  readonly canonical: string;
  /** Hash of them. */
  readonly seed: bigint;
  /** What a record says, as JSON: without those that sharding added; `""` for none. */
  readonly json: string;
}

/** Streams remembered; beyond, all are forgotten and made anew. A tenant has 5,000 active ones by default. */
const rememberedMax = 8192;
/** Made by automatic sharding, for the server's own use. */
const internal = new Set(["__stream_shard__", "__time_shard__"]);
const scratchBytes = 64 * 1024;
/** A chunk larger than a page of a sweep as records does not keep its memory. */
const scratchBytesMax = 4 * 1024 * 1024;
const lowMask = 0xffffffffn;

export class Decoder {
  readonly #known = new Map<string, Labels>();
  readonly #extra: Readonly<Record<string, string>>;
  readonly #head: string;
  /** Where records are written, used again and again: the text of a whole chunk would be as large once more, and garbage. */
  #scratch = Buffer.allocUnsafeSlow(scratchBytes);

  /** `labels` are the configured ones: they are written into every record, whatever the stream says. */
  constructor(host: string, source: string, labels: Readonly<Record<string, string>>) {
    this.#extra = labels;
    this.#head = `,"host":${JSON.stringify(host)},"source":${JSON.stringify(source)}`;
  }

  /** Entries of a `streams` or `result` array in its order. Throws a TypeError when it is not made as Loki makes it. */
  entries(streams: unknown): Entry[] {
    const found: Entry[] = [];
    for (const { stream, values } of streams as { stream: Record<string, string>; values: [string, string, Extra?][] }[]) {
      const labels = this.#labelsOf(stream);
      for (const [time, line, extra] of values) found.push(entryOf(labels, time, line, extra));
    }
    return found;
  }

  /** The records, a line each, in memory of their own. */
  records(entries: readonly Entry[]): Uint8Array {
    let at = 0;
    for (const entry of entries) {
      const row = this.#row(entry);
      // A UTF-16 unit is three bytes at most.
      if (at + row.length * 3 > this.#scratch.length) {
        const before = this.#scratch;
        this.#scratch = Buffer.allocUnsafeSlow(2 * (at + row.length * 3));
        this.#scratch.set(before.subarray(0, at));
        giveBack(before);
      }
      at += this.#scratch.write(row, at);
    }
    const bytes = new Uint8Array(at);
    bytes.set(this.#scratch.subarray(0, at));
    if (this.#scratch.length > scratchBytesMax) {
      giveBack(this.#scratch);
      this.#scratch = Buffer.allocUnsafeSlow(scratchBytes);
    }
    return bytes;
  }

  #row({ seconds, nanos, stream, metadata, parsed, line }: Entry): string {
    let row = `{"timestamp":"${formatNs(seconds, nanos)}"${this.#head}`;
    if (stream.json !== "") row += `,"labels":${stream.json}`;
    if (metadata !== "") row += `,"metadata":${metadata}`;
    if (parsed !== "") row += `,"parsed":${parsed}`;
    return `${row},"message":${JSON.stringify(line.toWellFormed())}}\n`;
  }

  #labelsOf(stream: Record<string, string>): Labels {
    const given = JSON.stringify(stream);
    const known = this.#known.get(given);
    if (known !== undefined) return known;
    if (this.#known.size >= rememberedMax) this.#known.clear();
    const sorted = sortedPairs(stream);
    const shown = { ...Object.fromEntries(sorted.filter(([name]) => !internal.has(name))), ...this.#extra };
    const canonical = canonicalLabels(stream);
    const labels = { canonical, seed: Bun.hash.xxHash3(canonical), json: objectJson(shown) };
    this.#known.set(given, labels);
    return labels;
  }
}

interface Extra {
  readonly structuredMetadata?: Record<string, string>;
  readonly parsed?: Record<string, string>;
}

function entryOf(stream: Labels, time: string, line: string, extra: Extra | undefined): Entry {
  const seconds = Number(time.slice(0, -9));
  const nanos = Number(time.slice(-9));
  if (!Number.isSafeInteger(seconds) || !Number.isSafeInteger(nanos) || typeof line !== "string") throw new TypeError("not an entry");
  const metadata = extra?.structuredMetadata === undefined ? "" : objectJson(extra.structuredMetadata);
  const parsed = extra?.parsed === undefined ? "" : objectJson(extra.parsed);
  // The line is hashed as it lies: one text of all four would be a copy of every line.
  const hash = Bun.hash.xxHash3(line, Bun.hash.xxHash3(`${time}\n${metadata}`, stream.seed));
  const high = Number(hash >> 32n);
  const low = Number(hash & lowMask);
  return { time, seconds, nanos, bucket: bucketOf(seconds, nanos), high, low: high === 0 && low === 0 ? 1 : low, stream, line, metadata, parsed };
}

/** Labels as the identity of an entry has them. */
export function canonicalLabels(map: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.fromEntries(sortedPairs(map)));
}

function sortedPairs(map: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(map).toSorted(([a], [b]) => (a < b ? -1 : 1));
}

/** The object with its names sorted. Names that differ in case only get a number, since readers do not keep them apart. */
function objectJson(map: Record<string, string>): string {
  const pairs = sortedPairs(map);
  if (pairs.length === 0) return "";
  const taken = new Set<string>();
  const shown: Record<string, Json> = {};
  for (const [name, value] of pairs) {
    let free = name;
    for (let number = 2; taken.has(free.toLowerCase()); number++) free = `${name}_${number}`;
    taken.add(free.toLowerCase());
    shown[free.toWellFormed()] = value.toWellFormed();
  }
  return JSON.stringify(shown);
}

/** Oldest first; equal times stay as they are. */
export function byTime(entries: Entry[]): Entry[] {
  return entries.toSorted((a, b) => a.seconds - b.seconds || a.nanos - b.nanos);
}
