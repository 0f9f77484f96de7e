/**
 * The spool as sinks see it: pieces in sequence order, never beyond the synced end, and payloads with their CRC checked.
 *
 * Where sequences are missing (a damaged header, a segment that is gone or was given up) a `lost` piece stands for them, so
 * that a reader always gets on. Damaged bytes are counted and kept aside once.
 */
import type { DiskFile } from "../core/disk.ts";
import type { Doors } from "../core/doors.ts";
import type { FrameRef, Piece, SpoolReader } from "../core/contract.ts";
import { errnoOf, Fault } from "../core/fault.ts";
import { readFully } from "./scan.ts";
import type { Quarantine } from "./quarantine.ts";
import type { Segment, Segments } from "./segments.ts";
import { Unreadable, type Endurance } from "./unreadable.ts";

export interface ReaderState {
  readonly id: string;
  readonly epoch: string;
  readonly pastEpochs: readonly string[];
  nextSequence(): number;
  rawBytes(): number;
  pressed(): boolean;
  /** Sequences below it that are missing were given up. */
  droppedTo(): number;
  claim(sink: string, sequence: number): void;
  makeRoom(): Promise<void>;
}

/** An open segment file. It is closed once nobody reads from it and it is not remembered any more. */
interface Held {
  readonly file: Promise<DiskFile>;
  readers: number;
  forgotten: boolean;
}

/** Segment files kept open for reading: one for each sink that walks, and the newest. */
const filesMax = 6;

export class Reader implements SpoolReader {
  readonly id: string;
  readonly epoch: string;
  readonly pastEpochs: readonly string[];
  readonly #doors: Doors;
  readonly #segments: Segments;
  readonly #quarantine: Quarantine;
  readonly #state: ReaderState;
  readonly #unreadable: Unreadable;
  readonly #files = new Map<number, Held>();

  constructor(doors: Doors, segments: Segments, quarantine: Quarantine, state: ReaderState, endurance?: Endurance) {
    this.id = state.id;
    this.epoch = state.epoch;
    this.pastEpochs = state.pastEpochs;
    this.#doors = doors;
    this.#segments = segments;
    this.#quarantine = quarantine;
    this.#state = state;
    this.#unreadable = new Unreadable(doors.clock, endurance);
    segments.onRemove = (segment) => void this.#forget(segment);
  }

  firstSequence(): number {
    return this.#segments.all()[0]?.firstSequence ?? this.#state.nextSequence();
  }

  nextSequence(): number {
    return this.#state.nextSequence();
  }

  async pieces(sequence: number, limit: number): Promise<Piece[]> {
    const pieces: Piece[] = [];
    let at = sequence;
    while (pieces.length < limit && at < this.nextSequence()) {
      const segment = this.#segments.find(at);
      const until = segment?.firstSequence ?? this.nextSequence();
      if (at < until) {
        const dropped = at < this.#state.droppedTo();
        const end = dropped ? Math.min(until, this.#state.droppedTo()) : until;
        pieces.push({ lost: { firstSequence: at, records: end - at, ...(dropped ? { dropped } : {}) } });
        at = end;
        continue;
      }
      if (segment === undefined) break;
      const index = await this.#index(segment);
      const before = at;
      for (let i = indexOf(index, at); i < index.length && pieces.length < limit; i++) {
        const piece = index[i] as Piece;
        pieces.push(piece);
        at = endOf(piece);
      }
      if (at === before) break; // removed or grown while we looked
    }
    return pieces;
  }

  async grown(sequence: number, ...signals: AbortSignal[]): Promise<void> {
    while (this.nextSequence() <= sequence && !signals.some((signal) => signal.aborted)) await this.#segments.changed.wait(...signals);
  }

  async payload(frame: FrameRef): Promise<Uint8Array> {
    const bytes = new Uint8Array(frame.payloadBytes);
    const path = this.#segments.path(frame.segment);
    const place = `${frame.segment}:${frame.offset}`;
    if (this.#unreadable.has(place)) throw unreadableFault(path, frame);
    let length: number;
    try {
      length = await this.#read(frame, bytes);
      this.#unreadable.worked(place);
    } catch (cause) {
      void this.#forget(frame.segment);
      if (this.#segments.find(frame.firstSequence)?.number !== frame.segment) throw droppedFault(path, frame);
      if (errnoOf(cause) === "EIO" && this.#unreadable.failed(place)) {
        const fault = unreadableFault(path, frame, cause);
        await this.#quarantine.unreadable(frame.segment, frame.offset, fault);
        throw fault;
      }
      throw readFault(path, cause);
    }
    if (length === bytes.byteLength && Bun.hash.crc32(bytes) === frame.crc) return bytes;
    await this.#quarantine.keep(frame.segment, frame.offset, frame.payloadBytes);
    throw new Fault({
      code: "spool_frame_corrupt",
      retry: "never",
      message: `read segment ${path}: the frame at byte ${frame.offset} does not match its checksum, records ${frame.firstSequence} to ${frame.firstSequence + frame.records - 1} are lost`,
      hint: "the disk changed bytes after they were synced: check it. The damaged bytes lie in quarantine/",
    });
  }

  pressed(): boolean {
    return this.#state.pressed();
  }

  claim(sink: string, sequence: number): void {
    this.#state.claim(sink, sequence);
  }

  makeRoom(): Promise<void> {
    return this.#state.makeRoom();
  }

  bytesFrom(sequence: number): number {
    if (sequence >= this.nextSequence()) return 0;
    const segment = this.#segments.find(sequence);
    if (segment === undefined) return 0;
    // Within a segment by share: records of one spool are of about equal length, and the figure is a measure of lag.
    const share = (Math.max(sequence, segment.firstSequence) - segment.firstSequence) / (segment.nextSequence - segment.firstSequence);
    return this.#state.rawBytes() - segment.rawBefore - Math.floor(share * segment.rawBytes);
  }

  async close(): Promise<void> {
    const files = [...this.#files.keys()];
    await Promise.all(files.map((number) => this.#forget(number)));
  }

  async #index(segment: Segment): Promise<readonly Piece[]> {
    const path = this.#segments.path(segment.number);
    const place = `${segment.number}:headers`;
    try {
      const index = await this.#segments.index(segment, this.#unreadable.has(place));
      this.#unreadable.worked(place);
      return index;
    } catch (cause) {
      if (errnoOf(cause) === undefined) throw cause;
      if (errnoOf(cause) !== "EIO" || !this.#unreadable.failed(place)) throw readFault(path, cause);
      await this.#quarantine.unreadable(segment.number, undefined, headersFault(path, cause));
      return this.#segments.index(segment, true);
    }
  }

  async #read(frame: FrameRef, bytes: Uint8Array): Promise<number> {
    const held = this.#file(frame.segment);
    held.readers++;
    try {
      return await readFully(await held.file, bytes, frame.offset);
    } finally {
      held.readers--;
      await release(held);
    }
  }

  #file(number: number): Held {
    const known = this.#files.get(number);
    if (known !== undefined) return known;
    const held: Held = { file: this.#doors.disk.open(this.#segments.path(number), "read"), readers: 0, forgotten: false };
    this.#files.set(number, held);
    const [oldest] = this.#files.keys();
    if (this.#files.size > filesMax && oldest !== undefined) void this.#forget(oldest);
    return held;
  }

  async #forget(number: number): Promise<void> {
    const held = this.#files.get(number);
    if (held === undefined) return;
    this.#files.delete(number);
    held.forgotten = true;
    await release(held);
  }
}

/** Closes the file when it was the last that kept it open: a handle closed under a reader would fail that reader's next call. */
async function release(held: Held): Promise<void> {
  if (!held.forgotten || held.readers > 0) return;
  try {
    await (await held.file).close();
  } catch {
    // it could not be opened, or is closed already: nothing to free
  }
}

function readFault(path: string, cause: unknown): Fault {
  return new Fault({
    code: "spool_read_failed",
    retry: "later",
    message: `read segment ${path}`,
    hint: "check the disk and the kernel log; it is tried again until it works",
    cause,
  });
}

/** To sinks it is a frame that is not whole: its records are lost. */
function unreadableFault(path: string, { offset, firstSequence, records }: FrameRef, cause?: unknown): Fault {
  return new Fault({
    code: "spool_frame_corrupt",
    retry: "never",
    message: `read segment ${path}: the frame at byte ${offset} could not be read for half an hour, records ${firstSequence} to ${firstSequence + records - 1} are given up as lost`,
    hint: "the disk has a bad place: replace it. Should it be readable again, spool cat prints the records while the segment is held",
    ...(cause === undefined ? {} : { cause }),
  });
}

function headersFault(path: string, cause: unknown): Fault {
  return new Fault({
    code: "spool_segment_unreadable",
    retry: "never",
    message: `read segment ${path}: its headers could not be read for half an hour, the records behind the bad place are given up as lost`,
    hint: "the disk has a bad place: replace it",
    cause,
  });
}

function droppedFault(path: string, { firstSequence, records }: FrameRef): Fault {
  return new Fault({
    code: "spool_frame_dropped",
    retry: "never",
    message: `read segment ${path}: records ${firstSequence} to ${firstSequence + records - 1} were given up for room`,
    hint: "the spool was full: mend the sink that lags, or raise spool.max_bytes",
  });
}

function endOf(piece: Piece): number {
  return "frame" in piece ? piece.frame.firstSequence + piece.frame.records : piece.lost.firstSequence + piece.lost.records;
}

/** The first piece that ends beyond `sequence`. */
function indexOf(pieces: readonly Piece[], sequence: number): number {
  let low = 0;
  let high = pieces.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (endOf(pieces[middle] as Piece) <= sequence) low = middle + 1;
    else high = middle;
  }
  return low;
}
