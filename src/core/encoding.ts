/**
 * Text that is not UTF-8: where its lines end, and what they say. Encodings are those of the runtime's TextDecoder, under their WHATWG names.
 *
 * A byte 0x0A is a line end in all of them but UTF-16: no encoding of WHATWG has it inside a character (trail bytes begin at 0x30). In
 * UTF-16 a code unit is two bytes, and a line end the unit 0x000A at an even place: the byte alone stands in others (U+010A, U+0A00).
 */
import { isAscii } from "node:buffer";

const LF = 10;
const CR = 13;
/** The runtime's types name fewer encodings than it knows. */
type Label = ConstructorParameters<typeof TextDecoder>[0];

/** The name of the encoding that `label` means, as TextDecoder has it (`latin1` is windows-1252); undefined when there is none. */
export function encodingNamed(label: string): string | undefined {
  try {
    return new TextDecoder(label as Label).encoding;
  } catch {
    return undefined;
  }
}

/** Line ends of one encoding. `base` is the place of `bytes[0]` in its text, of which only even or odd counts. */
export interface LineEnds {
  /** Bytes of a code unit. */
  readonly unit: 1 | 2;
  /** Index behind the first line end in `bytes[from, to)`; -1 when there is none. */
  first(bytes: Uint8Array, from: number, to: number, base: number): number;
  /** Index behind the last line end in `bytes[0, to)`; 0 when there is none. */
  last(bytes: Uint8Array, to: number, base: number): number;
  /** Where the line that ends at `to` (its line end not counted) ends without a carriage return. */
  trim(bytes: Uint8Array, from: number, to: number): number;
  /** The largest index up to `to` at which a code unit begins. */
  whole(to: number, base: number): number;
}

const byByte: LineEnds = {
  unit: 1,
  first(bytes, from, to) {
    const at = bytes.indexOf(LF, from);
    return at < 0 || at >= to ? -1 : at + 1;
  },
  last: (bytes, to) => bytes.subarray(0, to).lastIndexOf(LF) + 1,
  trim: (bytes, from, to) => (to > from && bytes[to - 1] === CR ? to - 1 : to),
  whole: (to) => to,
};

/** `low`: where in the unit its byte 0x0A stands. */
function byPair(low: 0 | 1): LineEnds {
  const ends = (bytes: Uint8Array, at: number, to: number, base: number): boolean => {
    const unit = at - low;
    return unit >= 0 && unit + 2 <= to && (base + unit) % 2 === 0 && bytes[unit + 1 - low] === 0;
  };
  return {
    unit: 2,
    first(bytes, from, to, base) {
      for (let at = bytes.indexOf(LF, from); at >= 0 && at < to; at = bytes.indexOf(LF, at + 1)) {
        if (at - low >= from && ends(bytes, at, to, base)) return at - low + 2;
      }
      return -1;
    },
    last(bytes, to, base) {
      for (let at = to > 0 ? bytes.lastIndexOf(LF, to - 1) : -1; at >= 0; at = at > 0 ? bytes.lastIndexOf(LF, at - 1) : -1) {
        if (ends(bytes, at, to, base)) return at - low + 2;
      }
      return 0;
    },
    trim: (bytes, from, to) => (to - 2 >= from && bytes[to - 2 + low] === CR && bytes[to - 1 - low] === 0 ? to - 2 : to),
    whole: (to, base) => to - ((base + to) % 2),
  };
}

const little = byPair(0);
const big = byPair(1);

/** Line ends of text in `encoding`, a name; undefined: UTF-8. */
export function lineEndsOf(encoding: string | undefined): LineEnds {
  return encoding === "utf-16le" ? little : encoding === "utf-16be" ? big : byByte;
}

const encoder = new TextEncoder();
const BOM = [0xef, 0xbb, 0xbf] as const;

/** 3 when `bytes[start, end)` begins with the byte order mark of UTF-8, else 0. */
export function markBytes(bytes: Uint8Array, start: number, end: number): number {
  return end - start >= 3 && BOM.every((byte, index) => bytes[start + index] === byte) ? 3 : 0;
}

/** Lines of one encoding to UTF-8. */
export class Lines {
  readonly ends: LineEnds;
  /** Of the line read last: it held bytes that are no character of the encoding. */
  invalid = false;
  readonly #name: string;
  readonly #strict: TextDecoder;
  readonly #lenient: TextDecoder;
  /** Bytes of a byte order mark. */
  readonly markBytes: number;
  /** What is ASCII is the same in UTF-8. */
  readonly #ascii: boolean;

  /** `name` as TextDecoder has it. */
  constructor(name: string) {
    this.#name = name;
    this.ends = lineEndsOf(name);
    this.markBytes = this.ends.unit === 2 ? 2 : 4; // of the others only gb18030 has one
    this.#strict = new TextDecoder(name as Label, { fatal: true, ignoreBOM: true });
    this.#lenient = new TextDecoder(name as Label, { ignoreBOM: true });
    // A switch of the character set is written in ASCII there.
    this.#ascii = this.ends.unit === 1 && name !== "iso-2022-jp";
  }

  /** All of `bytes` can be read as if it were UTF-8. */
  isPlain(bytes: Uint8Array): boolean {
    return this.#ascii && isAscii(bytes);
  }

  /** `bytes` as UTF-8, in memory of its own; what is no character of the encoding is U+FFFD. `cut`: the end may lie inside a character, which is left out. */
  read(bytes: Uint8Array, cut: boolean): Uint8Array {
    this.invalid = false;
    if (cut) {
      // A decoder of its own, since this one is left in the middle.
      const text = new TextDecoder(this.#name as Label, { ignoreBOM: true }).decode(bytes, { stream: true });
      this.invalid = text.includes("\ufffd");
      return encoder.encode(text);
    }
    try {
      return encoder.encode(this.#strict.decode(bytes));
    } catch {
      this.invalid = true;
      return encoder.encode(this.#lenient.decode(bytes));
    }
  }
}
