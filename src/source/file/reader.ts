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
import type { Flow } from "../../core/flow.ts";
import { spanTimeout } from "../../core/format.ts";
import type { FileConfig } from "./config.ts";
import { lineCut, unreadable } from "./faults.ts";
import { positionToJson, type Position } from "./position.ts";
import type { Tracked } from "./tracked.ts";

/**
 * How a turn ended. `more`: there is more to read. `end`: all whole lines there were are handed on. `wait`: another turn is
 * needed, but not at once. `cut`: the file is not what it was, it was truncated or written anew. `failed`: see `file.fault`.
 */
export type Turn = "more" | "end" | "wait" | "cut" | "failed";

const LF = 10;
/** Reads up to this are copied out of their buffer; all copies in flight together stay below the second. */
const copyBytesMax = 64 * 1024;
const copiedBytesMax = 4 * 2 ** 20;
/** Skipping the rest of a cut line, the position is committed every so often, so that a restart does not begin anew. */
const skipBytesMax = 16 * 2 ** 20;
/** Emits in flight of one file: at one small read every 100 ms enough to never wait for a commit every 250 ms. */
const inFlightMax = 16;
const nothing = new Uint8Array(0);

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
      if (file.scanned > 0) return await this.#scan(file, buffer);
      const tailBytes = file.tailBytes;
      const got = await this.#read(file, buffer, file.readOffset - tailBytes);
      const readMs = this.#context.doors.clock.now();
      if (got < tailBytes || !file.tailMatches(buffer.subarray(0, tailBytes))) return "cut";
      file.readEnd = file.readOffset - tailBytes + got;
      const turn = got === buffer.byteLength ? "more" : "end";
      const begin = file.skipping ? this.#skip(file, buffer, tailBytes, got) : tailBytes;
      const end = buffer.subarray(0, got).lastIndexOf(LF) + 1;
      if (end > begin) {
        lent = this.#lines(file, buffer, begin, end, readMs);
      } else {
        if (begin !== tailBytes && !file.skipping) this.#move(file);
        if (begin < got && turn === "more") file.scanned = got - begin;
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
  #skip(file: Tracked, buffer: Uint8Array, begin: number, got: number): number {
    const found = buffer.subarray(begin, got).indexOf(LF);
    const next = found < 0 ? got : begin + found + 1;
    file.advance(buffer.subarray(begin, next), buffer.subarray(0, begin));
    file.skipping = found < 0;
    const skipped = (this.#skipped.get(file) ?? 0) + next - begin;
    this.#skipped.set(file, skipped % skipBytesMax);
    if (file.skipping && skipped >= skipBytesMax) this.#move(file);
    return next;
  }

  /** Searches on for the end of a line that filled a read. */
  async #scan(file: Tracked, buffer: Uint8Array): Promise<Turn> {
    if (this.#longInFlight) return "wait";
    const got = await this.#read(file, buffer, file.readOffset + file.scanned);
    file.readEnd = file.readOffset + file.scanned + got;
    const found = buffer.subarray(0, got).indexOf(LF);
    const lineBytes = file.scanned + (found < 0 ? got : found);
    // One more than the bound may be a CR, which the line end takes with it.
    if (lineBytes > this.#lineBytesMax + 1) return this.#whole(file, this.#lineBytesMax + 1, { truncated: true });
    if (found >= 0) return this.#whole(file, lineBytes + 1, {});
    file.scanned += got;
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
    const line = flags.truncated ? view.subarray(0, characterBorder(view, bytes - 1)) : view;
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
    file.inFlight++;
    const emitted = this.#emit(flow === undefined ? { ...chunk, position: { [file.id]: positionToJson(position) } } : chunk);
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
