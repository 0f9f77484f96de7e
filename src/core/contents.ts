/**
 * What a mixed frame holds: its streams in the order of their records, and how much of each. With it a sink knows where the records
 * go without decoding the frame.
 *
 *     run*    one for each stream: u8 a, u8 b, n, n bytes, records, NDJSON bytes
 *
 * The stream is JSON: the first `a` bytes of that of the run before, the n bytes, and the last `b` bytes of that of the run before.
 * n, records and bytes are of 7 bits a byte, the lowest first, the high bit set in all but the last (LEB128). Neighbours in the
 * order of their keys share most: nine bytes a run, a fiftieth of the payload with a thousand streams.
 */
import { ByteMap, noBytes } from "./bytemap.ts";
import type { Stream } from "./contract.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const sharedMax = 255;

/** JSON of streams, each written in every group. */
const texts = new WeakMap<Stream, Uint8Array>();

function textOf(stream: Stream): Uint8Array {
  let text = texts.get(stream);
  if (text === undefined) texts.set(stream, (text = encoder.encode(JSON.stringify(stream))));
  return text;
}

/** Writes contents, run by run. */
export class ContentsWriter {
  #bytes = new Uint8Array(1024);
  #length = 0;
  #before = new Uint8Array(0) as Uint8Array;

  add(stream: Stream, records: number, rawBytes: number): void {
    const text = textOf(stream);
    const before = this.#before;
    const shortest = Math.min(text.length, before.length);
    let front = 0;
    while (front < shortest && front < sharedMax && text[front] === before[front]) front++;
    let back = 0;
    while (back < shortest - front && back < sharedMax && text[text.length - 1 - back] === before[before.length - 1 - back]) back++;
    const end = text.length - back;
    this.#room(end - front + 20);
    this.#bytes[this.#length++] = front;
    this.#bytes[this.#length++] = back;
    this.#number(end - front);
    // A few bytes: a call into the runtime for them would cost more than they do.
    for (let at = front; at < end; at++) this.#bytes[this.#length++] = text[at] as number;
    this.#number(records);
    this.#number(rawBytes);
    this.#before = text;
  }

  /** What was written, a copy. */
  bytes(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  #room(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(this.#length + bytes, this.#bytes.length * 2));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }

  #number(value: number): void {
    let rest = value;
    for (; rest > 0x7f; rest = Math.floor(rest / 128)) this.#bytes[this.#length++] = (rest % 128) | 0x80;
    this.#bytes[this.#length++] = rest;
  }
}

/** A stream's records in a mixed frame, one after the other. */
export interface ContentsRun {
  readonly stream: Stream;
  readonly records: number;
  readonly rawBytes: number;
}

/** Of a stream's JSON, as a rule. */
const textBytes = 1024;

/** Streams remembered: the same are in frame after frame, and are parsed once. */
const rememberedMax = 16_384;

/** Reads contents; equal streams are the same object as long as they are remembered. */
export class ContentsReader {
  readonly #streams = new ByteMap<Stream | undefined>(rememberedMax);
  #at = 0;

  /** The runs; undefined when these are no contents of `records` records and `rawBytes` bytes. */
  read(contents: Uint8Array, records: number, rawBytes: number): ContentsRun[] | undefined {
    const runs: ContentsRun[] = [];
    let [recordsLeft, bytesLeft] = [records, rawBytes];
    // The stream at hand and the one before, in turn.
    let [text, next] = [new Uint8Array(textBytes), new Uint8Array(textBytes)];
    let length = 0;
    this.#at = 0;
    while (this.#at < contents.length) {
      const front = contents[this.#at++] ?? 0;
      const back = contents[this.#at++] ?? 0;
      const own = this.#number(contents);
      if (front + back > length || !(this.#at + own <= contents.length)) return undefined;
      const end = front + own + back;
      if (end > next.length) next = new Uint8Array(end * 2);
      let to = 0;
      while (to < front) next[to] = text[to++] as number;
      while (to < front + own) next[to++] = contents[this.#at++] as number;
      for (let from = length - back; to < end;) next[to++] = text[from++] as number;
      [text, next, length] = [next, text, end];
      const run = { records: this.#number(contents), rawBytes: this.#number(contents) };
      const bytes = text;
      const stream = this.#streams.get(bytes, { start: 0, end }, noBytes, noBytes, () => parsed(bytes.subarray(0, end)));
      if (stream === undefined || !(run.records > 0) || !(run.rawBytes > 0)) return undefined;
      recordsLeft -= run.records;
      bytesLeft -= run.rawBytes;
      runs.push({ stream, ...run });
    }
    return recordsLeft === 0 && bytesLeft === 0 ? runs : undefined;
  }

  /** NaN when it does not end. */
  #number(contents: Uint8Array): number {
    let value = 0;
    for (let unit = 1; this.#at < contents.length && unit < 2 ** 49; unit *= 128) {
      const byte = contents[this.#at++] ?? 0;
      value += (byte & 0x7f) * unit;
      if (byte < 0x80) return value;
    }
    return NaN;
  }
}

function parsed(text: Uint8Array): Stream | undefined {
  try {
    const value: unknown = JSON.parse(decoder.decode(text));
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
