/**
 * Open batches: drafts, one for each partition, that gather shares of frames until something closes them.
 *
 * A draft is references only (ranges of sequences): memory does not grow with the bytes of a batch. Draft and range counts
 * are capped. Closed drafts are handed out in the order of closing; whoever takes them must plan them.
 */
import { frameBytes } from "../core/limits.ts";
import type { Codec } from "../core/contract.ts";
import type { Share } from "./assign.ts";
import type { Encoder } from "./encode.ts";
import { GrowingRanges } from "./ranges.ts";

export interface Draft {
  readonly partition: string;
  readonly ranges: GrowingRanges;
  records: number;
  /** Spool frames it takes from, and their NDJSON bytes. */
  frames: number;
  rawBytes: number;
  /** Bytes as sent: exact where frames are copied, an estimate where not. */
  bodyBytes: number;
  /** Every frame is taken whole. */
  whole: boolean;
  /** Frames (members) that encoding anew would make, and how full the last one is. */
  recodedFrames: number;
  recodedFill: number;
  minMs: number;
  /** Monotonic time its first record was seen. */
  openedMs: number;
}

export interface DraftLimits {
  readonly codec: Codec;
  readonly bytesMax: number;
  readonly ageMsMax: number;
  /** Frames (members) a body may have now. */
  readonly framesMax: () => number | undefined;
}

/** Open partitions: an hour of 10,000 label sets and some late data, 200 bytes each; the oldest is closed when it takes more. */
const draftsMax = 16_384;

/**
 * NDJSON of all drafts that take a part of their frames. They share frames, so they are closed together: each frame is then decoded
 * twice or so for all of them (seal.ts), and not once for each. It bounds what the objects of a thousand partitions hold: 1 MiB.
 * Half of it would make twice as many, and each costs a millisecond; twice of it, more ranges than fit.
 */
const partialBytesMax = 1024 * 1024 * 1024;

/** 16 bytes a range in memory: 9 MiB for all drafts, 1.2 MiB for one once it is planned. Only mixed frames make more than a few. */
const rangesMax = 560_000;
const rangesMaxEach = 20_000;

/** Mean NDJSON bytes a frame below which copying costs ratio: many readers and listings of a quiet host pay for it. */
const tinyBytes = 64 * 1024;

export class Drafts {
  readonly #limits: DraftLimits;
  /** By partition, in the order of opening: the first one holds the oldest sequence. */
  readonly #open = new Map<string, Draft>();
  #ranges = 0;
  #partialBytes = 0;

  constructor(limits: DraftLimits) {
    this.#limits = limits;
  }

  /** Adds a share of a frame, seen at monotonic `nowMs`; returns what had to be closed for it. */
  add(share: Share, minMs: number, nowMs: number): Draft[] {
    const closed: Draft[] = [];
    const bytes = this.#limits.codec === "none" ? share.rawBytes : share.payloadBytes;
    let draft = this.#open.get(share.partition);
    if (draft !== undefined && (draft.bodyBytes + bytes > this.#limits.bytesMax || !this.#fits(draft, share))) {
      closed.push(this.#close(draft));
      draft = undefined;
    }
    if (draft === undefined) {
      if (this.#open.size >= draftsMax) closed.push(...this.closeFirst());
      draft = {
        partition: share.partition,
        ranges: new GrowingRanges(),
        records: 0,
        frames: 0,
        rawBytes: 0,
        bodyBytes: 0,
        whole: true,
        recodedFrames: 0,
        recodedFill: 0,
        minMs,
        openedMs: nowMs,
      };
      this.#open.set(share.partition, draft);
    }
    const before = draft.ranges.length;
    for (const [first, last] of share.ranges) draft.ranges.push(first, last);
    this.#ranges += draft.ranges.length - before;
    [draft.recodedFrames, draft.recodedFill] = recoded(draft, share);
    draft.records += share.records;
    draft.frames++;
    draft.rawBytes += share.rawBytes;
    draft.bodyBytes += bytes;
    if (draft.whole && !share.whole) this.#partialBytes += draft.rawBytes - share.rawBytes;
    draft.whole &&= share.whole;
    if (!draft.whole) this.#partialBytes += share.rawBytes;
    draft.minMs = Math.min(draft.minMs, minMs);
    if (draft.bodyBytes >= this.#limits.bytesMax || draft.ranges.length >= rangesMaxEach) closed.push(this.#close(draft));
    if (this.#ranges > rangesMax || this.#partialBytes > partialBytesMax) closed.push(...this.#closePartial());
    while (this.#ranges > rangesMax) closed.push(...this.closeFirst());
    return closed;
  }

  /** Whether the receiver can take both in one body. */
  #fits(draft: Draft, share: Share): boolean {
    const framesMax = this.#limits.framesMax();
    if (framesMax === undefined || this.#limits.codec === "none") return true;
    if (this.#limits.codec === "zstd" && draft.whole && share.whole && draft.frames < framesMax) return true;
    return recoded(draft, share)[0] <= framesMax;
  }

  /** How a closed draft is encoded. */
  encoderOf(draft: Draft): Encoder {
    const copies = this.#limits.codec === "zstd" && draft.whole;
    const tiny = draft.frames > 1 && draft.rawBytes / draft.frames < tinyBytes;
    return copies && !tiny && draft.frames <= (this.#limits.framesMax() ?? Infinity) ? "copy/1" : "recode/1";
  }

  #close(draft: Draft): Draft {
    this.#open.delete(draft.partition);
    this.#ranges -= draft.ranges.length;
    if (!draft.whole) this.#partialBytes -= draft.rawBytes;
    return draft;
  }

  #closePartial(): Draft[] {
    return [...this.#open.values()].filter((draft) => !draft.whole).map((draft) => this.#close(draft));
  }

  /** Closes the one that was opened first. */
  closeFirst(): Draft[] {
    for (const draft of this.#open.values()) return [this.#close(draft)];
    return [];
  }

  closeAll(): Draft[] {
    return [...this.#open.values()].map((draft) => this.#close(draft));
  }

  /** Closes what is of age at monotonic `nowMs`. */
  closeDue(nowMs: number): Draft[] {
    const due: Draft[] = [];
    for (const draft of this.#open.values()) {
      if (nowMs < draft.openedMs + this.#limits.ageMsMax) break; // in the order of opening
      due.push(draft);
    }
    return due.map((draft) => this.#close(draft));
  }

  /** When the next one comes of age, on the monotonic clock. */
  nextDueMs(): number | undefined {
    for (const draft of this.#open.values()) return draft.openedMs + this.#limits.ageMsMax;
    return undefined;
  }

  /** Planning stood still for `ms`: a batch must not close half empty for a wait that was not its own. */
  postpone(ms: number): void {
    for (const draft of this.#open.values()) draft.openedMs += ms;
  }

  /** The oldest sequence in an open one; Infinity when there is none. */
  low(): number {
    for (const draft of this.#open.values()) return draft.ranges.first(); // in the order of opening
    return Infinity;
  }

  open(): Iterable<Draft> {
    return this.#open.values();
  }
}

/** Frames that encoding anew would make with `share` added, and how full the last one is: as encode.ts does it. */
function recoded(draft: Draft, share: Share): [frames: number, fill: number] {
  if (draft.recodedFrames > 0 && draft.recodedFill + share.rawBytes <= frameBytes) return [draft.recodedFrames, draft.recodedFill + share.rawBytes];
  return [draft.recodedFrames + 1, share.rawBytes];
}
