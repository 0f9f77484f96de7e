/**
 * The `file` source: follows log files through rotation, exactly once.
 *
 * One loop, in turns: take in the last look at the globs, look at open files that are due, read once from the next file that
 * has something to read. Nothing else runs beside it but the look itself (folders can be slow) and the emits, so no state is
 * ever changed from two sides. Turns are one buffer long and go round, so that a busy file never starves a quiet one.
 *
 * Files are watched by asking: an fstat in a batch costs 3 to 5 µs. A file that grew within ten seconds is asked every 100 ms by
 * its descriptor; quiet ones are seen to grow by the look at the globs, every `discover_interval`, and at once where file system
 * events can be trusted (events.ts). While all are quiet, that look is all that wakes the process.
 *
 * Stopping: no read begins after `stop`; `run` returns once all that was emitted is durable.
 */
import { resolve } from "node:path";
import type { Emit, Source, SourceContext, SourceKind, SourceStatus } from "../../core/contract.ts";
import { toError } from "../../core/fault.ts";
import { filesShown } from "../../core/files.ts";
import { orAborted, type Signals } from "../../core/signals.ts";
import { Catalog } from "./catalog.ts";
import { check } from "./check.ts";
import { schema, type FileConfig } from "./config.ts";
import { Deleted, heldBytes } from "./deleted.ts";
import { Events } from "./events.ts";
import { Finder, type Found, type Globs } from "./found.ts";
import { compile, compileExclude } from "./glob.ts";
import { Ledger } from "./ledger.ts";
import { lagOf, listFiles } from "./listing.ts";
import { poll } from "./poll.ts";
import { positionFromJson, type Position } from "./position.ts";
import { Reader } from "./reader.ts";
import { Turns } from "./turns.ts";

export const file: SourceKind<FileConfig> = {
  type: "file",
  schema,
  open: (config, context) => Promise.resolve(new FileSource(config, context)),
  check: (config, context) => check(globsOf(config), context),
};

/** What a line waits at most until it is read, while its file is busy. */
const tickMs = 100;
/** A look takes at most this share of the time, so that ten thousand files do not cost more than a few percent. */
const lookShare = 30;
/** A look that changed nothing is taken in all the same every so often: positions expire then. */
const applyEvery = 600;
/** Says that there was a first start, so that `start: end` never applies again. */
const startedKey = "started";

/** Relative paths are taken from the working directory. */
export function globsOf(config: FileConfig): Globs {
  return {
    patterns: config.include.flatMap((text) => compile(resolve(text))),
    excluded: compileExclude(config.exclude),
    symlinkRoots: config.symlink_roots.map((folder) => resolve(folder)),
  };
}

class FileSource implements Source {
  readonly #config: FileConfig;
  readonly #context: SourceContext;
  readonly #finder: Finder;
  readonly #events: Events;
  /** Files that events say were written to since the last poll. */
  readonly #told = new Set<string>();
  readonly #turns: Turns;
  readonly #deleted: Deleted;
  #catalog: Catalog | undefined;
  #state: SourceStatus["state"] = "starting";
  #buffer: Uint8Array | undefined;
  #taking = false;
  #asleep: AbortController | undefined;
  #found: Map<string, Found> | undefined;
  #looks = 0;
  #applied: Map<string, Found> | undefined;
  #looking: Promise<void> | undefined;
  #looked = false;
  #nextLook = 0;
  /** When a look may begin that an event asks for, and that one is asked for. */
  #soonest = 0;
  #lookSoon = false;
  #nextPoll = 0;
  #broken: Error | undefined;
  readonly #ledger: Ledger;

  constructor(config: FileConfig, context: SourceContext) {
    this.#config = config;
    this.#context = context;
    this.#events = new Events(context.doors.disk, (path, kind) => this.#hint(path, kind));
    this.#finder = new Finder(context.doors.disk, globsOf(config), () => this.#now, context.once ? undefined : this.#events);
    this.#turns = new Turns(config.order);
    this.#deleted = new Deleted(config.deleted_bytes_max, context.board, `sources.${context.name}`);
    this.#ledger = new Ledger(context.board, `sources.${context.name}`, context.once, () => context.doors.clock.now());
  }

  async run(emit: Emit, signals: Signals): Promise<void> {
    const reader = new Reader(this.#context, this.#config, emit, () => {
      this.#turns.settled();
      this.#wake();
    });
    const catalog = this.#openCatalog(reader);
    try {
      while (!signals.stop.aborted && !signals.kill.aborted && !reader.closed) {
        const broken = reader.broken ?? this.#broken;
        if (broken !== undefined) throw broken;
        await this.#look(catalog, reader, signals);
        if (this.#now >= this.#nextPoll) {
          this.#takeHints(catalog);
          const due = await poll(catalog, reader, this.#config, this.#now, (tracked) => this.#turns.enqueue(tracked));
          this.#deleted.look(catalog, this.#now);
          this.#turns.settled(); // a file that was given up has let its descriptor go
          this.#nextPoll = Math.max(due, this.#now + tickMs);
        }
        const turned = await this.#turn(catalog, reader, signals);
        const progress = (await catalog.copies.step(reader)) || turned;
        if (!progress && this.#context.once && (await this.#finished(catalog, reader))) break;
        if (!progress) await this.#sleep(signals);
      }
      await orAborted(reader.settled(), signals.kill);
      if (reader.broken !== undefined) throw reader.broken;
      this.#state = "done";
    } finally {
      if (this.#state !== "done") this.#state = "failed";
      this.#events.close();
      if (this.#buffer !== undefined) this.#context.buffers.give(this.#buffer);
      this.#buffer = undefined;
      if (this.#looking !== undefined) await orAborted(this.#looking, signals.kill);
    }
  }

  status(filesMax = filesShown): SourceStatus {
    const files = [...(this.#catalog?.files.values() ?? [])];
    const state = this.#state === "running" && files.length === 0 ? "waiting" : this.#state;
    return {
      state,
      lag_bytes: this.lagBytes(),
      ...listFiles(files, this.#ledger.standing(), this.#ledger.unnamed, filesMax),
      deleted_bytes: heldBytes(files),
      deleted_lost_bytes: this.#deleted.lostBytes,
    };
  }

  lagBytes(): number {
    return this.#catalog === undefined ? 0 : lagOf(this.#catalog.files.values()) + this.#catalog.copies.lagBytes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#catalog?.closeAll();
    this.#catalog = undefined;
  }

  get #now(): number {
    return this.#context.doors.clock.monotonic();
  }

  #openCatalog(reader: Reader): Catalog {
    const positions = new Map<string, Position>();
    for (const [id, json] of this.#context.positions) {
      const position = positionFromJson(json);
      if (position !== undefined) positions.set(id, position);
    }
    const first = this.#context.positions.size === 0;
    if (first && this.#config.start === "end") reader.commit({ [startedKey]: true });
    this.#catalog = new Catalog({
      context: this.#context,
      config: this.#config,
      positions,
      commit: (delta) => reader.commit(delta),
      ended: (tracked) => reader.flush(tracked),
      gone: (tracked) => this.#deleted.gone(tracked),
      enqueue: (tracked) => this.#turns.enqueue(tracked),
      report: (fault, detail) => this.#ledger.report(fault, detail),
      allows: (place) => this.#finder.allows(place),
      fromEnd: first && this.#config.start === "end",
    });
    return this.#catalog;
  }

  /** Begins a look when it is time, and takes in the one that is done. */
  async #look(catalog: Catalog, reader: Reader, signals: Signals): Promise<void> {
    if (this.#found !== undefined) {
      const found = this.#found;
      this.#found = undefined;
      const due = this.#looks++ % applyEvery === 0;
      if (due || found !== this.#applied || !catalog.settled) await catalog.apply(found);
      this.#applied = found;
      this.#ledger.settle();
      reader.reportCuts();
      this.#looked = true;
      this.#nextPoll = Math.min(this.#nextPoll, this.#now);
      this.#state = "running";
    }
    if (this.#looking !== undefined || this.#now < this.#nextLook) return;
    const begun = this.#now;
    this.#lookSoon = false;
    this.#looking = this.#finder
      .find((fault, detail) => this.#ledger.report(fault, detail))
      .then((found) => {
        if (!signals.stop.aborted) this.#found = found;
      })
      .catch((cause: unknown) => {
        this.#broken = toError(cause);
      })
      .finally(() => {
        const interval = this.#config.discover_interval;
        const pause = Math.min(Math.max(interval, (this.#now - begun) * lookShare), 10 * interval);
        this.#soonest = begun + Math.max(tickMs, (this.#now - begun) * lookShare);
        this.#nextLook = this.#context.once ? Number.POSITIVE_INFINITY : this.#lookSoon ? this.#soonest : begun + pause;
        this.#looking = undefined;
        this.#wake();
      });
  }

  /** An event: a file was written to, or names have changed. */
  #hint(path: string, kind: "change" | "names"): void {
    if (kind === "change") this.#told.add(path);
    else this.#askLook();
    this.#wake();
  }

  /** Open files that were written to are asked now; what else there is, a look finds out. */
  #takeHints(catalog: Catalog): void {
    if (this.#told.size === 0) return;
    for (const tracked of catalog.files.values()) {
      if (tracked.handle !== undefined && this.#told.delete(tracked.target)) tracked.lookAt = 0;
    }
    // A folder may also hold files that are not ours and never quiet.
    if (this.#told.values().some((path) => this.#finder.knows(path))) this.#askLook();
    this.#told.clear();
  }

  #askLook(): void {
    this.#lookSoon = true;
    if (this.#looking === undefined) this.#nextLook = Math.min(this.#nextLook, this.#soonest);
  }

  /** Reads once from the next file that may be read. False when there is none, or no buffer for it yet. */
  async #turn(catalog: Catalog, reader: Reader, signals: Signals): Promise<boolean> {
    const tracked = this.#turns.next(catalog.files, (each) => reader.mayRead(each));
    if (tracked === undefined) return false;
    const buffer = this.#takeBuffer(signals);
    if (buffer === undefined) {
      this.#turns.again(tracked);
      return false;
    }
    if (!(await catalog.open(tracked))) {
      this.#context.buffers.give(buffer);
      if (tracked.fault === undefined && catalog.follows(tracked)) this.#turns.aside(tracked);
      else this.#turns.leave(tracked);
      return true;
    }
    const before = tracked.readOffset;
    const turn = await reader.turn(tracked, buffer);
    if (tracked.readOffset > before) tracked.readAtMs = this.#context.doors.clock.now();
    this.#nextPoll = Math.min(this.#nextPoll, this.#now + tickMs);
    if (turn !== "failed") tracked.fault = undefined;
    if (turn === "cut") {
      await catalog.cut(tracked);
    } else if (turn === "wait" || (turn === "more" && tracked.readOffset < tracked.goal)) {
      this.#turns.again(tracked);
    } else {
      this.#turns.leave(tracked);
      if (turn === "failed") catalog.failed(tracked);
    }
    return turn !== "wait";
  }

  /** A buffer if there is one; else it is asked for, and the loop woken when it comes: looks go on while the spool is full. */
  #takeBuffer(signals: Signals): Uint8Array | undefined {
    const buffer = this.#buffer ?? (this.#taking ? undefined : this.#context.buffers.takeFree());
    this.#buffer = undefined;
    if (buffer !== undefined || this.#taking) return buffer;
    this.#taking = true;
    void this.#context.buffers.take(signals.stop, signals.kill).then((taken) => {
      this.#taking = false;
      if (taken !== undefined && signals.stop.aborted) this.#context.buffers.give(taken);
      else this.#buffer = taken;
      this.#wake();
    });
    return undefined;
  }

  /** With `once`: takes last lines without an end, and says whether all there was is read. */
  async #finished(catalog: Catalog, reader: Reader): Promise<boolean> {
    if (!this.#looked || this.#turns.size > 0 || !catalog.copies.idle) return false;
    for (const tracked of catalog.files.values()) {
      if (tracked.rejected) return false;
      if (tracked.restBytes === 0 || tracked.fault !== undefined || tracked.readOffset >= tracked.goal) continue;
      if (!(await catalog.open(tracked))) return false;
      const turn = await reader.partial(tracked);
      if (turn === "wait") return false;
      if (turn === "cut") await catalog.cut(tracked);
    }
    if (this.#turns.size > 0) return false;
    for (const tracked of catalog.files.values()) reader.flush(tracked);
    return true;
  }

  /** Something has changed: the files that are due now are looked at within a tick. */
  #wake(): void {
    this.#nextPoll = Math.min(this.#nextPoll, this.#now + tickMs);
    this.#asleep?.abort();
  }

  async #sleep(signals: Signals): Promise<void> {
    const asleep = new AbortController();
    this.#asleep = asleep;
    const now = this.#now;
    // A queue that cannot go on (its emits, the pool, an older generation) is woken by what it waits for, or else looked at again; and
    // so is a look under way, and what is due of compressed files and did not go on.
    const look = this.#looking === undefined ? this.#nextLook : now + tickMs;
    const copies = Math.max(this.#catalog?.copies.dueAt ?? Number.POSITIVE_INFINITY, now + tickMs);
    const due = this.#turns.size > 0 ? tickMs : Math.min(this.#nextPoll, look, copies) - now;
    await this.#context.doors.clock.sleep(Math.max(due, 1), signals.stop, asleep.signal);
    this.#asleep = undefined;
  }
}
