/**
 * Records one by one into frames, each with a time, an output and flags of its own:
 *
 *     {"timestamp":"2026-11-23T01:30:20.590123456Z","host":"…","source":"…","file":"…","offset":183,"stream":"stderr",
 *      "time_rejected":"1970-01-01T00:00:00.000000Z","partial":true,"truncated":true,"labels":{…},"message":"…"}
 *
 * The time is written to the microsecond, to the nanosecond where the line says one. `stream` is a container's output. A time that is more
 * than ten years back or a day ahead of the reading stands in `time_rejected`: `timestamp` is then when the line was read.
 */
import type { Chunk } from "../../core/contract.ts";
import { recordAgeMsMax, recordAheadMsMax } from "../../core/limits.ts";
import { headOf, pack, tailOf, type Fields, type Packed } from "../envelope.ts";
import { escapedLength } from "../escape.ts";
import type { FrameWriter, NamedStream } from "../frame.ts";
import { digitsMax, store, storeDigits } from "../loop.ts";
import { dateOf } from "./calendar.ts";
import { escapeWords } from "./escape.ts";
import type { Instant } from "./instant.ts";
import { outputs, type FormatCounts, type Line } from "./line.ts";

/** What stands in a record: the text of a line, or a JSON object, as it is or as text. */
export type Content = "message" | "data" | "text";

const encoder = new TextEncoder();
const LF = 10;
const timeOpen = encoder.encode('{"timestamp":"');
/** `2026-11-23T01:30:20.590123Z` in the head of headOf, which is taken out. */
const timeBytes = 27;
/** Date, time and nine digits, quotes and key of a rejected one: what two times take at most. */
const timesRoom = 128;
const rejectedOpen = encoder.encode(',"time_rejected":"');
const streams = ["", ',"stream":"stdout"', ',"stream":"stderr"'].map((text) => encoder.encode(text));
/** Longer text is measured before room is asked for; shorter takes six bytes for each. */
const measuredBytes = 4096;
/** Years 0000 to 9999 in seconds: RFC 3339 has no others. */
const secondsMin = -62_167_219_200;
const secondsMax = 253_402_300_799;

export class RecordWriter {
  readonly counts: FormatCounts;
  readonly readMs: number;
  readonly #fields: Fields;
  readonly #stream: NamedStream;
  readonly #writer: FrameWriter;
  readonly #afterTime: Packed;
  readonly #saysOffset: boolean;
  readonly #tails = new Map<number, Packed>();
  readonly #read: Instant;
  readonly #time = new TimeText();
  readonly #rejected = new TimeText();
  readonly #views: [Uint8Array, DataView][] = [];

  /** For the records of one chunk. */
  constructor(fields: Fields, stream: NamedStream, chunk: Chunk, writer: FrameWriter, counts: FormatCounts) {
    this.#fields = fields;
    this.#stream = stream;
    this.#writer = writer;
    this.counts = counts;
    this.#afterTime = pack(headOf(fields, chunk).slice(timeOpen.length + timeBytes));
    this.#saysOffset = chunk.offset !== undefined;
    const micros = Math.round(chunk.readMs * 1000);
    const seconds = Math.floor(micros / 1e6);
    this.#read = { seconds, nanos: (micros - seconds * 1e6) * 1000 };
    this.readMs = chunk.readMs;
  }

  /**
   * Writes one record: `line` says time, place, output and flags; its content is `bytes[start, end)`, UTF-8, for `data` a JSON object
   * in one line.
   */
  write(line: Line, content: Content, bytes: Uint8Array, start: number, end: number): void {
    const own = !Number.isNaN(line.seconds);
    const ownMs = line.seconds * 1000 + line.nanos / 1e6;
    const credible = own && ownMs >= this.readMs - recordAgeMsMax && ownMs <= this.readMs + recordAheadMsMax;
    const time = credible ? line : this.#read;
    const timeMs = credible ? ownMs : this.readMs;
    const tail = this.#tail(line, content);
    const length = end - start;
    const contentRoom = content === "data" ? length : length < measuredBytes ? 6 * length : escapedLength(bytes, start, end);
    this.#writer.reserve(this.#stream, timeMs, timeOpen.length + timesRoom + this.#afterTime.length + digitsMax + tail.length + contentRoom + 32);
    const { bytes: out, view } = this.#writer;
    let o = copy(timeOpen, out, this.#writer.at);
    o = this.#time.store(time, out, o);
    o = store(view, o, this.#afterTime);
    if (this.#saysOffset) o = storeDigits(out, o, line.place);
    if (line.output !== outputs.none) o = copy(streams[line.output] as Uint8Array, out, o);
    if (own && !credible) o = this.#storeRejected(line, out, o);
    o = store(view, o, tail);
    if (content === "data") {
      out.set(bytes.subarray(start, end), o);
      o += length;
    } else {
      o = escapeWords(bytes, this.#viewOf(bytes), start, end, out, view, o);
      out[o++] = 0x22;
    }
    out[o] = 0x7d;
    out[o + 1] = LF;
    this.#writer.commit(o + 2, 1, timeMs, timeMs);
    this.counts.records++;
    this.counts.lastMs = timeMs;
    if (line.truncated) this.counts.truncated++;
  }

  #storeRejected(line: Line, out: Uint8Array, at: number): number {
    this.counts.timeRejected++;
    if (!(line.seconds >= secondsMin && line.seconds <= secondsMax)) return at;
    const o = this.#rejected.store(line, out, copy(rejectedOpen, out, at));
    out[o] = 0x22;
    return o + 1;
  }

  #tail({ partial, truncated }: Line, content: Content): Packed {
    const key = (partial ? 1 : 0) + (truncated ? 2 : 0) + (content === "message" ? 0 : content === "data" ? 4 : 8);
    let tail = this.#tails.get(key);
    if (tail === undefined) {
      const text = tailOf(this.#fields, { partial, truncated }, content === "message" ? "message" : "data");
      tail = pack(content === "text" ? `${text}"` : text);
      this.#tails.set(key, tail);
    }
    return tail;
  }

  /** Two arrays are in use at a time: the chunk, and what was written anew of a line. */
  #viewOf(bytes: Uint8Array): DataView {
    for (const [known, view] of this.#views) if (known === bytes) return view;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#views.unshift([bytes, view]);
    if (this.#views.length > 2) this.#views.pop();
    return view;
  }
}

/** An instant as RFC 3339 in UTC. The text of the last second is kept: lines come in the order of their times. */
class TimeText {
  #second = NaN;
  #day = NaN;
  /** `2026-11-23T01:30:20.` */
  readonly #text: Uint8Array = encoder.encode("0000-00-00T00:00:00.");

  /** Returns where it ends, behind the `Z`. */
  store({ seconds, nanos }: Instant, out: Uint8Array, at: number): number {
    if (seconds !== this.#second) this.#set(seconds);
    let o = copy(this.#text, out, at);
    o = digits(out, o, nanos % 1000 === 0 ? nanos / 1000 : nanos, nanos % 1000 === 0 ? 6 : 9);
    out[o] = 0x5a;
    return o + 1;
  }

  #set(seconds: number): void {
    const text = this.#text;
    const days = Math.floor(seconds / 86_400);
    if (days !== this.#day) {
      const { year, month, day } = dateOf(days);
      digits(text, 0, year, 4);
      digits(text, 5, month, 2);
      digits(text, 8, day, 2);
      this.#day = days;
    }
    const ofDay = seconds - days * 86_400;
    digits(text, 11, Math.trunc(ofDay / 3600), 2);
    digits(text, 14, Math.trunc(ofDay / 60) % 60, 2);
    digits(text, 17, ofDay % 60, 2);
    this.#second = seconds;
  }
}

function digits(out: Uint8Array, at: number, value: number, count: number): number {
  let rest = value | 0;
  for (let o = at + count - 1; o >= at; o--) {
    const next = (rest / 10) | 0;
    out[o] = 0x30 + rest - next * 10;
    rest = next;
  }
  return at + count;
}

function copy(text: Uint8Array, out: Uint8Array, at: number): number {
  for (let index = 0; index < text.length; index++) out[at + index] = text[index] as number;
  return at + text.length;
}
