/** The bytes of a simulated file: grown in place, so that a run of appends costs what it writes, and a hole costs nothing. */

/** Bytes at a place or, without bytes, a cut to the size `at`. */
export interface Write {
  readonly at: number;
  readonly bytes: Uint8Array | undefined;
}

export class Content {
  #bytes = new Uint8Array(0);
  length = 0;

  /** What is there now; valid until the next change. */
  view(): Uint8Array {
    this.#hold(this.length);
    return this.#bytes.subarray(0, this.length);
  }

  clone(): Content {
    const copy = new Content();
    copy.#bytes = this.#bytes.slice(0, this.length);
    copy.length = this.length;
    return copy;
  }

  apply(write: Write): void {
    if (write.bytes === undefined) {
      this.#resize(write.at);
      return;
    }
    const end = write.at + write.bytes.byteLength;
    this.#hold(end);
    this.#bytes.set(write.bytes, write.at);
    this.length = Math.max(this.length, end);
  }

  /** What is added is zero. */
  #resize(length: number): void {
    if (length < this.length) this.#bytes.fill(0, length);
    this.length = length;
  }

  /** Makes memory for so many bytes. */
  #hold(length: number): void {
    if (length <= this.#bytes.byteLength) return;
    const grown = new Uint8Array(Math.max(length, this.#bytes.byteLength * 2, 256));
    grown.set(this.#bytes);
    this.#bytes = grown;
  }

  flip(at: number, bits: number): void {
    this.#hold(at + 1);
    if (at < this.length) this.#bytes[at] = (this.#bytes[at] ?? 0) ^ bits;
  }
}
