/**
 * Counts numbered lines at the far end: each number of 0 … written-1 exactly once, or it says how many are missing, how many
 * came again and how many carry no number that was ever written.
 */

export interface Verdict {
  readonly lines: number;
  readonly missing: number;
  readonly repeated: number;
  readonly foreign: number;
}

export class Tally {
  readonly #marker: Buffer;
  /** A bit for each number seen. */
  #seen = new Uint8Array(1 << 17);
  #distinct = 0;
  #beyond = 0;
  #lines = 0;
  #repeated = 0;
  #foreign = 0;

  /** `marker`: what stands before the number (see kind.ts). */
  constructor(marker: string) {
    this.#marker = Buffer.from(marker, "latin1");
  }

  /** Every line of `bytes`; the last one may lack its end. */
  addLines(bytes: Buffer): void {
    for (let at = 0; at < bytes.length;) {
      const found = bytes.indexOf(10, at);
      const end = found < 0 ? bytes.length : found;
      this.addLine(bytes, at, end);
      at = end + 1;
    }
  }

  addLine(bytes: Buffer, start: number, end: number): void {
    this.#lines++;
    const mark = bytes.indexOf(this.#marker, start);
    let at = mark + this.#marker.length;
    let number = 0;
    const first = at;
    for (; at < end; at++) {
      const digit = (bytes[at] as number) - 48;
      if (digit < 0 || digit > 9) break;
      number = number * 10 + digit;
    }
    if (mark < 0 || at === first || number >= 2 ** 32) this.#foreign++;
    else this.#see(number);
  }

  /** `written`: how many lines there should be. */
  verdict(written: number): Verdict {
    let beyond = 0;
    for (let number = written; number < this.#beyond; number++) if (this.#has(number)) beyond++;
    return { lines: this.#lines, missing: written - (this.#distinct - beyond), repeated: this.#repeated, foreign: this.#foreign + beyond };
  }

  #has(number: number): boolean {
    return ((this.#seen[number >>> 3] ?? 0) & (1 << (number & 7))) !== 0;
  }

  #see(number: number): void {
    if (this.#has(number)) {
      this.#repeated++;
      return;
    }
    const at = number >>> 3;
    if (at >= this.#seen.length) {
      const larger = new Uint8Array(2 ** Math.ceil(Math.log2(at + 1)));
      larger.set(this.#seen);
      this.#seen = larger;
    }
    this.#seen[at] = (this.#seen[at] ?? 0) | (1 << (number & 7));
    this.#distinct++;
    if (number >= this.#beyond) this.#beyond = number + 1;
  }
}

/** True when every line is there once and nothing else is. */
export function isComplete(verdict: Verdict): boolean {
  return verdict.missing === 0 && verdict.repeated === 0 && verdict.foreign === 0;
}
