/**
 * Counts what arrived: numbered lines `w=NAME n=NUMBER …`, found in whatever they are wrapped in. One bit a line, so that hours fit.
 */

export interface Verdict {
  readonly lost: number;
  readonly repeated: number;
  /** Ranges of lost lines, the first few: `NAME 17-20`. */
  readonly gaps: readonly string[];
}

const gapsMax = 10;

class Bits {
  #words = new Uint8Array(1 << 16);
  repeated = 0;
  highest = -1;
  /** All below were seen. */
  whole = 0;

  /** Notes `n`; false when it was there before. */
  add(n: number): boolean {
    const at = n >> 3;
    if (at >= this.#words.length) {
      const grown = new Uint8Array(Math.max(this.#words.length * 2, at + 1));
      grown.set(this.#words);
      this.#words = grown;
    }
    const bit = 1 << (n & 7);
    if (((this.#words[at] ?? 0) & bit) !== 0) return false;
    this.#words[at] = (this.#words[at] ?? 0) | bit;
    this.highest = Math.max(this.highest, n);
    while (this.has(this.whole)) this.whole++;
    return true;
  }

  has(n: number): boolean {
    return ((this.#words[n >> 3] ?? 0) & (1 << (n & 7))) !== 0;
  }
}

export class Counter {
  readonly #by = new Map<string, Bits>();
  lines = 0;
  bytes = 0;
  /** What is no line of the writer. */
  foreign = 0;
  /** Repeats, the first few, as `what NAME NUMBER`. */
  readonly repeats: string[] = [];

  /** Takes text that ends at a line end: any number of lines, each with one of ours in it. `what`: where it came in, for the record. */
  add(text: string, what: string): void {
    this.bytes += text.length;
    let at = 0;
    while (at < text.length) {
      const found = text.indexOf("\n", at);
      const end = found < 0 ? text.length : found;
      if (end > at) this.#line(text, at, end, what);
      at = end + 1;
    }
  }

  #line(text: string, from: number, end: number, what: string): void {
    this.lines++;
    const start = text.indexOf("w=", from);
    const middle = start < 0 ? -1 : text.indexOf(" n=", start);
    const close = middle < 0 ? -1 : text.indexOf(" ", middle + 3);
    const n = close < 0 || close > end ? Number.NaN : Number(text.slice(middle + 3, close));
    if (!Number.isSafeInteger(n) || n < 0) {
      this.foreign++;
      return;
    }
    const name = text.slice(start + 2, middle);
    let bits = this.#by.get(name);
    if (bits === undefined) this.#by.set(name, (bits = new Bits()));
    if (bits.add(n)) return;
    bits.repeated++;
    if (this.repeats.length < gapsMax) this.repeats.push(`${what} ${name} ${n}`);
  }

  /** The highest number seen of each name. */
  highest(): Record<string, number> {
    return Object.fromEntries([...this.#by].map(([name, bits]) => [name, bits.highest]));
  }

  /** Whether all of `name` below `n` was seen. */
  reached(name: string, n: number): boolean {
    return (this.#by.get(name)?.whole ?? 0) >= n;
  }

  /** What is missing of the first `lines` of `name`, and how many came again. */
  verdict(name: string, lines: number): Verdict {
    const bits = this.#by.get(name) ?? new Bits();
    const gaps: string[] = [];
    let lost = 0;
    for (let n = 0; n < lines; n++) {
      if (bits.has(n)) continue;
      const from = n;
      while (n < lines && !bits.has(n)) n++;
      lost += n - from;
      if (gaps.length < gapsMax) gaps.push(`${name} ${from}-${n - 1}`);
    }
    return { lost, repeated: bits.repeated, gaps };
  }
}
