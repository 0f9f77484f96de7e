/**
 * The spool: one durable log on local disk between sources and sinks.
 *
 * Constraints
 * - `append` resolves only after the bytes are in a segment and fdatasync has returned success.
 * - A source's position is committed in the same group as the data it covers; a group is there whole or not at all.
 * - Records keep their bytes, and the records of one file their order; sequences count on for the life of the spool.
 * - Sinks never see what is not synced. A corrupt byte costs one frame. Damage never keeps the spool from opening.
 * - Segments never take more than `max_bytes`; memory does not depend on how much is held.
 *
 * On disk
 *
 *     spool.json            id, epoch, machine id; replaced by rename          identity.ts
 *     lock                  held by a kernel lock while a process owns it      lock.ts
 *     reserve               8 MiB given up when the disk is full               reserve.ts
 *     segments/NNN.zst      head, then groups of frames with a commit each     format.ts, writer.ts
 *     positions.a, .b       checkpoints of positions, written in turn          positions.ts
 *     sinks/NAME.journal    what was planned and delivered, one per sink       (the sinks' own)
 *     quarantine/           damaged bytes, kept aside                          quarantine.ts
 *
 * What a crash can leave, and what is done with it, stands in recover.ts. After opening, the log always goes on in a new
 * segment: nothing is ever appended to a file that an earlier process has written.
 */
import type { Board } from "../core/board.ts";
import type { Doors } from "../core/doors.ts";
import type { Json, SpoolReader, SpoolStatus, SpoolWriter } from "../core/contract.ts";
import { Fault, isNoSpace } from "../core/fault.ts";
import { groupBytes } from "../core/limits.ts";
import type { Log } from "../core/log.ts";
import type { Meter } from "../core/meter.ts";
import { bounds, type Bounds } from "./bounds.ts";
import { FrameBuffers } from "./buffers.ts";
import { Committer } from "./commit.ts";
import { segmentBytesOf, type SpoolConfig } from "./config.ts";
import type { GroupDelta } from "./format.ts";
import { Gather } from "./gather.ts";
import { writeIdentity, type IdentityFile } from "./identity.ts";
import type { Layout } from "./layout.ts";
import { takeLock, type TakeLock } from "./lock.ts";
import { settleCheckpoint, writeCheckpoint, type Positions } from "./positions.ts";
import type { Quarantine } from "./quarantine.ts";
import { Reader } from "./reader.ts";
import { Reserve } from "./reserve.ts";
import { writeTable } from "./table.ts";
import { Drops, sourcesOf, type Amount } from "./drops.ts";
import { Retain } from "./retain.ts";
import { Segments, type Segment } from "./segments.ts";
import { Space } from "./space.ts";
import { report, start, unusable, type Started } from "./start.ts";
import { SegmentWriter } from "./writer.ts";

/** How often `retain` is looked at: minutes do not matter to who keeps hours, a short one is for trying out. */
const expireMsMin = 100;
const expireMsMax = 60_000;

export interface Spool extends SpoolWriter {
  readonly reader: SpoolReader;
  readonly layout: Layout;
  /** Sinks that had a journal in this spool. */
  readonly sinksKnown: readonly string[];
  /** It was not made now, and which sinks it had was lost: any of them may have had a journal. */
  readonly sinksForgotten: boolean;
  /** Makes the list durable, once each has its journal. Rejects with Fault `spool_unusable` (never). */
  noteSinks(names: readonly string[]): Promise<void>;
  /** What `source` has committed, by key. */
  positions(source: string): ReadonlyMap<string, Json>;
  status(): SpoolStatus;
  /** What of `source` was given up for room since the start of the process, though some sink had not confirmed it. */
  dropped(source: string): Readonly<Amount>;
  /** False while nothing is taken in: full, no space, or the disk fails. */
  accepting(): boolean;
  /** Makes durable what was appended and takes nothing more; sinks go on reading. */
  seal(): Promise<void>;
  /** After `seal` and after the sinks: last checkpoint, lock given back. */
  close(): Promise<void>;
}

export interface SpoolOptions {
  readonly config: SpoolConfig;
  readonly doors: Doors;
  readonly board: Board;
  readonly log: Log;
  readonly meter: Meter;
  /** logferry's own version, written into heads. */
  readonly writer: string;
  /** From /etc/machine-id; empty where there is none. */
  readonly machineId: string;
  /** Every sink that holds data: configured, or with a journal left. Nothing goes before each has made its claim. */
  readonly sinks: readonly string[];
  /** Those of them that are not required: bytes each may hold, Infinity for as much as there is room for. */
  readonly holds?: ReadonlyMap<string, number>;
  readonly kill: AbortSignal;
  readonly takeLock?: TakeLock;
  readonly bounds?: Bounds;
}

/**
 * Opens the spool in `config.dir`, made when missing, and recovers what is there. Throws Fault `spool_locked`,
 * `spool_unusable`, `spool_future_format` (all never).
 */
export async function openSpool(options: SpoolOptions): Promise<Spool> {
  const started = await start({ ...options, dir: options.config.dir, takeLock: options.takeLock ?? takeLock });
  const spool = new OpenSpool(options, started);
  report(started, options);
  return spool;
}

class OpenSpool implements Spool {
  readonly reader: Reader;
  readonly layout: Layout;
  readonly sinksForgotten: boolean;
  readonly #options: SpoolOptions;
  readonly #lock: Disposable;
  readonly #positions: Positions;
  readonly #quarantine: Quarantine;
  #identity: IdentityFile;
  readonly #segments: Segments;
  readonly #writer: SegmentWriter;
  readonly #retain: Retain;
  readonly #space: Space;
  readonly #drops: Drops<Segment>;
  /** Tells the work beside the flow that the spool is closed. */
  readonly #over = new AbortController();
  readonly #committer: Committer;
  /**
   * What each checkpoint file covers, if this process wrote it. One found at opening is believed for the positions, but not for
   * being on the medium: after a failed sync the page cache shows what the disk may not have, and segments go on the strength of it.
   */
  readonly #checkpoints = new Map<string, { group: number; droppedTo: number }>();
  /** The file that holds the newest checkpoint: the other one is written next. */
  #checkpointPath: string | undefined;
  /** The newest checkpoint is on the medium for sure. */
  #checkpointSettled = false;
  /** The newest segment when the table was written. */
  #remembered = 0;
  #checkpointing: Promise<void> = Promise.resolve();

  constructor(options: SpoolOptions, { layout, lock, recovered, identity, quarantine }: Started) {
    const { doors, board, config } = options;
    this.#options = options;
    this.layout = layout;
    this.#lock = lock;
    this.#positions = recovered.positions;
    this.#checkpointPath = recovered.checkpointPath;
    this.#quarantine = quarantine;
    this.#identity = identity.file;
    this.sinksForgotten = identity.sinksForgotten;
    const segments = new Segments(doors.disk, layout.segments, (segment, at, length) => quarantine.keep(segment, at, length, "spool_block_corrupt"));
    for (const segment of recovered.segments) segments.add(segment);
    this.#segments = segments;
    this.#drops = this.#openDrops(recovered.droppedTo);
    this.#retain = this.#openRetain();
    const space = this.#openSpace();
    this.#space = space;
    this.#writer = new SegmentWriter(
      {
        doors,
        segments,
        segmentsDir: layout.segments,
        segmentBytes: segmentBytesOf(config),
        spoolId: identity.id,
        epoch: identity.epoch,
        writer: options.writer,
        counted: (delta, begun) => this.#counted(delta, begun),
      },
      recovered.tail,
    );
    this.#committer = new Committer({
      doors,
      board,
      gather: new Gather(doors.compress, config.level, new FrameBuffers()),
      writer: this.#writer,
      space,
      intervalMs: config.commit_interval,
      // A group must fit into a small spool several times over, or it could never be written.
      groupBytes: Math.min(groupBytes, Math.floor(config.max_bytes / 4)),
      committed: (seconds, sources) => {
        segments.attribute(sources);
        options.meter.commit(seconds);
      },
      kill: options.kill,
    });
    this.reader = new Reader(
      doors,
      segments,
      quarantine,
      {
        id: identity.id,
        epoch: identity.epoch,
        pastEpochs: identity.pastEpochs,
        nextSequence: () => this.#writer.tail.nextSequence,
        rawBytes: () => this.#writer.tail.rawBytes,
        pressed: () => space.pressed(),
        droppedTo: () => this.#drops.to,
        claim: (sink, sequence) => this.#claim(sink, sequence),
        makeRoom: () => space.giveReserve(),
      },
      options.bounds?.endurance,
    );
    void space.begin(AbortSignal.any([this.#over.signal, options.kill]));
    if (config.retain > 0) void this.#expire();
  }

  #openDrops(to: number): Drops<Segment> {
    const { doors, board, kill } = this.#options;
    const segments = this.#segments;
    return new Drops({
      to,
      clock: doors.clock,
      board,
      over: AbortSignal.any([this.#over.signal, kill]),
      // A segment of this process knows whose records it holds; of others, and of what was delivered in part, they are read.
      sourcesOf: async (segment, sequence) =>
        (segment.firstSequence >= sequence ? segment.sources : undefined) ??
        sourcesOf(await segments.index(segment), sequence, (frame) => this.reader.payload(frame), doors.compress),
    });
  }

  #openRetain(): Retain {
    const { doors, config, sinks, holds = new Map() } = this.#options;
    return new Retain({
      segments: this.#segments,
      clock: doors.clock,
      retainMs: config.retain,
      sinks,
      holds,
      cover: (group) => this.#cover(group, this.#drops.to, 2),
      giveUp: (segment, sequence) => this.#drops.giveUp(segment, sequence),
      onFault: (cause) => this.#cleaned("remove segments", cause),
    });
  }

  #openSpace(): Space {
    const { doors, board, config } = this.#options;
    return new Space({
      doors,
      board,
      segments: this.#segments,
      retain: this.#retain,
      reserve: new Reserve(doors.disk, this.layout.reserve),
      dir: this.layout.dir,
      maxBytes: config.max_bytes,
      minFreeBytes: config.min_free_bytes,
      dropOldest: config.when_full === "drop_oldest",
      segmentBytes: segmentBytesOf(config),
    });
  }

  get sinksKnown(): readonly string[] {
    return this.#identity.sinks ?? [];
  }

  async noteSinks(names: readonly string[]): Promise<void> {
    const sinks = names.toSorted();
    if (sinks.join() === this.sinksKnown.join()) return;
    const value = { ...this.#identity, sinks };
    try {
      await writeIdentity(this.#options.doors.disk, this.layout, value, () => this.#space.giveReserve());
    } catch (cause) {
      throw unusable(this.layout.dir, cause);
    }
    this.#identity = value;
  }

  append: SpoolWriter["append"] = (write, source, delta) => this.#committer.append(write, source, delta);

  positions(source: string): ReadonlyMap<string, Json> {
    return this.#positions.of(source);
  }

  accepting(): boolean {
    return this.#committer.paused() === "";
  }

  status(): SpoolStatus {
    const segments = this.#segments.all();
    const oldest = segments[0];
    const dropped = this.#drops.total();
    return {
      bytes: this.#segments.heldBytes(),
      max_bytes: this.#options.config.max_bytes,
      segments: segments.length,
      first_sequence: this.reader.firstSequence(),
      last_sequence: this.reader.nextSequence() - 1,
      ...(oldest === undefined ? {} : { oldest_record_time: new Date(oldest.minMs).toISOString() }),
      paused: this.#committer.paused(),
      dropped_records: dropped.records,
      dropped_bytes: dropped.bytes,
    };
  }

  dropped(source: string): Readonly<Amount> {
    return this.#drops.of(source);
  }

  seal(): Promise<void> {
    return this.#committer.close();
  }

  async close(): Promise<void> {
    await this.seal();
    this.#over.abort();
    this.#quarantine.close();
    try {
      await this.#writer.roll();
      await this.#retain.run(false);
      await this.#cover(this.#writer.tail.nextGroup - 1);
    } catch (cause) {
      // Not needed: the commit blocks since the last checkpoint hold the same.
      this.#options.log.warn("checkpoint at the end failed", { component: "spool", cause: String(cause) });
    }
    await this.reader.close();
    this.#lock[Symbol.dispose]();
  }

  #counted(delta: GroupDelta, begun: boolean): void {
    this.#positions.apply(delta);
    if (!begun) return;
    this.#remember().catch(() => {}); // it only makes a start faster
    // One checkpoint a segment, beside the flow: the next start then walks the headers of one or two segments only.
    this.#cover(this.#writer.tail.nextGroup - 1).then(
      () => this.#cleaned("write checkpoint", undefined),
      (cause: unknown) => this.#cleaned("write checkpoint", cause),
    );
    // What a sink holds beyond its bound grows with every segment, whether it moves or not.
    if ((this.#options.holds?.size ?? 0) > 0) void this.#retain.run(false);
  }

  /** Writes the table of segments anew whenever a sixteenth of them is not in it. */
  async #remember(): Promise<void> {
    const segments = this.#segments.all();
    const newest = segments.at(-1)?.number ?? 0;
    if (segments.length < (this.#options.bounds ?? bounds).tableSegmentsMin || newest - this.#remembered < segments.length / 16) return;
    this.#remembered = newest;
    await writeTable(this.#options.doors.disk, this.layout.table, this.reader.id, segments);
  }

  #cleaned(operation: string, cause: unknown): void {
    const { board } = this.#options;
    if (cause === undefined) return board.clear("spool", "spool_cleanup_failed", operation);
    const hint = "check that spool.dir can be written; segments stay until it works";
    board.raise("spool", "degraded", new Fault({ code: "spool_cleanup_failed", retry: "later", message: operation, hint, cause }), operation);
  }

  #claim(sink: string, sequence: number): void {
    this.#retain.claim(sink, sequence);
    void this.#retain.run(false);
  }

  /** Delivered segments go when their time is over, also when no sink says anything more. */
  async #expire(): Promise<void> {
    const { clock } = this.#options.doors;
    const over = AbortSignal.any([this.#over.signal, this.#options.kill]);
    while (!over.aborted) {
      await this.#retain.run(false);
      // Looked at now and then: what is delivered while we sleep is due `retain` later at the earliest.
      await clock.sleep(Math.min(Math.max(this.#retain.dueMs() ?? Infinity, expireMsMin), this.#options.config.retain, expireMsMax), over);
    }
  }

  /**
   * Makes sure that `copies` of the two checkpoints cover `group` and what was given up: one at a time, each of all that is
   * committed by then. Two before segments go: should the newer one rot, the older must not need the commits of what is gone.
   */
  #cover(group: number, droppedTo = 0, copies: 1 | 2 = 1): Promise<void> {
    this.#checkpointing = this.#checkpointing
      .catch(() => {}) // whoever asked for that one was told
      .then(async () => {
        const [a, b] = this.layout.positions;
        const older = this.#checkpointPath === a ? [b, a] : [a, b];
        const lacking = older.filter((path) => {
          const covered = this.#checkpoints.get(path);
          return covered === undefined || covered.group < group || covered.droppedTo < droppedTo;
        });
        for (const path of lacking.slice(0, Math.max(0, copies + lacking.length - older.length))) await this.#checkpoint(path);
      });
    return this.#checkpointing;
  }

  async #checkpoint(path: string): Promise<void> {
    const { doors, writer } = this.#options;
    // An earlier process may have failed to sync the newest: it must be there for sure before the other one is written over.
    if (!this.#checkpointSettled && this.#checkpointPath !== undefined) await settleCheckpoint(doors.disk, this.#checkpointPath);
    this.#checkpointSettled = true;
    const { nextGroup, nextSequence, rawBytes } = this.#writer.tail;
    const covered = { group: nextGroup - 1, droppedTo: this.#drops.to };
    const write = (): Promise<void> => writeCheckpoint(doors.disk, path, writer, { ...covered, nextSequence, rawBytes, positions: this.#positions });
    await write().catch(async (cause: unknown) => {
      if (!isNoSpace(cause)) throw cause;
      await this.#space.giveReserve();
      await write();
    });
    await doors.disk.syncDirectory(this.layout.dir);
    this.#checkpoints.set(path, covered);
    this.#checkpointPath = path;
  }
}
