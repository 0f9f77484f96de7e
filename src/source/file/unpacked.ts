/**
 * A compressed file, read as if it lay there uncompressed: all positions are bytes of its content.
 *
 * It is decompressed from its first byte on, once, as far as somebody reads. What was made last is kept (`backBytes`), since a reader goes
 * back by the line it has not seen the end of; who goes back further has it decompressed again from the first byte. Memory is bounded by that.
 *
 * A decoder gives nothing of the part of the input in which it met damage. It is then taken through the file again, through that part in
 * steps of 512 bytes, and once more in steps of one, so that what can be read is read.
 */
import type { Compress } from "../../core/compress.ts";
import type { DiskFile, FileStat } from "../../core/disk.ts";
import { assert } from "../../core/assert.ts";
import { giveBack } from "../../core/lend.ts";
import type { Ending, Packing, Unpacking } from "../../core/unpack.ts";

/** Of the raw file read at once: small at its begin, for who wants only its first lines. */
const partBytes = { first: 8 * 1024, next: 64 * 1024 };
/** In the part in which damage was met, and then in the step in which it was met. */
const carefulBytes = [512, 1];

/** What the first bytes of a file say it is; undefined: nothing we decompress. */
export function packingOf(head: Uint8Array): Packing | undefined {
  const [a, b, c, d] = head;
  if (a === 0x1f && b === 0x8b && c === 0x08) return "gzip";
  if (a === 0x28 && b === 0xb5 && c === 0x2f && d === 0xfd) return "zstd";
  return a !== undefined && a >> 4 === 5 && b === 0x2a && c === 0x4d && d === 0x18 ? "zstd" : undefined;
}

export class Unpacked implements DiskFile {
  readonly packing: Packing;
  /** The file as it lies on disk. */
  readonly raw: DiskFile;
  readonly #unpack: NonNullable<Compress["unpack"]>;
  readonly #backBytes: number;
  #stream: Unpacking | undefined;
  /** Up to where in the raw file decoders came that met damage. */
  #damagedAt: readonly number[] = [];
  #ending: Ending | undefined;
  /** The content from `#from` to `#to`, at the begin of `#kept`. */
  #kept: Uint8Array = new Uint8Array(0);
  #from = 0;
  #to = 0;

  /** Takes over `raw`. What was read can be read again as long as it lies less than `backBytes` back. */
  constructor(raw: DiskFile, packing: Packing, unpack: NonNullable<Compress["unpack"]>, backBytes: number) {
    this.raw = raw;
    this.packing = packing;
    this.#unpack = unpack;
    this.#backBytes = backBytes;
  }

  get path(): string {
    return this.raw.path;
  }

  /** How far it was decompressed. */
  get reached(): number {
    return this.#to;
  }

  /** How it ended; undefined while there may be more. */
  get ending(): Ending | undefined {
    return this.#ending;
  }

  /** What its content comes to, estimated while its end was not reached. */
  sizeOf(rawBytes: number): number {
    if (this.#ending !== undefined) return this.#to;
    const consumed = this.#stream?.consumed ?? 0;
    return Math.max(this.#to, consumed === 0 ? rawBytes : Math.round((rawBytes / consumed) * this.#to));
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    if (position < this.#from) this.#restart();
    let filled = 0;
    while (filled < into.byteLength) {
      const at = position + filled;
      if (at < this.#to) {
        const bytes = this.#kept.subarray(at - this.#from, Math.min(this.#to - this.#from, at - this.#from + into.byteLength - filled));
        into.set(bytes, filled);
        filled += bytes.byteLength;
      } else if (!(await this.#more())) break;
    }
    return filled;
  }

  /** Decompresses on towards `position`, about `bytesMax` at most. True when it or the end was reached. */
  async reach(position: number, bytesMax: number): Promise<boolean> {
    for (let made = 0; this.#to < position;) {
      if (made >= bytesMax) return false;
      const before = this.#to;
      if (!(await this.#more())) return true;
      made += Math.max(0, this.#to - before);
    }
    return true;
  }

  /** The raw file has grown: its end is not known any more. */
  anew(): void {
    this.#damagedAt = [];
    this.#restart();
  }

  /** Gives back the memory; the next read decompresses from the first byte on. */
  rest(): void {
    const ending = this.#ending;
    const to = this.#to;
    this.#restart();
    this.#kept = new Uint8Array(0);
    if (ending === undefined) return;
    this.#ending = ending;
    this.#from = to;
    this.#to = to;
  }

  /** As the raw file's, but for `bytes`. */
  async stat(): Promise<FileStat> {
    const stat = await this.raw.stat();
    return { ...stat, bytes: this.sizeOf(stat.bytes) };
  }

  async close(): Promise<void> {
    this.#stream?.close();
    this.#stream = undefined;
    this.#kept = new Uint8Array(0);
    await this.raw.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  write(): Promise<void> {
    return readOnly();
  }

  datasync(): Promise<void> {
    return readOnly();
  }

  truncate(): Promise<void> {
    return readOnly();
  }

  #restart(): void {
    this.#stream?.close();
    this.#stream = undefined;
    this.#ending = undefined;
    this.#from = 0;
    this.#to = 0;
  }

  /** Makes the next piece. False when there is none. Rejects when the raw file cannot be read; the next call then begins anew. */
  async #more(): Promise<boolean> {
    if (this.#ending !== undefined) return false;
    this.#stream ??= this.#unpack(this.packing, this.#input());
    const stream = this.#stream;
    let piece: Uint8Array | Ending;
    try {
      piece = await stream.next();
    } catch (cause) {
      this.#restart();
      throw cause;
    }
    if (typeof piece !== "string") {
      this.#keep(piece);
      return true;
    }
    if ((piece === "damaged" || piece === "foreign") && this.#damagedAt.length < carefulBytes.length) {
      this.#damagedAt = [...this.#damagedAt, stream.consumed];
      this.#restart();
      return true;
    }
    stream.close();
    this.#stream = undefined;
    this.#ending = piece;
    return false;
  }

  /** The raw file part by part, for one decoder: what an earlier one still reads is its own. */
  #input(): () => Promise<Uint8Array | undefined> {
    const damagedAt = this.#damagedAt.at(-1) ?? Number.POSITIVE_INFINITY;
    const careful = carefulBytes[this.#damagedAt.length - 1] ?? partBytes.next;
    // What was met lies in the next part, as large as it was then; a decoder may have said so a part later.
    const carefulEnd = damagedAt + 2 * (carefulBytes[this.#damagedAt.length - 2] ?? partBytes.next);
    let part = new Uint8Array(partBytes.first);
    let at = 0;
    return async () => {
      let bytes = at === 0 ? partBytes.first : partBytes.next;
      if (at < damagedAt) bytes = Math.min(bytes, damagedAt - at);
      else if (at < carefulEnd) bytes = careful;
      if (part.byteLength < bytes) part = new Uint8Array(bytes);
      const got = await this.raw.read(part.subarray(0, bytes), at);
      at += got;
      return got === 0 ? undefined : part.subarray(0, got);
    };
  }

  /** Appends a piece, and drops what lies too far back when there is no room. */
  #keep(piece: Uint8Array): void {
    let held = this.#to - this.#from;
    if (held + piece.byteLength > this.#kept.byteLength) {
      const back = Math.min(held, this.#backBytes);
      const needed = back + piece.byteLength;
      const kept = this.#kept.subarray(held - back, held);
      // Twice what has to be kept: so each byte is moved about once.
      const larger = Math.min(2 * this.#backBytes + piece.byteLength, 2 * needed);
      if (this.#kept.byteLength < Math.max(needed, Math.min(larger, 2 * this.#backBytes))) {
        const grown = new Uint8Array(larger);
        grown.set(kept);
        this.#kept = grown;
      } else this.#kept.copyWithin(0, held - back, held);
      held = back;
      this.#from = this.#to - back;
    }
    assert(held + piece.byteLength <= this.#kept.byteLength, "what is kept of a compressed file has no room for a piece");
    this.#kept.set(piece, held);
    this.#to += piece.byteLength;
    giveBack(piece);
  }
}

function readOnly(): Promise<never> {
  return Promise.reject(new Error("a compressed file is only read"));
}
