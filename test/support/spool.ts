/** The spool as sinks see it, in memory: real zstd frames, grown by the test, with a check on every claim. */
import { zstdCompressSync } from "bun";
import type { FrameRef, Piece, SpoolReader, Stream } from "../../src/core/contract.ts";
import { Fault } from "../../src/core/fault.ts";
import { Changed } from "../../src/core/signals.ts";

export interface FrameOptions {
  readonly stream?: Stream;
  readonly mixed?: boolean;
  /** Record time; a frame lies within one quarter hour. */
  readonly timeMs?: number;
}

export const spoolId = "0123456789abcdef0123456789abcdef";

export class MemorySpool implements SpoolReader {
  id = spoolId;
  epoch = "00000001";
  isPressed = false;
  /** Called with every claim, before it is kept. */
  onClaim: (sink: string, sequence: number) => void = () => {};
  readonly claims = new Map<string, number>();
  readonly #pieces: Piece[] = [];
  readonly #payloads = new Map<number, Uint8Array>();
  readonly #damaged = new Set<number>();
  readonly #changed = new Changed();
  #first: number;
  #next: number;
  /** Calls of `payload` so far. */
  reads = 0;

  constructor(firstSequence = 0) {
    this.#first = firstSequence;
    this.#next = firstSequence;
  }

  /** Commits one frame of these records; `{"source":"a"}` and the like are given as they shall be read. */
  add(records: readonly object[], options: FrameOptions = {}): FrameRef {
    const raw = Buffer.from(records.map((record) => `${JSON.stringify(record)}\n`).join(""));
    const payload = zstdCompressSync(raw, { level: 1 });
    const timeMs = options.timeMs ?? Date.parse("2026-11-23T01:30:00Z");
    const frame: FrameRef = {
      segment: 0,
      offset: this.#next,
      payloadBytes: payload.byteLength,
      rawBytes: raw.byteLength,
      firstSequence: this.#next,
      records: records.length,
      minMs: timeMs,
      maxMs: timeMs,
      mixed: options.mixed ?? false,
      stream: options.stream ?? { from: "app", source: "app", host: "edge-1", labels: {} },
      crc: Bun.hash.crc32(payload),
    };
    this.#payloads.set(this.#next, payload);
    this.#push({ frame }, records.length);
    return frame;
  }

  /** A run of sequences that damage has taken. */
  lose(records: number): void {
    this.#push({ lost: { firstSequence: this.#next, records } }, records);
  }

  #push(piece: Piece, records: number): void {
    this.#pieces.push(piece);
    this.#next += records;
    this.#changed.notify();
  }

  /** From now on the frame's payload does not match its checksum. */
  damage(frame: FrameRef): void {
    this.#damaged.add(frame.firstSequence);
  }

  /** Everything before `sequence` (the start of a piece) is gone, as after drop_oldest. */
  drop(sequence: number): void {
    this.#first = sequence;
    while (this.#pieces[0] !== undefined && boundsOf(this.#pieces[0]).first < sequence) this.#pieces.shift();
  }

  frames(): FrameRef[] {
    return this.#pieces.flatMap((piece) => ("frame" in piece ? [piece.frame] : []));
  }

  firstSequence(): number {
    return this.#first;
  }

  nextSequence(): number {
    return this.#next;
  }

  async pieces(sequence: number, limit: number): Promise<Piece[]> {
    await Promise.resolve();
    const from = this.#pieces.findIndex((piece) => boundsOf(piece).end > sequence);
    return from < 0 ? [] : this.#pieces.slice(from, from + limit);
  }

  async grown(sequence: number, ...signals: AbortSignal[]): Promise<void> {
    while (this.#next <= sequence && !signals.some((signal) => signal.aborted)) await this.#changed.wait(...signals);
  }

  async payload(frame: FrameRef): Promise<Uint8Array> {
    await Promise.resolve();
    this.reads++;
    const payload = this.#payloads.get(frame.firstSequence);
    if (payload !== undefined && !this.#damaged.has(frame.firstSequence)) return new Uint8Array(payload); // a copy: the receiver frees what it was given
    throw new Fault({ code: "spool_frame_corrupt", retry: "never", message: `frame ${frame.firstSequence} is damaged` });
  }

  pressed(): boolean {
    return this.isPressed;
  }

  claim(sink: string, sequence: number): void {
    this.onClaim(sink, sequence);
    this.claims.set(sink, sequence);
  }

  bytesFrom(sequence: number): number {
    return this.frames()
      .filter((frame) => frame.firstSequence + frame.records > sequence)
      .reduce((sum, frame) => sum + frame.rawBytes, 0);
  }
}

function boundsOf(piece: Piece): { first: number; end: number } {
  const { firstSequence, records } = "frame" in piece ? piece.frame : piece.lost;
  return { first: firstSequence, end: firstSequence + records };
}
