/**
 * Bodies of many batches that share frames, made in one pass: each frame is read and decoded once for all of them, and not once
 * for each. With a thousand partitions in every frame that is the difference between a second and a quarter of an hour.
 *
 * The bytes are those of `encodeBody` with `recode/2`, so a batch that is sent again after a restart is made by that one.
 * Memory: what has not filled a frame yet, for each batch (the caller bounds the sum), and what is kept of the results.
 */
import type { Codec, Range, SpoolReader } from "../core/contract.ts";
import type { Compress } from "../core/compress.ts";
import { giveBack } from "../core/lend.ts";
import { decodeFrame, Packer, picksOf, type Encoder } from "./encode.ts";
import { within } from "./ranges.ts";

export interface SplitBody {
  readonly bytes: number;
  readonly digest: string;
  readonly crc: number;
  /** The body itself, piece by piece, where it was within what may be kept. */
  readonly parts: readonly Uint8Array[] | undefined;
}

/** Bodies made of `batches`, in their order. Rejects with RecordsGone, or with what the reader rejects with. */
export async function splitBodies(
  batches: readonly { readonly ranges: readonly Range[]; readonly rawBytes: number }[],
  codec: Codec,
  options: { readonly reader: SpoolReader; readonly compress: Compress; readonly keepBytesMax: number },
): Promise<SplitBody[]> {
  const { reader, compress } = options;
  const budget = { bytes: options.keepBytesMax };
  // One piece of memory for all of them: it is touched anew once, and not for each.
  const sizes = batches.map(({ rawBytes }) => Packer.bytesOf(recoder, rawBytes));
  const buffers = new Uint8Array(sizes.reduce((sum, bytes) => sum + bytes, 0));
  let at = 0;
  const bodies = sizes.map((bytes) => new Body(new Packer(recoder, codec, compress, buffers.subarray(at, (at += bytes))), budget));
  for await (const { frame, picks } of picksOf(merged(batches.map(({ ranges }) => ranges)), reader)) {
    const raw = await decodeFrame(frame, picks, reader, compress);
    const ends = lineEnds(raw, frame.records);
    for (const [i, { ranges }] of batches.entries()) {
      const wanted = within(ranges, frame.firstSequence, frame.firstSequence + frame.records - 1);
      if (wanted.length === 0) continue;
      await bodies[i]?.add(wanted.map(([first, last]) => slice(raw, ends, first - frame.firstSequence, last - frame.firstSequence)));
    }
    giveBack(raw);
  }
  // Together: they are compressed side by side, and nothing waits for one of them.
  await Promise.all(bodies.map((body) => body.end()));
  giveBack(buffers);
  return bodies.map((body) => body.result());
}

/** How these bodies are encoded. */
export const recoder = "recode/2";

/** Where each line ends, its LF included. */
function lineEnds(raw: Uint8Array, lines: number): Uint32Array {
  const ends = new Uint32Array(lines);
  let at = 0;
  for (let line = 0; line < lines; line++) {
    at = raw.indexOf(10, at) + 1 || raw.byteLength;
    ends[line] = at;
  }
  return ends;
}

/** Lines `first` to `last`. */
function slice(raw: Uint8Array, ends: Uint32Array, first: number, last: number): Uint8Array {
  return raw.subarray(first === 0 ? 0 : (ends[first - 1] ?? 0), ends[last] ?? raw.byteLength);
}

/** All ranges as one sorted list; no two batches hold the same record. */
function merged(batches: readonly (readonly Range[])[]): Range[] {
  const joined: Range[] = [];
  for (const [first, last] of batches.flat().sort((a, b) => a[0] - b[0])) {
    const before = joined.at(-1);
    if (before !== undefined && first === before[1] + 1) joined[joined.length - 1] = [before[0], last];
    else joined.push([first, last]);
  }
  return joined;
}

class Body {
  readonly #packer: Packer;
  readonly #budget: { bytes: number };
  readonly #hash = new Bun.CryptoHasher("sha256");
  #bytes = 0;
  #crc = 0;
  #parts: Uint8Array[] | undefined = [];

  constructor(packer: Packer, budget: { bytes: number }) {
    this.#packer = packer;
    this.#budget = budget;
  }

  async add(picked: readonly Uint8Array[]): Promise<void> {
    this.#take(await this.#packer.add(picked));
  }

  async end(): Promise<void> {
    this.#take(await this.#packer.end());
  }

  #take(part: Uint8Array | undefined): void {
    if (part === undefined) return;
    this.#hash.update(part);
    this.#crc = Bun.hash.crc32(part, this.#crc);
    this.#bytes += part.byteLength;
    this.#budget.bytes -= part.byteLength;
    // One that is not kept whole is made anew when it is sent.
    if (this.#budget.bytes < 0 && this.#parts !== undefined) {
      for (const kept of this.#parts) this.#budget.bytes += kept.byteLength;
      this.#parts = undefined;
    }
    if (this.#parts === undefined) this.#budget.bytes += part.byteLength;
    this.#parts?.push(part);
  }

  result(): SplitBody {
    return { bytes: this.#bytes, digest: this.#hash.digest("hex"), crc: this.#crc, parts: this.#parts };
  }
}

/** A body that was kept, as it may be given away: whoever takes a part owns it. Parts of a `copy/1` are the kept ones themselves. */
export async function* keptBody(parts: readonly Uint8Array[], encoder: Encoder): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield encoder === "copy/1" ? part : new Uint8Array(part);
}

/** What bounds a pass: NDJSON gathered at a time, and bodies that come out of it. */
export interface PassLimits {
  readonly gatherBytesMax: number;
  readonly bodyBytesMax: number;
}

/** How many of `drafts`, from the first, are made in one pass: as many as stay within the bounds together, and at least one. */
export function passOf<Draft extends { readonly rawBytes: number; readonly bodyBytes: number }>(
  drafts: readonly Draft[],
  limits: PassLimits,
): Draft[] {
  let [gathered, bodies] = [0, 0];
  const taken = drafts.findIndex((draft) => {
    gathered += Packer.bytesOf(recoder, draft.rawBytes);
    bodies += draft.bodyBytes;
    return gathered > limits.gatherBytesMax || bodies > limits.bodyBytesMax;
  });
  return taken < 0 ? [...drafts] : drafts.slice(0, Math.max(1, taken));
}
