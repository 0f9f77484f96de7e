/**
 * One turn of reading: bytes from a file, cut at its last line end, handed to `emit`.
 *
 * Every read begins with the bytes before the offset (up to 256) and compares them: that is how a file that was cut and has
 * grown past the offset again is seen, at no further system call. The hot path never looks at a line: one search backwards
 * for the last line end, and the chunk is a view into the pool's buffer, which goes back once its emit has settled. So the
 * pool bounds how many reads are in flight, and encode, compress and sync of several overlap. What tailing brings is small:
 * it is copied to a slice of its own size and the buffer goes back at once.
 *
 * A line that fills a whole read is searched for its end first, keeping nothing, and then read once more as a whole, one
 * such line at a time: memory is bounded by `line_bytes_max`, whatever a line's length.
 */
import { Fault, toError } from "../../core/fault.ts";
import type { Chunk, Emit, SourceContext } from "../../core/contract.ts";
import { lineEndsOf, type LineEnds } from "../../core/encoding.ts";
import type { Flow } from "../../core/flow.ts";
import { spanTimeout } from "../../core/format.ts";
import type { FileConfig } from "./config.ts";
import { lineCut, unreadable } from "./faults.ts";
import { Nuls, textBegin } from "./nuls.ts";
import { positionToJson, type Position } from "./position.ts";
import { byMark, Texts, type FileText } from "./text.ts";
import type { Tracked } from "./tracked.ts";

/**
 * How a turn ended. `more`: there is more to read. `end`: all whole lines there were are handed on. `wait`: another turn is
 * needed, but not at once. `cut`: the file is not what it was, it was truncated or written anew. `failed`: see `file.fault`.
 */
export type Turn = "more" | "end" | "wait" | "cut" | "failed";

/** Reads up to this are copied out of their buffer; all copies in flight together stay below the second. */
const copyBytesMax = 64 * 1024;
const copiedBytesMax = 4 * 2 ** 20;
/** Skipping the rest of a cut line, the position is committed every so often, so that a restart does not begin anew. */
const skipBytesMax = 16 * 2 ** 20;
/** Emits in flight of one file: at one small read every 100 ms enough to never wait for a commit every 250 ms. */
const inFlightMax = 16;
const nothing = new Uint8Array(0);
/** Of a file of UTF-16 that is too short to say its byte order. */
const utf16 = lineEndsOf("utf-16le");

/** A chunk's flow, and the position that was committed with it. */
interface FileFlow extends Flow {
  covered: Position | undefined;
}

export class Reader {
  /** The spool was closed under us: there is nobody to read for. */
  closed = false;
  /** What must not be survived, thrown by an emit that broke its contract. */
  broken: Error | undefined;
  readonly #context: SourceContext;
  readonly #lineBytesMax: number;
  /** A record may be made of several lines: positions then follow the records and not the reading. */
  readonly #spans: boolean;
  readonly #encoded: boolean;
  readonly #texts: Texts;
  readonly #nuls: Nuls;
  readonly #emit: Emit;
  readonly #wake: () => void;
  readonly #flying = new Set<Promise<void>>();
  #copiedBytes = 0;
  #longInFlight = false;
  /** Bytes skipped of a file since its position was last committed. */
  readonly #skipped = new WeakMap<Tracked, number>();
  /** Cut lines not yet reported, by file. */
  readonly #cuts = new Map<string, number>();

  /** `wake` is called when an emit has settled. */
  constructor(context: SourceContext, config: FileConfig, emit: Emit, wake: () => void) {
    this.#context = context;
    this.#lineBytesMax = config.line_bytes_max;
    this.#spans = spanTimeout(config) !== undefined;
    this.#encoded = config.encoding !== undefined;
    this.#texts = new Texts(config.encoding);
    this.#nuls = new Nuls(context);
    this.#emit = emit;
    this.#wake = wake;
  }

  /** True while `file` may be given a turn. */
  mayRead(file: Tracked): boolean {
    return !file.rejected && file.inFlight < inFlightMax;
  }

  /** True when the pipeline holds the begin of an event of `file`, and all that was read of it has settled. */
  holds(file: Tracked): boolean {
    return this.#spans && !file.rejected && !file.skipping && file.inFlight === 0 && file.tail !== undefined && file.durable.offset < file.readOffset;
  }

  /** Ends the event begun in `file`, if there is one: nothing more comes. */
  flush(file: Tracked): void {
    if (!this.#spans || file.rejected || file.skipping || file.tail === undefined || file.readOffset === 0) return;
    const flow = this.#flow(file, nothing, file.tail, true);
    this.#send(
      file,
      { ...flow, bytes: nothing, form: "lines", readMs: this.#context.doors.clock.now(), file: file.name, offset: file.readOffset },
      () => {},
    );
  }

  /** Reads once into `buffer`, which comes from the pool and is given back by this call or when what is in it is durable. */
  async turn(file: Tracked, buffer: Uint8Array): Promise<Turn> {
    let lent = false;
    try {
      if (file.scanned > 0) return this.#nuls.holds(file) ? await this.#scanNuls(file, buffer) : await this.#scan(file, buffer);
      this.#nuls.end(file);
      const tailBytes = file.tailBytes;
      const got = await this.#read(file, buffer, file.readOffset - tailBytes);
      const readMs = this.#context.doors.clock.now();
      if (got < tailBytes || !file.tailMatches(buffer.subarray(0, tailBytes))) return "cut";
      file.readEnd = file.readOffset - tailBytes + got;
      const turn = got === buffer.byteLength ? "more" : "end";
      const { ends } = this.#texts.known(file) ?? (await this.#textOf(file));
      const base = file.readOffset - tailBytes;
      const begin = file.skipping ? this.#skip(file, buffer, tailBytes, ends.whole(got, base), ends) : tailBytes;
      const end = ends.last(buffer, got, base);
      if (end > begin) {
        lent = this.#lines(file, buffer, begin, end, readMs);
      } else {
        if (begin !== tailBytes && !file.skipping) this.#move(file);
        if (turn === "more" && !file.skipping) this.#goOn(file, buffer, begin, got, base);
      }
      return turn;
    } catch (cause) {
      file.fail(unreadable("read", file.path, cause), this.#context.doors.clock.now());
      return "failed";
    } finally {
      if (!lent) this.#context.buffers.give(buffer);
    }
  }

  /** Takes the bytes after the last line end as a line of its own. They must fit into `line_bytes_max` or a read. */
  async partial(file: Tracked): Promise<Turn> {
    try {
      if (this.#nuls.holds(file)) {
        this.#nuls.pass(file, file.restBytes, nothing);
        this.#move(file);
        return "end";
      }
      return await this.#whole(file, file.restBytes, { partial: true });
    } catch (cause) {
      file.fail(unreadable("read", file.path, cause), this.#context.doors.clock.now());
      return "failed";
    }
  }

  /** Commits positions without records; `delta` as in `Chunk.position`. */
  commit(delta: NonNullable<Chunk["position"]>): void {
    if (Object.keys(delta).length === 0) return;
    this.#track(this.#emit({ bytes: nothing, form: "lines", readMs: this.#context.doors.clock.now(), position: delta }));
  }

  /** Resolves when nothing is in flight any more. */
  async settled(): Promise<void> {
    while (this.#flying.size > 0) await Promise.allSettled(this.#flying);
  }

  /** Reports cut lines, many at once: a writer of long lines must not fill our own log. */
  reportCuts(): void {
    for (const [path, times] of this.#cuts) this.#context.board.count(`sources.${this.#context.name}`, lineCut(path, this.#lineBytesMax), times);
    this.#cuts.clear();
  }

  async #read(file: Tracked, into: Uint8Array, position: number): Promise<number> {
    if (file.handle === undefined) throw new Error("is not open");
    return file.handle.read(into, position);
  }

  /** Emits `buffer[begin, end)`. True when the buffer is lent until the emit has settled. */
  #lines(file: Tracked, buffer: Uint8Array, begin: number, end: number, readMs: number): boolean {
    const view = buffer.subarray(begin, end);
    const copied = view.byteLength <= copyBytesMax && this.#copiedBytes + view.byteLength <= copiedBytesMax;
    const bytes = copied ? view.slice() : view;
    const offset = file.readOffset;
    const before = buffer.subarray(0, begin);
    const flow = this.#flow(file, bytes, before, false);
    file.advance(view, before);
    if (copied) this.#copiedBytes += bytes.byteLength;
    this.#send(file, { ...flow, bytes, form: "lines", readMs, file: file.name, offset }, () => {
      if (copied) this.#copiedBytes -= bytes.byteLength;
      else this.#context.buffers.give(buffer);
    });
    return !copied;
  }

  /** Skips the rest of a cut line. Returns where in `buffer` the next line begins, or `got`. */
  #skip(file: Tracked, buffer: Uint8Array, begin: number, got: number, ends: LineEnds): number {
    const found = ends.first(buffer, begin, got, file.readOffset - begin);
    const next = found < 0 ? Math.max(begin, got) : found;
    file.advance(buffer.subarray(begin, next), buffer.subarray(0, begin));
    file.skipping = found < 0;
    const skipped = (this.#skipped.get(file) ?? 0) + next - begin;
    this.#skipped.set(file, skipped % skipBytesMax);
    if (file.skipping && skipped >= skipBytesMax) this.#move(file);
    return next;
  }

  /** No line ends in `buffer[begin, got)`, whose first byte lies at `base`: the next turns look for its end, or for what NUL bytes stand before. */
  #goOn(file: Tracked, buffer: Uint8Array, begin: number, got: number, base: number): void {
    const ends = this.#texts.known(file)?.ends ?? utf16;
    const text = buffer[begin] === 0 ? textBegin(buffer, begin, got) : begin;
    const run = ends.whole(text, base) - begin;
    if (text < got && run > 0) this.#nuls.pass(file, run, buffer.subarray(0, begin));
    else file.scanned = ends.whole(got, base) - begin;
    if (text === got) this.#nuls.begin(file);
  }

  /** Searches on for the end of a run of NUL bytes that filled a read. */
  async #scanNuls(file: Tracked, buffer: Uint8Array): Promise<Turn> {
    const base = file.readOffset + file.scanned;
    const got = await this.#read(file, buffer, base);
    const ends = this.#texts.known(file)?.ends ?? utf16;
    file.readEnd = base + got;
    const text = textBegin(buffer, 0, got);
    file.scanned += ends.whole(text, base);
    if (text < got) {
      this.#nuls.pass(file, file.scanned, nothing);
      this.#nuls.end(file);
      return "more";
    }
    if (got === buffer.byteLength) return "more";
    file.scanned = 0; // a file of a fixed size is written over them: looked at anew when it changes
    return "end";
  }

  /** Searches on for the end of a line that filled a read. */
  async #scan(file: Tracked, buffer: Uint8Array): Promise<Turn> {
    if (this.#longInFlight) return "wait";
    const got = await this.#read(file, buffer, file.readOffset + file.scanned);
    file.readEnd = file.readOffset + file.scanned + got;
    const ends = this.#texts.known(file)?.ends ?? utf16;
    const base = file.readOffset + file.scanned;
    const found = ends.first(buffer, 0, got, base);
    const lineBytes = file.scanned + (found < 0 ? got : found - ends.unit);
    // One more than the bound may be a CR, which the line end takes with it.
    if (lineBytes > this.#lineBytesMax + ends.unit) return this.#whole(file, this.#lineBytesMax + ends.unit, { truncated: true });
    if (found >= 0) return this.#whole(file, file.scanned + found, {});
    file.scanned += ends.whole(got, base);
    return got === buffer.byteLength ? "more" : "end";
  }

  /** Reads `bytes` from `readOffset` on into memory of their own and emits them as one line. */
  async #whole(file: Tracked, bytes: number, flags: { partial?: true; truncated?: true }): Promise<Turn> {
    if (this.#longInFlight) return "wait";
    const tailBytes = file.tailBytes;
    const memory = new Uint8Array(tailBytes + bytes);
    const got = await this.#read(file, memory, file.readOffset - tailBytes);
    const readMs = this.#context.doors.clock.now();
    if (got < memory.byteLength || !file.tailMatches(memory.subarray(0, tailBytes))) return "cut";
    const view = memory.subarray(tailBytes);
    const line = flags.truncated ? view.subarray(0, this.#cutAt(file, view)) : view;
    const offset = file.readOffset;
    // What the rest of a cut line would have belonged to cannot be known, and a line without an end is a file's last.
    const flow = this.#flow(file, line, memory.subarray(0, tailBytes), flags.truncated === true || flags.partial === true, flags.truncated);
    file.advance(line, memory.subarray(0, tailBytes));
    if (flags.truncated) {
      file.skipping = true;
      this.#cuts.set(file.path, (this.#cuts.get(file.path) ?? 0) + 1);
    }
    this.#longInFlight = true;
    this.#send(file, { ...flow, bytes: line, form: "lines", readMs, file: file.name, offset, ...flags }, () => {
      this.#longInFlight = false;
    });
    return flags.partial ? "end" : "more";
  }

  /** Where to cut a line at the bound: where a UTF-8 character begins; in other encodings the pipeline leaves out half a character. */
  #cutAt(file: Tracked, line: Uint8Array): number {
    const { name, ends } = this.#texts.known(file) ?? { name: byMark, ends: utf16 };
    return name === undefined ? characterBorder(line, line.byteLength - 1) : ends.whole(line.byteLength - ends.unit, file.readOffset);
  }

  /** Looks up what `file` is written in. */
  async #textOf(file: Tracked): Promise<FileText> {
    if (file.handle === undefined) throw new Error("is not open");
    return this.#texts.of(file, file.handle);
  }

  /** Commits where a file is without records. */
  #move(file: Tracked): void {
    this.#send(file, { bytes: nothing, form: "lines", readMs: this.#context.doors.clock.now() }, () => {});
  }

  /** How `bytes`, which lie at `readOffset` and are not moved over yet, go on what was read before. */
  #flow(file: Tracked, bytes: Uint8Array, before: Uint8Array, end: boolean, cut = false): { flow?: FileFlow } {
    if (!this.#spans) return {};
    const flow: FileFlow = {
      key: file.id,
      start: file.readOffset,
      ...(file.resume === undefined ? {} : { state: file.resume }),
      end,
      covered: undefined,
      placeAt: file.places(bytes, before, cut),
      cover(place, state) {
        flow.covered = { ...(place as Position), path: file.path, ...(state === undefined ? {} : { state }) };
        return { [file.id]: positionToJson(flow.covered) };
      },
    };
    return { flow };
  }

  #send(file: Tracked, chunk: Chunk & { readonly flow?: FileFlow }, release: () => void): void {
    const position = file.position();
    const { flow } = chunk;
    const encoding = this.#encoded ? (this.#texts.known(file)?.name ?? "utf-16le") : undefined;
    const encoded = encoding === undefined ? chunk : { ...chunk, encoding };
    file.inFlight++;
    const emitted = this.#emit(flow === undefined ? { ...encoded, position: { [file.id]: positionToJson(position) } } : encoded);
    this.#track(
      emitted
        .then(
          () => {
            if (!file.rejected) file.durable = flow === undefined ? position : (flow.covered ?? file.durable);
          },
          (cause: unknown) => {
            file.rejected = true;
            throw cause;
          },
        )
        .finally(() => {
          file.inFlight--;
          release();
        }),
    );
  }

  #track(emitted: Promise<void>): void {
    const watched = emitted.catch((cause: unknown) => {
      if (!(cause instanceof Fault)) this.broken = toError(cause);
      else if (cause.code === "spool_closed") this.closed = true;
      else this.#context.board.count(`sources.${this.#context.name}`, cause);
    });
    this.#flying.add(watched);
    void watched.finally(() => {
      this.#flying.delete(watched);
      this.#wake();
    });
  }
}

/** The largest place up to `at` that does not lie inside a UTF-8 character; `at` itself where there are none. */
function characterBorder(bytes: Uint8Array, at: number): number {
  for (let back = 0; back < 4 && back <= at; back++) {
    if (((bytes[at - back] ?? 0) & 0xc0) !== 0x80) return at - back;
  }
  return at;
}
