/**
 * The body of a batch, made from the spool's frames; the same bytes every time.
 *
 * - `copy/1`: the payloads of whole frames as they lie in the spool. Payloads only: headers never leave the host.
 * - `recode/1`: frames are decoded, the records picked, and compressed again: zstd frames at level 3 or gzip members at
 *   level 6, of up to 1 MiB NDJSON each (what one spool frame gives is never split), or plain text. For another codec, for
 *   frames that are taken in part, and for many tiny frames, which compress clearly worse (1 KiB 2.5 times, 64 KiB 7.5).
 * - `recode/2`: the same at level 1 and in frames of up to 256 KiB, for bodies of which hundreds are made side by side (split.ts):
 *   a third less CPU and a quarter of the memory for 5 % of ratio.
 *
 * Promises: streamed, memory bounded by a frame or two; deterministic for a given encoder and codec; `checkedBody` never
 * gives away the whole of a body that differs from what was planned.
 */
import type { Codec, FrameRef, Range, SpoolReader } from "../core/contract.ts";
import type { Compress } from "../core/compress.ts";
import { giveBack } from "../core/lend.ts";
import { frameBytes } from "../core/limits.ts";
import { countOf, within } from "./ranges.ts";

export type Recoder = "recode/1" | "recode/2";
export type Encoder = "copy/1" | Recoder;

/** A later way of encoding changes the number; a journal may hold plans of a version that this one does not know. */
export function isEncoder(encoder: string): encoder is Encoder {
  return encoder === "copy/1" || Object.hasOwn(recoders, encoder);
}

const recoders: Record<Recoder, { readonly zstdLevel: number; readonly frameBytes: number }> = {
  "recode/1": { zstdLevel: 3, frameBytes },
  "recode/2": { zstdLevel: 1, frameBytes: 256 * 1024 },
};
const gzipLevel = 6;

/** Pieces asked for at once: 64 frames are about 64 MiB of NDJSON, a few KiB of references. */
const piecesAtOnce = 64;

/** Records that a batch needs and the spool does not have any more. */
export class RecordsGone extends Error {
  override readonly name = "RecordsGone";
  readonly ranges: readonly Range[];
  /** They were given up for room; else damage took them. */
  readonly dropped: boolean;

  constructor(ranges: readonly Range[], cause?: unknown, dropped = false) {
    super(`${countOf(ranges)} records are gone from the spool`, { cause });
    this.ranges = ranges;
    this.dropped = dropped;
  }
}

/** The body came out other than planned: the runtime's compressor changed, or a bug. */
export class BodyChanged extends Error {
  override readonly name = "BodyChanged";
}

export interface BodyPlan {
  readonly ranges: readonly Range[];
  readonly codec: Codec;
  readonly encoder: Encoder;
}

/** Streams the body. Rejects with RecordsGone, or with what the reader rejects with. */
export function encodeBody(plan: BodyPlan, reader: SpoolReader, compress: Compress): AsyncGenerator<Uint8Array> {
  return plan.encoder === "copy/1" ? copyFrames(plan, reader) : recodeFrames(plan, plan.encoder, reader, compress);
}

async function* copyFrames(plan: BodyPlan, reader: SpoolReader): AsyncGenerator<Uint8Array> {
  for await (const { frame, picks } of picksOf(plan.ranges, reader)) {
    // A frame that is there in part only (the log was cut in it) cannot be copied any more.
    if (countOf(picks) !== frame.records) throw new BodyChanged("a frame is not whole any more");
    yield await payloadOf(frame, picks, reader);
  }
}

/**
 * Packs records as a recoder has it: into frames (members) of so much NDJSON at most, what comes at once never split. They are
 * copied into one buffer, which grows to what is needed and not beyond, and serves for frame after frame.
 */
export class Packer {
  readonly #codec: Codec;
  readonly #compress: Compress;
  readonly #zstdLevel: number;
  readonly #frameBytes: number;
  #buffer: Uint8Array;
  #fill = 0;

  /** `buffer`: to begin with, where the caller has one. */
  constructor(recoder: Recoder, codec: Codec, compress: Compress, buffer = new Uint8Array(0)) {
    this.#codec = codec;
    this.#compress = compress;
    this.#zstdLevel = recoders[recoder].zstdLevel;
    this.#frameBytes = recoders[recoder].frameBytes;
    this.#buffer = buffer;
  }

  /** NDJSON that a packer gathers for bodies of `rawBytes`: what its buffer should have. */
  static bytesOf(recoder: Recoder, rawBytes: number): number {
    return Math.min(recoders[recoder].frameBytes, rawBytes);
  }

  /** Takes the records of one spool frame, copied; resolves with the frame that had to be closed for them, if one had. */
  async add(picked: readonly Uint8Array[]): Promise<Uint8Array | undefined> {
    let bytes = 0;
    for (const part of picked) bytes += part.byteLength;
    if (this.#fill === 0 || this.#fill + bytes <= this.#frameBytes) {
      this.#copy(picked, bytes);
      return undefined;
    }
    const full = await this.#close();
    this.#copy(picked, bytes);
    return full;
  }

  /** The last frame; undefined when there is nothing in it. Gives back the memory. */
  async end(): Promise<Uint8Array | undefined> {
    const last = this.#fill === 0 ? undefined : await this.#close();
    giveBack(this.#buffer);
    this.#buffer = new Uint8Array(0);
    return last;
  }

  #copy(picked: readonly Uint8Array[], bytes: number): void {
    const need = this.#fill + bytes;
    if (need > this.#buffer.byteLength) {
      const larger = new Uint8Array(Math.max(need, Math.min(this.#frameBytes, this.#buffer.byteLength * 2)));
      larger.set(this.#buffer.subarray(0, this.#fill));
      giveBack(this.#buffer);
      this.#buffer = larger;
    }
    for (const part of picked) {
      this.#buffer.set(part, this.#fill);
      this.#fill += part.byteLength;
    }
  }

  #close(): Promise<Uint8Array> {
    const raw = this.#buffer.subarray(0, this.#fill);
    this.#fill = 0;
    if (this.#codec === "none") return Promise.resolve(raw.slice());
    return this.#codec === "zstd" ? this.#compress.zstd(raw, this.#zstdLevel) : this.#compress.gzip(raw, gzipLevel);
  }
}

async function* recodeFrames(plan: BodyPlan, recoder: Recoder, reader: SpoolReader, compress: Compress): AsyncGenerator<Uint8Array> {
  const packer = new Packer(recoder, plan.codec, compress);
  for await (const { frame, picks } of picksOf(plan.ranges, reader)) {
    const raw = await decodeFrame(frame, picks, reader, compress);
    const all = countOf(picks) === frame.records;
    const packed = await packer.add(all ? [raw] : pickLines(raw, frame, picks));
    giveBack(raw);
    if (packed !== undefined) yield packed;
  }
  const last = await packer.end();
  if (last !== undefined) yield last;
}

/** The frames that hold `ranges`, each with what is wanted of it. */
export async function* picksOf(ranges: readonly Range[], reader: SpoolReader): AsyncGenerator<{ frame: FrameRef; picks: Range[] }> {
  const end = ranges.at(-1)?.[1] ?? -1;
  for (let at = ranges[0]?.[0] ?? 0; at <= end;) {
    const pieces = await reader.pieces(at, piecesAtOnce);
    if (pieces.length === 0) throw new RecordsGone(within(ranges, at, end));
    for (const piece of pieces) {
      const { firstSequence, records } = "frame" in piece ? piece.frame : piece.lost;
      const before = within(ranges, at, Math.min(end, firstSequence - 1));
      if (before.length > 0) throw new RecordsGone(before);
      const picks = within(ranges, Math.max(at, firstSequence), firstSequence + records - 1);
      at = firstSequence + records;
      if (picks.length > 0 && "lost" in piece) throw new RecordsGone(picks, undefined, piece.lost.dropped);
      if (picks.length > 0 && "frame" in piece) yield { frame: piece.frame, picks };
      if (at > end) return;
    }
    // A lane's records may lie far apart.
    at = within(ranges, at, end)[0]?.[0] ?? end + 1;
  }
}

async function payloadOf(frame: FrameRef, picks: readonly Range[], reader: Pick<SpoolReader, "payload">): Promise<Uint8Array> {
  try {
    return await reader.payload(frame);
  } catch (cause) {
    if (codeOf(cause) === "spool_frame_corrupt") throw new RecordsGone(picks, cause);
    if (codeOf(cause) === "spool_frame_dropped") throw new RecordsGone(picks, cause, true);
    throw cause;
  }
}

function codeOf(cause: unknown): unknown {
  return cause instanceof Error && "code" in cause ? cause.code : undefined;
}

/** The NDJSON of a frame. Rejects with RecordsGone (of `picks`) when it is damaged. */
export async function decodeFrame(
  frame: FrameRef,
  picks: readonly Range[],
  reader: Pick<SpoolReader, "payload">,
  compress: Compress,
): Promise<Uint8Array> {
  const payload = await payloadOf(frame, picks, reader);
  let raw: Uint8Array;
  try {
    raw = await compress.unzstd(payload);
  } catch (cause) {
    throw new RecordsGone(picks, cause);
  }
  if (raw.byteLength !== frame.rawBytes) throw new RecordsGone(picks);
  return raw;
}

/** The lines of the picked records, each run of them in one piece. */
function pickLines(raw: Uint8Array, frame: FrameRef, picks: readonly Range[]): Uint8Array[] {
  const parts: Uint8Array[] = [];
  let sequence = frame.firstSequence;
  let at = 0;
  const skipTo = (target: number): void => {
    for (; sequence < target; sequence++) {
      const end = raw.indexOf(10, at);
      if (end < 0) throw new RecordsGone(picks);
      at = end + 1;
    }
  };
  for (const [first, last] of picks) {
    skipTo(first);
    const from = at;
    skipTo(last + 1);
    parts.push(raw.subarray(from, at));
  }
  return parts;
}

/** What is known of a body once all of it was seen. */
export interface BodySums {
  readonly bytes: number;
  readonly digest: string;
  readonly crc: number;
  /** The body itself, where it was asked for and is small enough. */
  readonly parts?: readonly Uint8Array[];
}

/** Length, SHA-256 (hex) and CRC-32 of a body. Of one that is longer than `keepBytesMax` the memory is given back piece by piece. */
export async function measureBody(body: AsyncIterable<Uint8Array>, keepBytesMax = 0): Promise<BodySums> {
  const hash = new Bun.CryptoHasher("sha256");
  let parts: Uint8Array[] | undefined = [];
  let bytes = 0;
  let crc = 0;
  for await (const part of body) {
    hash.update(part);
    crc = Bun.hash.crc32(part, crc);
    bytes += part.byteLength;
    parts?.push(part);
    if (parts !== undefined && bytes <= keepBytesMax) continue;
    for (const each of parts ?? [part]) giveBack(each);
    parts = undefined;
  }
  const sums = { bytes, digest: hash.digest("hex"), crc };
  return parts === undefined || keepBytesMax === 0 ? sums : { ...sums, parts };
}

/**
 * The same body, compared with what was planned as it goes: by its CRC-32, since every frame of it was checked when it was read and
 * SHA-256 would cost the main thread 7 % once more; by the digest where an older plan has no CRC. The last part is given only once
 * all of it was found equal: no receiver ever gets a body whole that is not the planned one. A part is the receiver's until it asks
 * for the next. Rejects with BodyChanged.
 */
export async function* checkedBody(
  body: AsyncIterable<Uint8Array>,
  planned: { readonly bytes: number; readonly digest: string; readonly crc?: number | undefined },
): AsyncGenerator<Uint8Array> {
  const hash = planned.crc === undefined ? new Bun.CryptoHasher("sha256") : undefined;
  let crc = 0;
  let bytes = 0;
  let held: Uint8Array | undefined;
  for await (const part of body) {
    if (hash === undefined) crc = Bun.hash.crc32(part, crc);
    else hash.update(part);
    bytes += part.byteLength;
    if (bytes > planned.bytes) throw new BodyChanged(`the body is longer than the ${planned.bytes} bytes planned`);
    if (held !== undefined) {
      yield held;
      giveBack(held);
    }
    held = part;
  }
  const equal = hash === undefined ? crc === planned.crc : hash.digest("hex") === planned.digest;
  if (bytes !== planned.bytes || !equal) throw new BodyChanged("the body differs from what was planned");
  if (held === undefined) return;
  yield held;
  giveBack(held);
}
