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
import { errnoOf, Fault } from "../core/fault.ts";
import { groupBytes } from "../core/limits.ts";
import type { Log } from "../core/log.ts";
import type { Meter } from "../core/meter.ts";
import { FrameBuffers } from "./buffers.ts";
import { Committer } from "./commit.ts";
import { segmentBytesOf, type SpoolConfig } from "./config.ts";
import type { GroupDelta } from "./format.ts";
import { Gather } from "./gather.ts";
import { openIdentity, type Identity } from "./identity.ts";
import { layoutOf, type Layout } from "./layout.ts";
import { takeLock, type TakeLock } from "./lock.ts";
import { writeCheckpoint, type Positions } from "./positions.ts";
import { Quarantine } from "./quarantine.ts";
import { Reader } from "./reader.ts";
import { recover, type Recovered } from "./recover.ts";
import { Reserve } from "./reserve.ts";
import { Retain } from "./retain.ts";
import { Drops, sourcesOf, type Amount } from "./drops.ts";
import { Segments, type Segment } from "./segments.ts";
import { Space } from "./space.ts";
import { SegmentWriter } from "./writer.ts";

export interface Spool extends SpoolWriter {
/** How often `retain` is looked at: minutes do not matter to who keeps hours, a short one is for trying out. */
const expireMsMin = 100;
const expireMsMax = 60_000;

  readonly reader: SpoolReader;
  readonly layout: Layout;
  /** What `source` has committed, by key. */
  positions(source: string): ReadonlyMap<string, Json>;
  status(): SpoolStatus;
  /** False while nothing is taken in: full, no space, or the disk fails. */
  accepting(): boolean;
  /** Makes durable what was appended and takes nothing more; sinks go on reading. */
  seal(): Promise<void>;
  /** After `seal` and after the sinks: last checkpoint, lock given back. */
  /** What of `source` was given up for room since the start of the process, though some sink had not confirmed it. */
  dropped(source: string): Readonly<Amount>;
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
  readonly kill: AbortSignal;
  readonly takeLock?: TakeLock;
}

/**
  /** Those of them that are not required: bytes each may hold, Infinity for as much as there is room for. */
  readonly holds?: ReadonlyMap<string, number>;
 * Opens the spool in `config.dir`, made when missing, and recovers what is there. Throws Fault `spool_locked`,
 * `spool_unusable`, `spool_future_format` (all never).
 */
export async function openSpool(options: SpoolOptions): Promise<Spool> {
  const layout = layoutOf(options.config.dir);
  const { disk } = options.doors;
  try {
    for (const dir of [layout.dir, layout.segments, layout.sinks, layout.quarantine]) await disk.makeDirectory(dir);
  } catch (cause) {
    throw unusable(layout.dir, cause);
  }
  const lock = (options.takeLock ?? takeLock)(layout.lock);
  try {
    const recovered = await recover(options.doors, layout);
    const identity = await openIdentity(options.doors, layout, { machineId: options.machineId, writer: options.writer, known: recovered.knownId });
    return new OpenSpool(options, layout, lock, recovered, identity);
  } catch (cause) {
    lock[Symbol.dispose]();
    throw cause instanceof Fault ? cause : unusable(layout.dir, cause);
  }
}

function unusable(dir: string, cause: unknown): Fault {
  const hint =
    errnoOf(cause) === "ENOSPC"
      ? "free space on the file system that holds spool.dir, then start again"
      : "spool.dir must be a folder that the user logferry runs as may write to";
  return new Fault({ code: "spool_unusable", retry: "never", message: `open spool ${dir}`, hint, cause });
}

class OpenSpool implements Spool {
  readonly reader: Reader;
  readonly layout: Layout;
  readonly #options: SpoolOptions;
  readonly #lock: Disposable;
  readonly #positions: Positions;
  readonly #segments: Segments;
  readonly #writer: SegmentWriter;
  readonly #retain: Retain;
  readonly #committer: Committer;
  /**
   * What a checkpoint written by this process covers. One found at opening is believed for the positions, but not for its being
   * on the medium: after a failed sync the page cache shows what the disk may not have, and segments go on the strength of it.
   */
  #checkpointGroup = 0;
  /** The file that holds the newest checkpoint: the other one is written next. */
  #checkpointPath: string | undefined;
  #checkpointing: Promise<void> = Promise.resolve();

  constructor(options: SpoolOptions, layout: Layout, lock: Disposable, recovered: Recovered, identity: Identity) {
    const { doors, board, config } = options;
    this.#options = options;
    this.layout = layout;
    this.#lock = lock;
    this.#positions = recovered.positions;
    this.#checkpointPath = recovered.checkpointPath;
    const quarantine = new Quarantine(doors.disk, layout.quarantine, layout.segments, board);
    const segments = new Segments(doors.disk, layout.segments, (segment, at, length) => quarantine.keep(segment, at, length));
    for (const segment of recovered.segments) segments.add(segment);
    this.#segments = segments;
    this.#drops = this.#openDrops(recovered.droppedTo);
    this.#retain = this.#openRetain();
    const space = this.#openSpace();
    this.#writer = new SegmentWriter(
      {
        doors,
        segments,
        segmentsDir: layout.segments,
        segmentBytes: segmentBytesOf(config),
        spoolId: identity.id,
  readonly #drops: Drops<Segment>;
  /** Tells the work beside the flow that the spool is closed. */
  readonly #over = new AbortController();
        epoch: identity.epoch,
        writer: options.writer,
        counted: (delta, begun) => this.#counted(delta, begun),
      },
      recovered.tail,
    );
  #checkpointDroppedTo = 0;
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
    this.reader = new Reader(doors, segments, quarantine, {
      id: identity.id,
      epoch: identity.epoch,
      nextSequence: () => this.#writer.tail.nextSequence,
      rawBytes: () => this.#writer.tail.rawBytes,
      pressed: () => space.pressed(),
      droppedTo: () => this.#drops.to,
      claim: (sink, sequence) => this.#claim(sink, sequence),
    });
    this.#report(recovered, identity);
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
    return {
      bytes: this.#segments.heldBytes(),
      max_bytes: this.#options.config.max_bytes,
      segments: segments.length,
      first_sequence: this.reader.firstSequence(),
      last_sequence: this.reader.nextSequence() - 1,
      ...(oldest === undefined ? {} : { oldest_record_time: new Date(oldest.minMs).toISOString() }),
      paused: this.#committer.paused(),
    };
  }

  seal(): Promise<void> {
    return this.#committer.close();
  }

  async close(): Promise<void> {
    await this.seal();
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
    // One checkpoint a segment, beside the flow: the next start then walks the headers of one or two segments only.
    this.#cover(this.#writer.tail.nextGroup - 1).then(
      () => this.#cleaned("write checkpoint", undefined),
      (cause: unknown) => this.#cleaned("write checkpoint", cause),
    );
    // What a sink holds beyond its bound grows with every segment, whether it moves or not.
    if ((this.#options.holds?.size ?? 0) > 0) void this.#retain.run(false);
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

  /** Makes sure that a checkpoint covers `group` and what was given up: one at a time, each of all that is committed by then. */
  #cover(group: number, droppedTo = 0): Promise<void> {
    this.#checkpointing = this.#checkpointing
      .catch(() => {}) // whoever asked for that one was told
      .then(async () => {
        if (group <= this.#checkpointGroup && droppedTo <= this.#checkpointDroppedTo) return;
        const [a, b] = this.layout.positions;
        const path = this.#checkpointPath === a ? b : a;
        const { nextGroup, nextSequence, rawBytes } = this.#writer.tail;
        const { disk } = this.#options.doors;
        await writeCheckpoint(disk, path, this.#options.writer, {
          group: nextGroup - 1,
          nextSequence,
          rawBytes,
          droppedTo: dropped,
          positions: this.#positions,
        });
        await disk.syncDirectory(this.layout.dir);
        this.#checkpointGroup = nextGroup - 1;
        this.#checkpointPath = path;
      });
    return this.#checkpointing;
  }

  #report(recovered: Recovered, identity: Identity): void {
    const { board, log } = this.#options;
    for (const note of recovered.notes) {
      const torn = note.code === "spool_torn_tail";
      const hint = torn
        ? "nothing to do: a crash left it, and nothing in it had been acknowledged"
        : "nothing is lost by it; look why the disk or somebody else changed the file";
      board.count("spool", new Fault({ code: note.code, retry: "never", message: note.message, hint }));
    }
    if (identity.copied) {
      const hint = "nothing to do if you moved it on purpose; the copy never writes the names of the original";
      board.count(
        "spool",
        new Fault({ code: "spool_copied", retry: "never", message: "open spool: it was made on another machine and got a new id", hint }),
      );
    }
    const { segments, tail } = recovered;
    log.info("spool open", {
      component: "spool",
      dir: this.layout.dir,
      id: identity.id,
      epoch: identity.epoch,
      segments: segments.length,
      next_sequence: tail.nextSequence,
    });
  }
}
    const dropped = this.#drops.total();
      dropped_records: dropped.records,
      dropped_bytes: dropped.bytes,
  dropped(source: string): Readonly<Amount> {
    return this.#drops.of(source);
  }

    if (!begun) return;
        const dropped = this.#drops.to;
        this.#checkpointDroppedTo = dropped;
