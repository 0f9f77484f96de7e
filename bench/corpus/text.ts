/**
 * A growing piece of log text as bytes. Everything in the corpora is ASCII, so a character is a byte and no encoder runs
 * on the hot path: about 300 MB of log a second.
 */

export type Piece = Uint8Array;

/** The bytes of an ASCII text, made once and copied often. */
export function piece(text: string): Piece {
  return Buffer.from(text, "latin1");
}

export function pieces(texts: readonly string[]): Piece[] {
  return texts.map(piece);
}

const hexDigits = piece("0123456789abcdef");

export class Text {
  readonly bytes: Buffer;
  length = 0;

  constructor(bytes: number) {
    this.bytes = Buffer.allocUnsafe(bytes);
  }

  /** Appends bytes that were made before. */
  add(part: Piece): this {
    const { bytes } = this;
    let at = this.length;
    // Short pieces are the rule, and a call into the runtime costs more than they do.
    for (let index = 0; index < part.length; index++) bytes[at++] = part[index] as number;
    this.length = at;
    return this;
  }

  /** Appends a whole number that is not negative, with zeros in front up to `width` digits. */
  number(value: number, width = 1): this {
    let digits = 1;
    for (let bound = 10; value >= bound; bound *= 10) digits++;
    if (digits < width) digits = width;
    let rest = value;
    for (let at = this.length + digits - 1; at >= this.length; at--) {
      const next = Math.floor(rest / 10);
      this.bytes[at] = 48 + (rest - next * 10);
      rest = next;
    }
    this.length += digits;
    return this;
  }

  /** Appends 8 hex digits. */
  hex(bits: number): this {
    for (let shift = 28; shift >= 0; shift -= 4) this.bytes[this.length++] = hexDigits[(bits >>> shift) & 15] as number;
    return this;
  }

  end(): void {
    this.bytes[this.length++] = 10;
  }

  /** What was written so far; overwritten after `clear`. */
  taken(): Buffer {
    return this.bytes.subarray(0, this.length);
  }

  clear(): void {
    this.length = 0;
  }
}

/** Writes a date's text only when the second has changed; `format` makes it from wall milliseconds. */
export function perSecond(format: (ms: number) => string): (ms: number) => Piece {
  let second = -1;
  let text = piece("");
  return (ms) => {
    const now = Math.floor(ms / 1000);
    if (now !== second) {
      second = now;
      text = piece(format(now * 1000));
    }
    return text;
  };
}
