/**
 * Which records of the spool an object holds: its lines are compared with the spool's records, so that nothing rests on names,
 * partitions or counts. A spool that was rolled back or copied finds records of another history under sequences of its own.
 *
 * An object's records are some of those from its first to its last sequence, in their order. So one walk over both finds them:
 * forward; or backward where the spool does not reach back to the first one, since then only the last ones are known.
 * Records that damage took from the spool let as many lines of the object be passed over.
 */
import type { Compress } from "../core/compress.ts";
import type { FrameRef, Range, SpoolReader } from "../core/contract.ts";
import { Fault } from "../core/fault.ts";
import { LineHashes } from "./expand.ts";

/** References fetched at once. */
const piecesAtOnce = 64;

/** Lines whose hashes are kept, 32 MiB: objects of several partitions lie over the same frames. */
const cachedLinesMax = 4 * 2 ** 20;

/** A frame's records by hash; undefined: they are gone. */
interface Hashed {
  readonly firstSequence: number;
  readonly records: number;
  readonly hashes: BigUint64Array | undefined;
}

/** The spool's records as hashes. */
export class SpoolHashes {
  readonly #reader: SpoolReader;
  readonly #compress: Compress;
  readonly #seed: bigint;
  readonly #cache = new Map<number, BigUint64Array>();
  #cached = 0;

  constructor(reader: SpoolReader, compress: Compress, seed: bigint) {
    this.#reader = reader;
    this.#compress = compress;
    this.#seed = seed;
  }

  /** What the spool has from `first` to `last`, from either end; frames are given whole. Rejects with the reader's faults that may pass. */
  async *walk(first: number, last: number, backward: boolean): AsyncGenerator<Hashed> {
    const found = await this.#find(first, last);
    for (const piece of backward ? found.toReversed() : found) {
      if (!("frame" in piece)) yield piece;
      else yield { firstSequence: piece.frame.firstSequence, records: piece.frame.records, hashes: await this.#hashesOf(piece.frame) };
    }
  }

  async #find(first: number, last: number): Promise<({ readonly frame: FrameRef } | Hashed)[]> {
    const found: ({ readonly frame: FrameRef } | Hashed)[] = [];
    for (let at = first; at <= last;) {
      const pieces = await this.#reader.pieces(at, piecesAtOnce);
      if (pieces.length === 0) break;
      for (const piece of pieces) {
        const { firstSequence, records } = "frame" in piece ? piece.frame : piece.lost;
        if (firstSequence > at) found.push({ firstSequence: at, records: Math.min(firstSequence, last + 1) - at, hashes: undefined });
        if (firstSequence > last) return found;
        found.push("frame" in piece ? { frame: piece.frame } : { firstSequence, records, hashes: undefined });
        at = firstSequence + records;
      }
    }
    return found;
  }

  async #hashesOf(frame: FrameRef): Promise<BigUint64Array | undefined> {
    const known = this.#cache.get(frame.firstSequence);
    if (known !== undefined) return known;
    let raw: Uint8Array;
    try {
      raw = await this.#compress.unzstd(await this.#reader.payload(frame));
    } catch (cause) {
      if (cause instanceof Fault && cause.retry !== "never") throw cause;
      return undefined;
    }
    const lines = new LineHashes(this.#seed);
    lines.add(raw);
    const hashes = lines.finish().slice();
    this.#cache.set(frame.firstSequence, hashes);
    this.#cached += hashes.length;
    for (const [oldest, { length }] of this.#cache) {
      if (this.#cached <= cachedLinesMax) break;
      this.#cache.delete(oldest);
      this.#cached -= length;
    }
    return hashes;
  }
}

export interface Matched {
  readonly ranges: Range[];
  readonly records: number;
  /** Lines that are no record of this spool, though it should have them. */
  readonly foreign: number;
}

/** The records of `spool` that are the `lines` of an object from sequence `first` to `last`. The spool holds `from` to `next - 1`. */
export async function match(
  lines: BigUint64Array,
  first: number,
  last: number,
  spool: SpoolHashes,
  { from, next }: { readonly from: number; readonly next: number },
): Promise<Matched> {
  const backward = first < from;
  const walked = new Walk(backward ? lines.toReversed() : lines);
  const ranges: Range[] = [];
  for await (const { firstSequence, records, hashes } of spool.walk(Math.max(first, from), Math.min(last, next - 1), backward)) {
    if (walked.done) break;
    if (hashes === undefined) {
      walked.gone(records);
      continue;
    }
    for (let i = 0; i < records; i++) {
      const at = backward ? records - 1 - i : i;
      const sequence = firstSequence + at;
      if (sequence >= first && sequence <= last && walked.offer(hashes[at])) join(ranges, sequence);
    }
  }
  if (backward) ranges.reverse();
  const before = backward ? from - first : 0;
  return { ranges, records: walked.taken, foreign: Math.max(0, walked.left - before) };
}

/** Adds a sequence next to the last range, on either side of it. */
function join(ranges: Range[], sequence: number): void {
  const [first, last] = ranges.at(-1) ?? [Infinity, -Infinity];
  if (sequence === last + 1) ranges[ranges.length - 1] = [first, sequence];
  else if (sequence === first - 1) ranges[ranges.length - 1] = [sequence, last];
  else ranges.push([sequence, sequence]);
}

/** The lines of an object, passed one by one as the records that are offered agree with them. */
class Walk {
  taken = 0;
  readonly #lines: BigUint64Array;
  #at = 0;
  /** Lines that may be those of records that are gone. */
  #slack = 0;
  #ahead: Map<bigint, number> | undefined;

  constructor(lines: BigUint64Array) {
    this.#lines = lines;
  }

  get done(): boolean {
    return this.#at >= this.#lines.length;
  }

  /** Lines that agree with no record, as far as they cannot be those of records that are gone. */
  get left(): number {
    return Math.max(0, this.#lines.length - this.#at - this.#slack);
  }

  gone(records: number): void {
    this.#slack += records;
    this.#ahead = undefined;
  }

  /** Whether the next line is this record's. */
  offer(hash: bigint | undefined): boolean {
    if (hash === undefined) return false;
    const at = this.#lines[this.#at] === hash ? this.#at : this.#skipTo(hash);
    if (at === undefined) return false;
    this.#slack -= at - this.#at;
    this.#at = at + 1;
    this.taken++;
    return true;
  }

  #skipTo(hash: bigint): number | undefined {
    if (this.#slack === 0) return undefined;
    if (this.#ahead === undefined) {
      this.#ahead = new Map();
      for (let i = Math.min(this.#lines.length - 1, this.#at + this.#slack); i > this.#at; i--) this.#ahead.set(this.#lines[i] ?? 0n, i);
    }
    const at = this.#ahead.get(hash);
    return at !== undefined && at > this.#at && at - this.#at <= this.#slack ? at : undefined;
  }
}
