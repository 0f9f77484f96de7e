/**
 * A scan of one JSON object (RFC 8259) as bytes: is it one, would some reader stumble over it, and where are the values
 * that make it a record of ours. Nothing is decoded but keys that look alike; a property test holds it against JSON.parse.
 *
 * Readers differ exactly where JSON leaves room: DuckDB and Spark match keys without regard to case and spoil a table over
 * one line that has a key twice; a lone surrogate has no UTF-8; a number that overflows a double is read as nothing by some
 * and as infinity by others; deep nesting ends in a reader's stack.
 */

import { firstMark, marks } from "./word.ts";

/** What a reader may stumble over, `""` for nothing. The first one found. */
export type Stumble = "" | "lone_surrogate" | "duplicate_key" | "depth" | "number";

/** Where a value of the outermost object lies: `start` -1 when it is not there. */
export interface Span {
  start: number;
  end: number;
}

/** Containers in containers, the outermost object included. */
export const depthMax = 64;

/** Keys of one object that are compared as they come: 32 x 31 / 2 comparisons; beyond, once the object ends, in a set. */
const keysCompared = 32;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** The scanner holds its scratch space and the result of the last scan. */
export class JsonScan {
  /** Why the last scan failed, lower case; `""` when it did not. */
  reason = "";
  /** The byte at which it failed, counted from the start of the object. */
  reasonAt = 0;
  stumble: Stumble = "";
  /** Without the white space around it. */
  readonly object: Span = { start: -1, end: -1 };
  readonly timestamp: Span = { start: -1, end: -1 };
  readonly host: Span = { start: -1, end: -1 };
  readonly source: Span = { start: -1, end: -1 };
  readonly labels: Span = { start: -1, end: -1 };
  /** The value of the key the scan was made for. */
  readonly value: Span = { start: -1, end: -1 };
  readonly #keys: readonly Wanted[];
  #bytes: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  #end = 0;
  /** The string read last held a backslash. */
  #escaped = false;
  /** Open containers: where the keys of an object begin in the list of keys, -1 for an array. */
  #open: number[] = [];
  #keyHash: number[] = [];
  #keyStart: number[] = [];
  #keyEnd: number[] = [];

  /** Looks for `key` of the outermost object, `""` for none; without it, for those that make a record of ours. */
  constructor(key?: string) {
    const wanted = key === "" ? [] : [{ name: new TextEncoder().encode(JSON.stringify(key)), of: (scan: JsonScan) => scan.value }];
    this.#keys = key === undefined ? ownKeys : wanted;
  }

  /** The bytes that `scan` looks into; must be UTF-8. */
  use(bytes: Uint8Array): void {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** True when `bytes[start, end)` is one JSON object and nothing else but white space. */
  scan(start: number, end: number): boolean {
    this.#reset(end);
    const first = this.#space(start);
    this.object.start = first;
    if (first >= end) return this.#fail("empty", first, start);
    if (this.#bytes[first] !== 0x7b) return this.#fail("not a JSON object", first, start);
    const after = this.#containers(first);
    if (after < 0) return this.#fail(this.reason, -after - 1, start);
    this.object.end = after;
    const rest = this.#space(after);
    return rest === end || this.#fail("more than one JSON value", rest, start);
  }

  #reset(end: number): void {
    this.reason = "";
    this.stumble = "";
    this.#end = end;
    for (const span of [this.timestamp, this.host, this.source, this.labels, this.value, this.object]) span.start = span.end = -1;
    this.#open.length = 0;
    this.#keyHash.length = this.#keyStart.length = this.#keyEnd.length = 0;
  }

  #fail(reason: string, at: number, start: number): false {
    this.reason = reason;
    this.reasonAt = at - start;
    return false;
  }

  /** Notes the reason and returns the position as the negative number that stands for a failure. */
  #bad(reason: string, at: number): number {
    this.reason = at >= this.#end ? "ends too early" : reason;
    return -at - 1;
  }

  #byte(at: number): number {
    return at < this.#end ? (this.#bytes[at] as number) : -1;
  }

  #space(from: number): number {
    let at = from;
    for (;;) {
      const byte = this.#byte(at);
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return at;
      at++;
    }
  }

  /** From the opening brace at `first` to behind its end; negative when it is not JSON. No recursion: depth is the sender's choice. */
  #containers(first: number): number {
    const open = this.#open;
    let named: Span | undefined;
    let at = first;
    for (;;) {
      // A value begins at `at`.
      if (named?.start === -1) named.start = at;
      const byte = this.#byte(at);
      if (byte === 0x7b || byte === 0x5b) {
        open.push(byte === 0x7b ? this.#keyHash.length : -1);
        if (open.length > depthMax && this.stumble === "") this.stumble = "depth";
        at = this.#space(at + 1);
        if (this.#byte(at) !== byte + 2) {
          if (byte === 0x7b) {
            if (open.length === 1) named = this.#nameAt(at);
            at = this.#key(at);
            if (at < 0) return at;
          }
          continue;
        }
      } else {
        at = this.#scalar(at, byte);
        if (at < 0) return at;
        if (open.length === 1 && named !== undefined) named.end = at;
        at = this.#space(at);
      }
      // Behind a value, or at the end of an empty container: ends of containers, then a comma.
      while (this.#byte(at) !== 0x2c) {
        const keys = open[open.length - 1] as number;
        if (this.#byte(at) !== (keys >= 0 ? 0x7d : 0x5d)) return this.#bad(keys >= 0 ? "expected , or }" : "expected , or ]", at);
        this.#leave(keys);
        at++;
        if (open.length === 0) return at;
        if (open.length === 1 && named !== undefined) named.end = at;
        at = this.#space(at);
      }
      at = this.#space(at + 1);
      if ((open[open.length - 1] as number) >= 0) {
        if (open.length === 1) named = this.#nameAt(at);
        at = this.#key(at);
        if (at < 0) return at;
      }
    }
  }

  #leave(keys: number): void {
    this.#open.pop();
    if (keys < 0) return;
    if (this.#keyHash.length - keys > keysCompared) this.#compareAll(keys);
    this.#keyHash.length = this.#keyStart.length = this.#keyEnd.length = keys;
  }

  /** A value that is no container, from `at` to behind it. */
  #scalar(at: number, byte: number): number {
    if (byte === QUOTE) return this.#string(at);
    if (byte === 0x2d || isDigit(byte)) return this.#number(at);
    if (byte === 0x74) return this.#literal(at, "true");
    if (byte === 0x66) return this.#literal(at, "false");
    if (byte === 0x6e) return this.#literal(at, "null");
    return this.#bad("expected a value", at);
  }

  #literal(at: number, word: string): number {
    for (let index = 0; index < word.length; index++) {
      if (this.#byte(at + index) !== word.charCodeAt(index)) return this.#bad(`expected ${word}`, at + index);
    }
    return at + word.length;
  }

  #number(start: number): number {
    let at = this.#byte(start) === 0x2d ? start + 1 : start;
    const whole = at;
    at = this.#digits(at);
    if (at === whole) return this.#bad("expected a digit", at);
    if (this.#byte(whole) === 0x30 && at > whole + 1) return this.#bad("a number begins with 0", whole);
    if (this.#byte(at) === 0x2e) {
      const fraction = at + 1;
      at = this.#digits(fraction);
      if (at === fraction) return this.#bad("expected a digit", at);
    }
    let large = at - whole > 300;
    if ((this.#byte(at) | 0x20) === 0x65) {
      const sign = this.#byte(at + 1);
      const exponent = sign === 0x2b || sign === 0x2d ? at + 2 : at + 1;
      at = this.#digits(exponent);
      if (at === exponent) return this.#bad("expected a digit", at);
      large = true;
    }
    if (large && !Number.isFinite(Number(decoder.decode(this.#bytes.subarray(start, at))))) this.stumble ||= "number";
    return at;
  }

  #digits(from: number): number {
    let at = from;
    while (isDigit(this.#byte(at))) at++;
    return at;
  }

  /** From the quote at `start` to behind the closing one. */
  #string(start: number): number {
    const view = this.#view;
    const last = this.#end - 8;
    this.#escaped = false;
    let at = start + 1;
    for (;;) {
      while (at <= last) {
        const low = marks(view.getInt32(at, true));
        const high = low === 0 ? marks(view.getInt32(at + 4, true)) : 0;
        if ((low | high) !== 0) {
          at += low !== 0 ? firstMark(low) : 4 + firstMark(high);
          break;
        }
        at += 8;
      }
      const byte = this.#byte(at);
      if (byte === QUOTE) return at + 1;
      if (byte < 0x20) return this.#bad("control character in a string", at);
      if (byte === BACKSLASH) {
        this.#escaped = true;
        at = this.#escape(at);
        if (at < 0) return at;
      } else at++;
    }
  }

  /** From the backslash at `at` to behind the escape, a surrogate pair as one. */
  #escape(at: number): number {
    const letter = this.#byte(at + 1);
    if (letter !== 0x75) return simpleEscapes.includes(letter) ? at + 2 : this.#bad("unknown escape in a string", at + 1);
    const unit = this.#unit(at + 2);
    if (unit < 0) return this.#bad("expected four hexadecimal digits", at + 2);
    if (unit < 0xd800 || unit > 0xdfff) return at + 6;
    if (unit < 0xdc00 && this.#byte(at + 6) === BACKSLASH && this.#byte(at + 7) === 0x75) {
      const second = this.#unit(at + 8);
      if (second >= 0xdc00 && second <= 0xdfff) return at + 12;
    }
    this.stumble ||= "lone_surrogate";
    return at + 6;
  }

  /** The UTF-16 unit of four hexadecimal digits, -1 when they are none. */
  #unit(at: number): number {
    let unit = 0;
    for (let index = at; index < at + 4; index++) {
      const byte = this.#byte(index);
      const digit = isDigit(byte) ? byte - 0x30 : (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x66 ? (byte | 0x20) - 0x57 : -1;
      if (digit < 0) return -1;
      unit = unit * 16 + digit;
    }
    return unit;
  }

  /** The key at `at` and its colon; returns where the value begins. */
  #key(at: number): number {
    if (this.#byte(at) !== QUOTE) return this.#bad("expected a key", at);
    const end = this.#string(at);
    if (end < 0) return end;
    this.#note(at, end);
    const colon = this.#space(end);
    return this.#byte(colon) === 0x3a ? this.#space(colon + 1) : this.#bad("expected :", colon);
  }

  /** Adds a key to those of its object, and looks whether it is there already. */
  #note(start: number, end: number): void {
    const hash = this.#hash(start, end);
    const first = this.#open[this.#open.length - 1] as number;
    const count = this.#keyHash.length;
    if (count - first < keysCompared) {
      for (let index = first; index < count; index++) {
        if (this.#keyHash[index] !== hash) continue;
        if (this.#folded(this.#keyStart[index] as number, this.#keyEnd[index] as number) === this.#folded(start, end))
          this.stumble ||= "duplicate_key";
      }
    }
    this.#keyHash.push(hash);
    this.#keyStart.push(start);
    this.#keyEnd.push(end);
  }

  #compareAll(first: number): void {
    const seen = new Set<string>();
    for (let index = first; index < this.#keyHash.length; index++) {
      seen.add(this.#folded(this.#keyStart[index] as number, this.#keyEnd[index] as number));
    }
    if (seen.size < this.#keyHash.length - first) this.stumble ||= "duplicate_key";
  }

  /** FNV-1a of the folded key between its quotes: equal for keys that are equal but for case and escapes. */
  #hash(start: number, end: number): number {
    let hash = 0x811c9dc5 | 0;
    let plain = !this.#escaped;
    for (let at = start + 1; plain && at < end - 1; at++) {
      const byte = this.#bytes[at] as number;
      plain = byte < 0x80;
      hash = Math.imul(hash ^ (byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte), 0x01000193);
    }
    if (plain) return hash;
    const text = this.#folded(start, end);
    hash = 0x811c9dc5 | 0;
    for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
    return hash;
  }

  /** The key with its quotes, decoded, without case. By way of upper case, so that ſ and s, and K (Kelvin) and k are one. */
  #folded(start: number, end: number): string {
    const text: unknown = JSON.parse(decoder.decode(this.#bytes.subarray(start, end)));
    return String(text).toUpperCase().toLowerCase();
  }

  /** The span to fill for the key at `at` of the outermost object; undefined for any that is not looked for. */
  #nameAt(at: number): Span | undefined {
    for (const { name, of } of this.#keys) {
      let index = 0;
      while (index < name.length && this.#byte(at + index) === name[index]) index++;
      if (index < name.length) continue;
      const span = of(this);
      span.start = span.end = -1;
      return span;
    }
    return undefined;
  }
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const simpleEscapes = [0x22, 0x5c, 0x2f, 0x62, 0x66, 0x6e, 0x72, 0x74];
/** A key as it stands in JSON, and the span its value goes to. */
interface Wanted {
  readonly name: Uint8Array;
  readonly of: (scan: JsonScan) => Span;
}

const ownKeys: readonly Wanted[] = [
  { name: new TextEncoder().encode('"timestamp"'), of: (scan: JsonScan) => scan.timestamp },
  { name: new TextEncoder().encode('"host"'), of: (scan: JsonScan) => scan.host },
  { name: new TextEncoder().encode('"source"'), of: (scan: JsonScan) => scan.source },
  { name: new TextEncoder().encode('"labels"'), of: (scan: JsonScan) => scan.labels },
];

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}
