/** Pieces of a stream to whole lines; holds back what has no end yet, never more than one line's bound and a piece. */
import type { Chunk } from "../../core/contract.ts";

export type Lines = Pick<Chunk, "bytes" | "partial" | "truncated">;

const LF = 10;
const none = new Uint8Array(0);

export class LineCutter {
  readonly #lineBytesMax: number;
  /** The line begun, as it came: joined once its end is there, so that a long line is not copied with every piece. */
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  /** Inside a line that was cut: the rest up to its end is skipped. */
  #skipping = false;

  constructor(lineBytesMax: number) {
    this.#lineBytesMax = lineBytesMax;
  }

  /** The lines that `piece` completes. A line beyond the bound comes cut at a character border, its rest is dropped. */
  push(piece: Uint8Array): Lines[] {
    let rest = piece;
    if (this.#skipping) {
      const lineEnd = rest.indexOf(LF);
      if (lineEnd < 0) return [];
      this.#skipping = false;
      rest = rest.subarray(lineEnd + 1);
    }
    const lines: Lines[] = [];
    const first = rest.indexOf(LF);
    if (first >= 0 && this.#heldBytes > 0) {
      lines.push(this.#join(rest.subarray(0, first + 1)));
      rest = rest.subarray(first + 1);
    }
    const end = rest.lastIndexOf(LF) + 1;
    if (end > 0) lines.push({ bytes: rest.subarray(0, end) });
    rest = rest.subarray(end);
    if (rest.byteLength > 0) this.#hold(rest);
    if (this.#heldBytes > this.#lineBytesMax + 1) {
      lines.push(this.#join(none));
      this.#skipping = true;
    }
    return lines;
  }

  /** The last line, when it has no end. */
  end(): Lines[] {
    if (this.#heldBytes === 0) return [];
    const line = this.#join(none);
    return [line.truncated === true ? line : { ...line, partial: true }];
  }

  #hold(bytes: Uint8Array): void {
    this.#held.push(bytes);
    this.#heldBytes += bytes.byteLength;
  }

  #join(last: Uint8Array): Lines {
    const bytes = Buffer.concat([...this.#held, last]);
    this.#held = [];
    this.#heldBytes = 0;
    // One more than the bound may be a CR, which the line end takes with it.
    if (bytes.byteLength - (bytes.at(-1) === LF ? 1 : 0) <= this.#lineBytesMax + 1) return { bytes };
    let cut = this.#lineBytesMax;
    while (cut > this.#lineBytesMax - 4 && ((bytes[cut] ?? 0) & 0xc0) === 0x80) cut--;
    return { bytes: bytes.subarray(0, cut), truncated: true };
  }
}
