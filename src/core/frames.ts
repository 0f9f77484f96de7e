/**
 * The structure of zstd data (RFC 8878, section 3.1) as it streams by: where frames end, and whether something else follows.
 *
 * zstd.ts walks what is there whole; this one is for what comes in parts. The decoder of node:zlib takes a torn end, and as a rule
 * bytes behind the last frame, without a word, so both have to be seen here. Nothing is kept but the header at hand, 16 bytes at most.
 */

const magic = 0xfd2fb528;
/** Skippable frames: 0x184D2A50 to 0x184D2A5F. */
const skippableMagic = 0x184d2a50;
const repeatedBlock = 1;

export class Frames {
  /** The bytes of the header at hand, and how many of them there are to be. */
  readonly #header = new Uint8Array(16);
  #held = 0;
  #wanted = 4;
  /** Content that is not looked at. */
  #skip = 0;
  /** What the header at hand is. */
  #step: "magic" | "skippable" | "descriptor" | "block" = "magic";
  #checksum = false;
  #last = false;

  /** True when the last byte seen was the last of a frame, or none was seen yet. */
  get between(): boolean {
    return this.#step === "magic" && this.#held === 0 && this.#skip === 0;
  }

  /** Looks at the next part. Returns how many of its bytes belong to frames: all of them, or up to where something else begins. */
  walk(part: Uint8Array): number {
    for (let at = 0; at < part.length;) {
      if (this.#skip > 0) {
        const step = Math.min(this.#skip, part.length - at);
        this.#skip -= step;
        at += step;
        continue;
      }
      const byte = part[at++] as number;
      // What has no place behind a frame is known by its first byte, before a decoder sees any of it.
      if (this.#step === "magic" && this.#held === 0 && byte !== 0x28 && byte >> 4 !== 5) return at - 1;
      this.#header[this.#held++] = byte;
      if (this.#held < this.#wanted) continue;
      const wanted = this.#take(new DataView(this.#header.buffer));
      if (wanted < 0) return Math.max(0, at - this.#held);
      this.#held = 0;
      this.#wanted = wanted;
    }
    return part.length;
  }

  /** Takes the header at hand and returns how many bytes the next one has; below 0: this is no frame. */
  #take(header: DataView): number {
    if (this.#step === "magic") return this.#magic(header);
    if (this.#step === "skippable") return this.#begin(header.getUint32(0, true));
    return this.#step === "descriptor" ? this.#descriptor(header) : this.#block(header);
  }

  #magic(header: DataView): number {
    const number = header.getUint32(0, true);
    if ((number & 0xfffffff0) >>> 0 === skippableMagic) {
      this.#step = "skippable";
      return 4;
    }
    this.#step = "descriptor";
    return number === magic ? 1 : -1;
  }

  #descriptor(header: DataView): number {
    const descriptor = header.getUint8(0);
    const single = (descriptor & 0x20) !== 0;
    const sizeFlag = descriptor >> 6;
    const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] ?? 0;
    const sizeBytes = sizeFlag === 0 ? (single ? 1 : 0) : 1 << sizeFlag;
    this.#checksum = (descriptor & 4) !== 0;
    this.#skip = (single ? 0 : 1) + dictionaryBytes + sizeBytes;
    this.#step = "block";
    return 3;
  }

  #block(header: DataView): number {
    const block = header.getUint16(0, true) | (header.getUint8(2) << 16);
    this.#last = (block & 1) === 1;
    const type = (block >> 1) & 3;
    if (type > 2) return -1;
    // A block that repeats one byte says how often, and holds that byte.
    const bytes = type === repeatedBlock ? 1 : block >> 3;
    if (this.#last) return this.#begin(bytes + (this.#checksum ? 4 : 0));
    this.#skip = bytes;
    return 3;
  }

  /** After `skip` more bytes the next frame begins. */
  #begin(skip: number): number {
    this.#skip = skip;
    this.#step = "magic";
    return 4;
  }
}
