/**
 * Lines to events: partial lines of containers joined, lines of one event put together, also across chunks.
 *
 *     line ──join──▶ whole line ──machine──▶ event ──▶ `emit`
 *            P…F        of one output         begun, added to, ended by the next begin, by its end, a bound, or silence
 *
 * One object for one text (a file). Its outputs are independent: a stack trace on stderr is not torn by what stdout says between its
 * lines. An event begun in a chunk is kept, its bytes copied, until it ends in a later one; a position that is committed meanwhile says
 * where the event begins, so that it is read anew after a restart. The outputs then begin at different places: the position is the first of
 * them, and `state` says for each from where on its lines count.
 */
import type { Json } from "../../core/contract.ts";
import type { Flow } from "../../core/flow.ts";
import { cutAt } from "../escape.ts";
import { createLine, outputs, type FormatCounts, type Line } from "./line.ts";
import type { Machine } from "./presets.ts";

export interface TextOptions {
  /** Undefined: every whole line is an event. */
  readonly machine: Machine | undefined;
  readonly linesMax: number;
  /** Of an event, and of one line joined from parts. */
  readonly bytesMax: number;
  readonly lineBytesMax: number;
  /** Milliseconds after which an output that says nothing, while another one does, has ended its event. */
  readonly timeoutMs: number;
}

const LF = 10;

/** Where an event or a line begins, with what the source knows that place by once its chunk is over. */
interface Begin {
  place: number;
  known: unknown;
}

/** What is open of one output. */
interface Open {
  /** Lines before it are in records already. */
  resume: number;
  touchedMs: number;
  /** A line whose end has not come yet. */
  joining: boolean;
  lineBegin: Begin;
  readonly line: Line;
  readonly lineBytes: Held;
  begun: boolean;
  eventBegin: Begin;
  state: number;
  lines: number;
  /** Lies in the chunk at hand, or in `eventBytes`. */
  readonly event: Line;
  readonly eventBytes: Held;
}

export class Text {
  /** Where the next chunk begins, when it goes on. */
  next: number;
  readonly #options: TextOptions;
  readonly #emit: (event: Line) => void;
  readonly #opens: readonly Open[];
  #chunk: Uint8Array = new Uint8Array(0);
  #counts: FormatCounts;

  /** `state` as `settle` has given it for the place where this text begins to be read. */
  constructor(options: TextOptions, start: number, state: Json | undefined, counts: FormatCounts, emit: (event: Line) => void) {
    this.#options = options;
    this.#emit = emit;
    this.next = start;
    const resumes: readonly Json[] = Array.isArray(state) ? (state as readonly Json[]) : [];
    this.#counts = counts;
    this.#opens = Object.values(outputs).map((output) => createOpen(Number(resumes[output] ?? 0)));
  }

  /** Bytes kept for later chunks. */
  get heldBytes(): number {
    return this.#opens.reduce((sum, open) => sum + (open.joining ? open.lineBytes.length : 0) + (open.begun ? open.eventBytes.length : 0), 0);
  }

  /** A chunk begins; lines added up to `settle` lie in `bytes`, or in memory that is good until the next one. */
  begin(bytes: Uint8Array, counts: FormatCounts): void {
    this.#chunk = bytes;
    this.#counts = counts;
  }

  add(line: Line, readMs: number): void {
    const open = this.#opens[line.output] as Open;
    if (line.place < open.resume) return;
    open.touchedMs = readMs;
    const ends = !line.goesOn || line.partial;
    if (!open.joining && ends) {
      this.#whole(open, line, { place: line.place, known: undefined });
      return;
    }
    if (!open.joining) this.#beginLine(open, line);
    this.#join(open, line);
    if (ends) this.#endLine(open, line.partial);
  }

  /**
   * The chunk is over. With `end`, or after a silence, what is open ends here. Returns what is covered: the place before which all is in
   * records (in `flow`'s words) and the state; and whether nothing is open.
   */
  settle(flow: Flow | undefined, start: number, readMs: number, end: boolean): { known: unknown; state: Json | undefined; idle: boolean } {
    this.next = start + this.#chunk.length;
    for (const open of this.#opens) {
      if (end || readMs - open.touchedMs >= this.#options.timeoutMs) this.#close(open);
      this.#keep(open, flow, start);
      if (open.begun && open.event.bytes === this.#chunk) open.eventBytes.take(open.event);
    }
    const begins = this.#opens.map((open) => (open.begun ? open.eventBegin : open.joining ? open.lineBegin : undefined));
    let first: Begin | undefined;
    for (const begin of begins) if (begin !== undefined && begin.place < (first?.place ?? Infinity)) first = begin;
    const place = first?.place ?? this.next;
    // An output that was not heard of has no lines to leave out.
    const resumes = this.#opens.map(({ resume, touchedMs }, index) =>
      Math.max(resume, touchedMs === Infinity ? 0 : (begins[index]?.place ?? this.next)),
    );
    this.#chunk = nothing;
    return {
      known: first === undefined ? flow?.placeAt(this.next - start) : first.known,
      state: resumes.some((resume) => resume > place) ? resumes : undefined,
      idle: first === undefined && resumes.every((resume) => resume <= this.next),
    };
  }

  #keep(open: Open, flow: Flow | undefined, start: number): void {
    if (flow === undefined) return;
    if (open.joining && open.lineBegin.known === undefined) open.lineBegin.known = flow.placeAt(open.lineBegin.place - start);
    if (open.begun && open.eventBegin.known === undefined) open.eventBegin.known = flow.placeAt(open.eventBegin.place - start);
  }

  #close(open: Open): void {
    if (open.joining) this.#endLine(open, true);
    if (open.begun) this.#endEvent(open);
  }

  #beginLine(open: Open, line: Line): void {
    open.joining = true;
    open.lineBegin = { place: line.place, known: undefined };
    Object.assign(open.line, line, { truncated: false });
    open.lineBytes.length = 0;
  }

  #join(open: Open, line: Line): void {
    const { lineBytes } = open;
    const cut = cutAt(line.bytes, line.start, line.end, this.#options.lineBytesMax - lineBytes.length);
    if (open.line.truncated) return;
    lineBytes.append(line.bytes, line.start, cut);
    open.line.truncated = line.truncated || cut < line.end;
  }

  #endLine(open: Open, partial: boolean): void {
    open.joining = false;
    open.lineBytes.lend(open.line);
    open.line.partial = partial;
    this.#whole(open, open.line, open.lineBegin);
  }

  #whole(open: Open, line: Line, begin: Begin): void {
    const { machine, bytesMax, linesMax } = this.#options;
    if (machine === undefined) {
      this.#emit(line);
      return;
    }
    let state = open.begun ? machine.next(open.state, line.bytes, line.start, line.end) : -1;
    if (open.begun && state >= 0 && open.lines < linesMax && open.event.end - open.event.start + 1 + line.end - line.start <= bytesMax) {
      this.#extend(open, line);
      open.state = state;
    } else {
      if (state >= 0) this.#counts.split++;
      else state = machine.begin(line.bytes, line.start, line.end);
      if (open.begun) this.#endEvent(open);
      this.#beginEvent(open, line, begin, state);
    }
    if (line.partial || machine.ends(line.bytes, line.start, line.end)) this.#endEvent(open);
  }

  #beginEvent(open: Open, line: Line, begin: Begin, state: number): void {
    Object.assign(open.event, line);
    open.begun = true;
    open.eventBegin = begin;
    open.state = state;
    open.lines = 1;
    if (line.bytes !== this.#chunk) open.eventBytes.take(open.event);
  }

  #extend(open: Open, line: Line): void {
    const { event, eventBytes } = open;
    event.partial = line.partial;
    event.truncated ||= line.truncated;
    open.lines++;
    // Lines that follow each other in the chunk with one LF between them need not be copied.
    if (event.bytes === this.#chunk && line.bytes === this.#chunk && line.start === event.end + 1) {
      event.end = line.end;
      return;
    }
    if (event.bytes === this.#chunk) eventBytes.take(event);
    eventBytes.append(lineEnd, 0, 1);
    eventBytes.append(line.bytes, line.start, line.end);
    eventBytes.lend(event);
  }

  #endEvent(open: Open): void {
    open.begun = false;
    this.#emit(open.event);
  }
}

const nothing = new Uint8Array(0);
const lineEnd = Uint8Array.of(LF);

/** Bytes kept, in memory that grows and is used again. */
class Held {
  bytes: Uint8Array = nothing;
  length = 0;

  append(bytes: Uint8Array, start: number, end: number): void {
    const length = this.length + end - start;
    if (length > this.bytes.length) {
      const grown = new Uint8Array(Math.max(256, 2 * length));
      grown.set(this.bytes.subarray(0, this.length));
      this.bytes = grown;
    }
    this.bytes.set(bytes.subarray(start, end), this.length);
    this.length = length;
  }

  /** `line` lies here from now on. */
  take(line: Line): void {
    this.length = 0;
    this.append(line.bytes, line.start, line.end);
    this.lend(line);
  }

  lend(line: Line): void {
    line.bytes = this.bytes;
    line.start = 0;
    line.end = this.length;
  }
}

function createOpen(resume: number): Open {
  const begin: Begin = { place: 0, known: undefined };
  return {
    resume,
    touchedMs: Infinity,
    joining: false,
    lineBegin: begin,
    line: createLine(),
    lineBytes: new Held(),
    begun: false,
    eventBegin: begin,
    state: 0,
    lines: 0,
    event: createLine(),
    eventBytes: new Held(),
  };
}
