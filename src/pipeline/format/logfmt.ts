/**
 * logfmt to a JSON object: `level=info msg="a \"word\"" count=3 debug` → `{"level":"info","msg":"a \"word\"","count":"3","debug":"true"}`.
 *
 * All values are text, so that a column has one type whatever a line brings; a key alone is `true`. Blanks and controls part the
 * pairs. A value may hold `=` and quotes, unless it begins with a quote: then it is a JSON string. A line without a single `=` is none.
 */
import { escapeText } from "./escape.ts";
import { unescape } from "./unescape.ts";

/** Keys of a line that are compared as they come: 32 x 31 / 2 comparisons; a line with more is scanned. */
const comparedMax = 32;
const QUOTE = 0x22;
const EQUALS = 0x3d;

export class Logfmt {
  /** Where the last object was written. */
  out: Uint8Array<ArrayBuffer> = new Uint8Array(64 * 1024);
  view: DataView = new DataView(this.out.buffer);
  /** Where the value of `key` lies in the line, without quotes. */
  valueStart = -1;
  valueEnd = -1;
  /** A key may stand twice, in any case: a scan of the object tells. False for most lines, which saves it half of the cost. */
  doubtful = false;
  readonly #hashes = new Int32Array(comparedMax);
  #keys = 0;
  readonly #key: Uint8Array | undefined;
  #text: Uint8Array = new Uint8Array(1024);
  /** The string read last held a backslash. */
  #escaped = false;

  constructor(key: string | undefined) {
    this.#key = key === undefined ? undefined : new TextEncoder().encode(key);
  }

  /** Writes the object to `out` from 0 on; returns where it ends, -1 when the line is not logfmt. UTF-8 in, UTF-8 out. */
  convert(bytes: Uint8Array, start: number, end: number): number {
    // A byte becomes at most six; a key alone ("a ") becomes `"a":"true",`.
    const room = 6 * (end - start) + 12 * ((end - start + 2) >> 1) + 64;
    if (this.out.length < room) {
      this.out = new Uint8Array(2 * room);
      this.view = new DataView(this.out.buffer);
    }
    const { out } = this;
    this.valueStart = this.valueEnd = -1;
    this.doubtful = false;
    this.#keys = 0;
    let o = 0;
    let pairs = 0;
    out[o++] = 0x7b;
    for (let at = start; ;) {
      while (at < end && (bytes[at] as number) <= 0x20) at++;
      if (at >= end) break;
      const key = at;
      while (at < end && (bytes[at] as number) > 0x20 && bytes[at] !== EQUALS && bytes[at] !== QUOTE) at++;
      if (at === key || (at < end && bytes[at] === QUOTE)) return -1;
      this.#note(bytes, key, at);
      if (o > 1) out[o++] = 0x2c;
      out[o++] = QUOTE;
      o = escapeText(bytes, key, at, out, o);
      out[o++] = QUOTE;
      out[o++] = 0x3a;
      out[o++] = QUOTE;
      if (at < end && bytes[at] === EQUALS) {
        const wanted = this.#isKey(bytes, key, at);
        pairs++;
        at++;
        const quoted = at < end && bytes[at] === QUOTE;
        const value = quoted ? at + 1 : at;
        at = quoted ? this.#quoteEnd(bytes, value, end) : bareEnd(bytes, at, end);
        if (at < 0) return -1;
        o = quoted ? this.#storeQuoted(bytes, value, at, o) : escapeText(bytes, value, at, out, o);
        if (wanted) {
          this.valueStart = value;
          this.valueEnd = at;
        }
        if (quoted) at++;
        if (quoted && at < end && (bytes[at] as number) > 0x20) return -1;
      } else {
        for (const byte of TRUE) out[o++] = byte;
      }
      out[o++] = QUOTE;
    }
    out[o++] = 0x7d;
    return pairs === 0 ? -1 : o;
  }

  /** Holds a key against those before it, by FNV-1a of its letters in lower case. */
  #note(bytes: Uint8Array, start: number, end: number): void {
    let hash = 0x811c9dc5 | 0;
    for (let at = start; at < end; at++) {
      const byte = bytes[at] as number;
      if (byte >= 0x80) this.doubtful = true; // letters of other alphabets have cases too
      hash = Math.imul(hash ^ (byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte), 0x01000193);
    }
    const hashes = this.#hashes;
    if (this.#keys === comparedMax) {
      this.doubtful = true;
      return;
    }
    for (let index = 0; index < this.#keys; index++) if (hashes[index] === hash) this.doubtful = true;
    hashes[this.#keys++] = hash;
  }

  #isKey(bytes: Uint8Array, start: number, end: number): boolean {
    const key = this.#key;
    if (key === undefined || key.length !== end - start) return false;
    for (let index = 0; index < key.length; index++) if (bytes[start + index] !== key[index]) return false;
    return true;
  }

  /** The closing quote, -1 when there is none. */
  #quoteEnd(bytes: Uint8Array, start: number, end: number): number {
    this.#escaped = false;
    for (let at = start; at < end; at++) {
      if (bytes[at] === QUOTE) return at;
      if (bytes[at] !== 0x5c) continue;
      this.#escaped = true;
      at++;
    }
    return -1;
  }

  #storeQuoted(bytes: Uint8Array, start: number, end: number, at: number): number {
    if (!this.#escaped) return escapeText(bytes, start, end, this.out, at);
    if (this.#text.length < end - start) this.#text = new Uint8Array(2 * (end - start));
    return escapeText(this.#text, 0, unescape(bytes, start, end, this.#text, 0), this.out, at);
  }
}

const TRUE = new TextEncoder().encode("true");

function bareEnd(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && (bytes[at] as number) > 0x20) at++;
  return at;
}
