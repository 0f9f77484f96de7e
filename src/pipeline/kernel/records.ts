/**
 * The kernel for lines that are more than plain text, as format/swift.ts and ndjson.ts see it: a piece of a chunk is loaded, then
 * lines of it become records, or rows of a table, up to one that is left to whoever reads lines one by one.
 *
 * All encoders share the one memory. A piece stays loaded, and a shape set, until the next call of any encoder: nothing
 * between two calls may wait.
 */
import type { Packed } from "../envelope.ts";
import { slackBytes } from "../frame.ts";
import { pieceEnd, type Exports } from "./instance.ts";

/** What a time looks like in these lines, and what it came to. See time.as.ts. */
export interface Template {
  /** Of the quarter hour in UTC in which such times lie, seconds since 1970. */
  readonly quarterSeconds: number;
  /** A text with minute and second between `prefix` and `suffix`, or a count with `below` digits below the second. */
  readonly form:
    | { readonly prefix: Uint8Array; readonly suffix: Uint8Array; readonly separator: number; readonly firstMinute: number }
    | { readonly below: number };
  /** What stands before it in the line; empty: it stands at the line's begin. */
  readonly after: Uint8Array;
}

/** How records are made of lines. */
export interface Shape {
  /** The record's begin up to the hour; empty without a template. */
  readonly open: Uint8Array;
  /** From behind the time to the offset's digits, or all of it up to there. */
  readonly head: Packed;
  readonly tail: Packed;
  readonly lineBytesMax: number;
  readonly content: "message" | "data" | "text";
  readonly template: Template | undefined;
  /** The time is the value of this key of the object. */
  readonly key: Uint8Array | undefined;
}

/** What one call has come to; times in nanoseconds from the begin of the quarter. */
export interface Reached {
  /** Where in the chunk the first line begins that was not encoded. */
  next: number;
  records: number;
  leastNanos: number;
  largestNanos: number;
  lastNanos: number;
}

const LF = 10;
const lowUnit = 1e8;
const lineBytesAny = 0x7fffffff;
const contents = { message: 0, data: 1, text: 2 } as const;
/** Words of a row. */
export const rowWords = 10;

export class RecordsKernel {
  readonly #exports: Exports;
  readonly #bytes: Uint8Array;
  readonly #ends: Int32Array;
  readonly #times: Float64Array;
  /** Rows of the last `rows`: where an object begins and ends, and the values of the keys looked for (0: none), all in the piece. */
  readonly table: Uint32Array;
  readonly reached: Reached = { next: 0, records: 0, leastNanos: 0, largestNanos: 0, lastNanos: 0 };
  readonly #input: number;
  readonly #output: number;
  /** Where in the chunk the piece at hand begins and ends. */
  #from = 0;
  #to = 0;

  constructor(exports: Exports) {
    const { buffer } = exports.memory;
    this.#exports = exports;
    this.#bytes = new Uint8Array(buffer);
    this.#ends = new Int32Array(buffer, exports.result.value, 3);
    this.#times = new Float64Array(buffer, exports.result.value + 16, 3);
    this.table = new Uint32Array(buffer, exports.table.value, rowWords * exports.rowsMax.value);
    this.#input = exports.input.value;
    this.#output = exports.output.value;
  }

  /** Loads the whole lines of `bytes` from `from` on that fit; returns where they end, `from` when the first one does not fit. */
  load(bytes: Uint8Array, from: number): number {
    const to = pieceEnd(bytes, from, bytes.length, this.#exports.inputBytesMax.value);
    const end = this.#input + to - from;
    this.#bytes.set(bytes.subarray(from, to), this.#input);
    this.#bytes[end] = LF;
    this.#from = from;
    this.#to = to;
    return to;
  }

  /** Whether a name can be looked for by `shape` and `look`. */
  static canFind(name: Uint8Array): boolean {
    // As it stands in JSON, and nothing that a key could say in another way.
    return name.length > 0 && name.length < 16 && name.every((byte) => byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c);
  }

  /** Keys of the outermost object whose values `rows` gives. */
  look(names: readonly Uint8Array[]): void {
    const exports = this.#exports;
    for (const [index, name] of names.entries()) this.#text(exports.wanted.value + 16 * index, name, 16);
    exports.lookFor(names.length);
  }

  /** Records are made like this from now on. False when something of it is too large for the kernel: then nothing is set. */
  shape({ open, head, tail, lineBytesMax, content, template, key }: Shape): boolean {
    const exports = this.#exports;
    const long = open.length > exports.openBytesMax.value || head.length > exports.headBytesMax.value || tail.length > exports.tailBytesMax.value;
    if (long || (key !== undefined && !RecordsKernel.canFind(key))) return false;
    if (template !== undefined && !this.#template(template)) return false;
    this.#bytes.set(open, exports.open.value);
    this.#bytes.set(head.bytes, exports.head.value);
    this.#bytes.set(tail.bytes, exports.tail.value);
    this.look(key === undefined ? [] : [key]);
    const minute = template === undefined ? -1 : Math.floor(template.quarterSeconds / 60) % 60;
    const longest = Math.min(lineBytesMax, lineBytesAny);
    exports.shape(open.length, head.length, tail.length, longest, contents[content], minute, key === undefined ? 0 : 1);
    return true;
  }

  #template({ form, after, quarterSeconds }: Template): boolean {
    const exports = this.#exports;
    const most = exports.timeTextBytesMax.value;
    if (after.length > most) return false;
    this.#text(exports.timeAfter.value, after, most);
    if ("below" in form) {
      exports.readCounts(form.below, after.length, quarterSeconds);
      return true;
    }
    const { prefix, suffix, separator, firstMinute } = form;
    if (prefix.length > most || suffix.length > most) return false;
    this.#text(exports.timePrefix.value, prefix, most);
    this.#text(exports.timeSuffix.value, suffix, most);
    exports.readTexts(prefix.length, suffix.length, after.length, separator, firstMinute);
    return true;
  }

  #text(at: number, text: Uint8Array, bytes: number): void {
    this.#bytes.fill(0, at, at + bytes);
    this.#bytes.set(text, at);
  }

  /**
   * Encodes lines of the piece from `from` (a place in the chunk) on to `out` at `end`, until the piece is over, `out` is full, or a line is
   * left to others. `base` is the offset of the chunk's first byte. Returns where the records end; the rest is in `reached`.
   */
  encode(from: number, out: Uint8Array, end: number, base: number | undefined): number {
    const exports = this.#exports;
    const { reached } = this;
    const outputBytesMax = exports.outputBytesMax.value;
    const pieceEndAt = this.#input + this.#to - this.#from;
    Object.assign(reached, { next: from, records: 0, leastNanos: Infinity, largestNanos: -1 });
    let o = end;
    for (let at = this.#input + from - this.#from; at < pieceEndAt;) {
      const offset = base === undefined ? -1 : base + reached.next;
      const high = Math.floor(offset / lowUnit);
      const free = out.length - slackBytes - o;
      exports.records(at, pieceEndAt, this.#output + Math.min(free, outputBytesMax), high, base === undefined ? 0 : offset - high * lowUnit);
      const next = this.#ends[0] as number;
      const written = this.#ends[1] as number;
      if (next === at) break;
      out.set(this.#bytes.subarray(this.#output, written), o);
      o += written - this.#output;
      reached.records += this.#ends[2] as number;
      reached.next += next - at;
      reached.leastNanos = Math.min(reached.leastNanos, this.#times[0] as number);
      reached.largestNanos = Math.max(reached.largestNanos, this.#times[1] as number);
      reached.lastNanos = this.#times[2] as number;
      at = next;
    }
    return o;
  }

  /** Reads objects of the piece from `from` on into `table`; returns how many, `reached.next` says where it stopped. */
  rows(from: number): number {
    this.#exports.rows(this.#input + from - this.#from, this.#input + this.#to - this.#from);
    this.reached.next = (this.#ends[0] as number) - this.#input + this.#from;
    return this.#ends[2] as number;
  }

  /** What a place in `table` is in the chunk. */
  placeOf(word: number): number {
    return word - this.#input + this.#from;
  }
}
