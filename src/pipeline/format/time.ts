/** Where in a line its time stands, and what it is: `timestamp` of a source's configuration. */
import type { TimestampKeys } from "../../core/format.ts";
import type { Template } from "../kernel/records.ts";
import { timeReader, type ReadTime } from "./instant.ts";
import type { Line } from "./line.ts";
import { templateMaker, type TemplateMaker } from "./template.ts";

/** Looked at of a line: whoever writes the time behind more than this has another format. */
const searchedBytesMax = 4096;

export class TimeFinder {
  readonly #read: ReadTime;
  readonly #after: Uint8Array;
  readonly #templates: TemplateMaker;
  readonly #scratch = { seconds: NaN, nanos: 0 };
  /** Where the time lies that was read last. */
  #bytes: Uint8Array = new Uint8Array(0);
  #from = 0;
  #to = 0;

  constructor({ format, zone, after }: TimestampKeys) {
    this.#read = timeReader(format, zone);
    // The common log format has host, identity and user before its time, which stands in brackets.
    this.#after = new TextEncoder().encode(after ?? (format === "clf" ? "[" : ""));
    this.#templates = templateMaker(format, this.#after);
  }

  /** What times like the one read last look like; undefined where others are not known by it. */
  template(line: Line): Template | undefined {
    return this.#templates.make(this.#bytes, this.#from, this.#to, line);
  }

  /** Whether a template still tells the times of lines read at `readMs`. */
  holds(template: Template, readMs: number): boolean {
    return this.#templates.holds(template, readMs);
  }

  /** Sets the line's time; false, and its time as it was, when none can be read. */
  find(line: Line, readMs: number): boolean {
    const { bytes, end } = line;
    const start = this.#after.length === 0 ? firstByte(bytes, line.start, end) : behind(bytes, line.start, end, this.#after);
    return start >= 0 && this.#take(line, bytes, start, end, readMs) >= 0;
  }

  /** The same for `bytes[start, end)`, which must be a time and nothing else. */
  readWhole(line: Line, bytes: Uint8Array, start: number, end: number, readMs: number): boolean {
    return start < end && this.#take(line, bytes, start, end, readMs, true) === end;
  }

  #take(line: Line, bytes: Uint8Array, start: number, end: number, readMs: number, whole = false): number {
    const scratch = this.#scratch;
    const after = this.#read(bytes, start, end, scratch, readMs);
    if (after < 0 || (whole && after !== end)) return -1;
    line.seconds = scratch.seconds;
    line.nanos = scratch.nanos;
    this.#bytes = bytes;
    this.#from = start;
    this.#to = after;
    return after;
  }
}

/** Behind blanks, a syslog priority (`<34>`, `<34>1 `), an opening bracket or quote. */
function firstByte(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && (bytes[at] === 0x20 || bytes[at] === 0x09)) at++;
  if (at < end && bytes[at] === 0x3c) {
    let close = at + 1;
    while (close < end && close - at <= 4 && isDigit(bytes[close])) close++;
    if (close < end && bytes[close] === 0x3e) at = close + 1;
    if (at + 1 < end && bytes[at] === 0x31 && bytes[at + 1] === 0x20) at += 2;
  }
  return at < end && (bytes[at] === 0x5b || bytes[at] === 0x22) ? at + 1 : at;
}

/** Behind the first `text` in the line; -1 when it is not there. */
function behind(bytes: Uint8Array, start: number, end: number, text: Uint8Array): number {
  const last = Math.min(end, start + searchedBytesMax) - text.length;
  for (let at = start; at <= last; at++) {
    let index = 0;
    while (index < text.length && bytes[at + index] === text[index]) index++;
    if (index === text.length) return at + index;
  }
  return -1;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}
