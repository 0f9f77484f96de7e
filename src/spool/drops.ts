/**
 * What the spool has given up because there was no room for it (`when_full: drop_oldest`, sinks that are not required):
 * counted by source, and told apart from damage by the sequence below which what is missing was dropped.
 *
 * Counts are of the records that some sink had not confirmed, since the start of the process. A segment written by this
 * process knows its sources; one of an earlier process is read for it, and so is one that was delivered in part.
 */
import type { Board } from "../core/board.ts";
import type { Clock } from "../core/clock.ts";
import type { Compress } from "../core/compress.ts";
import type { FrameRef, Piece } from "../core/contract.ts";
import { Fault } from "../core/fault.ts";

/** Records and their NDJSON bytes. */
export interface Amount {
  records: number;
  bytes: number;
}

/** By the source's name in the configuration; by the record's own `source` where only that can be known. */
export type BySource = Map<string, Amount>;

/** As much of a segment as matters here. */
interface Going {
  readonly firstSequence: number;
  readonly nextSequence: number;
}

export interface DropsOptions<Segment extends Going> {
  /** As the checkpoint has it. */
  readonly to: number;
  readonly clock: Clock;
  readonly board: Board;
  /** Aborted when the spool is closed. */
  readonly over: AbortSignal;
  /** Whose records a segment holds from a sequence on. */
  readonly sourcesOf: (segment: Segment, sequence: number) => Promise<BySource>;
}

/** How long after the last drop health still says so: longer than any scrape interval. */
const standsMs = 5 * 60_000;

export class Drops<Segment extends Going> {
  /** Sequences below it that are missing were given up. Stored in the checkpoint. */
  to: number;
  readonly #options: DropsOptions<Segment>;
  readonly #bySource: BySource = new Map();
  #stands = false;
  #lastMs = 0;

  constructor(options: DropsOptions<Segment>) {
    this.#options = options;
    this.to = options.to;
  }

  of(source: string): Readonly<Amount> {
    return this.#bySource.get(source) ?? { records: 0, bytes: 0 };
  }

  total(): Amount {
    const total: Amount = { records: 0, bytes: 0 };
    for (const { records, bytes } of this.#bySource.values()) {
      total.records += records;
      total.bytes += bytes;
    }
    return total;
  }

  /** To be called before a segment goes that a sink needs from `sequence` on; what it returns, once it is gone. */
  async giveUp(segment: Segment, sequence: number): Promise<() => void> {
    const amounts = await this.#options.sourcesOf(segment, sequence);
    this.to = Math.max(this.to, segment.nextSequence);
    return () => {
      for (const [source, amount] of amounts) addAmount(this.#bySource, source, amount);
      this.#tell(segment.nextSequence - Math.max(segment.firstSequence, sequence), [...amounts.keys()].filter((source) => source !== "").join(", "));
    };
  }

  #tell(records: number, sources: string): void {
    const { board, clock } = this.#options;
    const fault = new Fault({
      code: "spool_dropping",
      retry: "never",
      message: `the oldest segment was given up for room: ${records} records of ${sources === "" ? "unknown sources" : sources} that a sink had not confirmed`,
      hint: "mend the sink that lags (see its reason), or raise spool.max_bytes or the sink's hold_bytes; /status counts what is lost by source",
    });
    board.raise("spool", "degraded", fault);
    this.#lastMs = clock.monotonic();
    if (!this.#stands) void this.#untilOver();
  }

  /** The reason stands for as long as segments are being given up, and a while more for who looks late. */
  async #untilOver(): Promise<void> {
    const { board, clock, over } = this.#options;
    this.#stands = true;
    for (let leftMs = standsMs; leftMs > 0 && !over.aborted; leftMs = this.#lastMs + standsMs - clock.monotonic()) await clock.sleep(leftMs, over);
    this.#stands = false;
    board.clear("spool", "spool_dropping");
  }
}

export function addAmount(into: BySource, source: string, { records, bytes }: Readonly<Amount>): void {
  const known = into.get(source);
  if (known === undefined) into.set(source, { records, bytes });
  else {
    known.records += records;
    known.bytes += bytes;
  }
}

/** Whose records `pieces` hold from `sequence` on. Frames that say so are not decoded; what cannot be read is left out. */
export async function sourcesOf(
  pieces: readonly Piece[],
  sequence: number,
  payload: (frame: FrameRef) => Promise<Uint8Array>,
  compress: Compress,
): Promise<BySource> {
  const found: BySource = new Map();
  for (const piece of pieces) {
    if (!("frame" in piece) || piece.frame.firstSequence + piece.frame.records <= sequence) continue;
    const { frame } = piece;
    if (frame.stream.from !== undefined && frame.firstSequence >= sequence) {
      addAmount(found, frame.stream.from, { records: frame.records, bytes: frame.rawBytes });
      continue;
    }
    try {
      addRecords(found, Buffer.from(await compress.unzstd(await payload(frame))), frame, sequence);
    } catch {
      // damaged or unreadable: counted as such where it was met
    }
  }
  return found;
}

function addRecords(found: BySource, raw: Buffer, frame: FrameRef, sequence: number): void {
  for (let at = 0, number = frame.firstSequence; at < raw.byteLength; number++) {
    const end = raw.indexOf(10, at) + 1 || raw.byteLength;
    if (number >= sequence) addAmount(found, frame.stream.from ?? sourceOf(raw.toString("utf8", at, end)), { records: 1, bytes: end - at });
    at = end;
  }
}

function sourceOf(record: string): string {
  try {
    const { source } = JSON.parse(record) as { source?: unknown };
    return typeof source === "string" ? source : "";
  } catch {
    return ""; // never written by our own pipeline
  }
}
