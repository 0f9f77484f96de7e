/**
 * Where records are written: the open frame at hand, its view for word-wise stores, and the way to the next one.
 *
 * Only the frame asked for last may be written to: asking for another may have closed it.
 */
import type { Frames, OpenFrame, Stream } from "../core/contract.ts";
import { quarterMs } from "../core/limits.ts";

/** Bytes after the last one needed that the word-wise loops may overwrite, and the end of a record. */
export const slackBytes = 64;

/** A stream with the name the spool knows it by: equal key, equal stream. */
export interface NamedStream {
  readonly key: string;
  readonly stream: Stream;
}

export class FrameWriter {
  readonly #frames: Frames;
  #frame: OpenFrame | undefined;
  #key = "";
  #quarter = NaN;
  bytes: Uint8Array = new Uint8Array(0);
  #view: DataView | undefined;
  /** Where the next record goes. */
  at = 0;

  constructor(frames: Frames) {
    this.#frames = frames;
  }

  /** Makes sure that the frame at hand is one of this stream and time and has `roomBytes` and the slack free. */
  reserve({ key, stream }: NamedStream, timeMs: number, roomBytes: number): void {
    const quarter = Math.floor(timeMs / quarterMs);
    const need = roomBytes + slackBytes;
    if (this.#key === key && this.#quarter === quarter && this.bytes.byteLength - this.at >= need) return;
    const frame = this.#frames(key, stream, timeMs, need);
    if (this.bytes !== frame.bytes) {
      this.bytes = frame.bytes;
      this.#view = undefined;
    }
    this.#frame = frame;
    this.#key = key;
    this.#quarter = quarter;
    this.at = frame.length;
  }

  /** Of the frame at hand. Made when asked for: records that change their stream one by one are copied without it. */
  get view(): DataView {
    return (this.#view ??= new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength));
  }

  /** Bytes free in the frame at hand, the slack left out. */
  free(): number {
    return this.bytes.byteLength - this.at - slackBytes;
  }

  /** `records` whole records now end at `end`; their times lie between the two, wall milliseconds. */
  commit(end: number, records: number, minMs: number, maxMs: number): void {
    const frame = this.#frame;
    if (frame === undefined || records === 0) return;
    const first = frame.records === 0;
    frame.minMs = first ? minMs : Math.min(frame.minMs, minMs);
    frame.maxMs = first ? maxMs : Math.max(frame.maxMs, maxMs);
    frame.length = end;
    frame.records += records;
    this.at = end;
  }
}
