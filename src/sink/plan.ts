/**
 * The planner: walks the spool from the cursor, gathers frames into drafts, and turns closed drafts into durable plans.
 *
 * A draft closes by its bytes as sent, by age (monotonic, since its first record was seen, not counting the time planning
 * stood still), when the receiver takes no more frames in one body, when the spool wants room, on flush and at the stop.
 *
 * Promises:
 * - Every record from the cursor on comes into exactly one plan, is not for this sink, or is lost and counted.
 * - `low` never passes a record that is in a draft or in a plan not yet durable.
 * - It stands still while there is no room for a plan: memory is flat whatever lies in the spool.
 */
import { Bug } from "../core/assert.ts";
import type { Delivery, Piece, Range, SpoolReader } from "../core/contract.ts";
import type { Doors } from "../core/doors.ts";
import { Fault } from "../core/fault.ts";
import { backoffMs } from "../core/retry.ts";
import { Changed, orAborted, type Signals } from "../core/signals.ts";
import { Assigner } from "./assign.ts";
import { Drafts, type Draft } from "./draft.ts";
import { BodyChanged, encodeBody, measureBody, RecordsGone, type BodyPlan } from "./encode.ts";
import { countOf, subtract, within } from "./ranges.ts";
import { passOf, splitBodies, type SplitBody } from "./split.ts";

/** References fetched at once: small, so that what is pending stays a moment's work. */
const piecesAtOnce = 64;

/** How often an open draft looks whether the spool wants room. */
const pressedMs = 1000;

/** NDJSON of the drafts that are split out of mixed frames in one pass: what may wait in memory for its frame to fill. */
const splitBytesMax = 32 * 1024 * 1024;
/** What of their bodies is kept until they are sent. */
const keptBytesMax = 16 * 1024 * 1024;
/** A batch up to this is kept from its plan to its delivery, eight of them at most: a frame that goes to HTTP is then read once, not twice. */
const keptWholeBytesMax = 512 * 1024;

/** What a draft became once measured: everything of a plan but its place. */
export interface Measured extends BodyPlan {
  readonly lane: string;
  readonly records: number;
  readonly bytes: number;
  readonly digest: string;
  readonly crc: number;
  readonly minMs: number;
  /** The body, where it was kept. */
  readonly parts?: readonly Uint8Array[] | undefined;
}

export interface PlannerOptions {
  readonly delivery: Delivery;
  readonly reader: SpoolReader;
  readonly doors: Doors;
  /** Delivered or planned before: not to be planned again. Nothing of it below `cursor`. */
  readonly cursor: number;
  readonly covered: readonly Range[];
  readonly framesMax: () => number | undefined;
  /** Resolves to the lane a batch of `partition` may take, as soon as there is room for one; undefined at `kill`. */
  readonly lane: (partition: string, signals: Signals) => Promise<string | undefined>;
  /** Makes the plan durable and hands it to its lane; undefined: nothing was left of it. */
  readonly planned: (measured: Measured) => Promise<void>;
  /** Records that no one will have: damage took them, or they were given up for room. */
  readonly lost: (records: number, dropped: boolean) => void;
  /** Reading the spool failed and is tried again; undefined: it works again. */
  readonly onFault: (fault: Fault | undefined) => void;
  /** Called between pieces: what was passed without a delivery may be written down. Gives the ms after which it wants to be called again. */
  readonly passed: (force: boolean) => Promise<number | undefined>;
}

export class Planner {
  readonly #options: PlannerOptions;
  readonly #assigner: Assigner;
  readonly #drafts: Drafts;
  readonly #changed = new Changed();
  #cursor: number;
  #covered: readonly Range[];
  /** Closed, not durable yet. */
  readonly #closed: Draft[] = [];
  /** Bodies of closed drafts that were made in one pass with others, until each is planned. */
  readonly #split = new Map<Draft, SplitBody>();
  /** Flush everything below this sequence. */
  #flushTo = -1;
  /** Record time of what comes next, where it was looked at already. */
  #nextMs: number | undefined;

  constructor(options: PlannerOptions) {
    const { delivery, reader, doors, framesMax } = options;
    this.#options = options;
    this.#cursor = options.cursor;
    this.#covered = options.covered;
    this.#assigner = new Assigner(delivery, reader, doors.compress);
    this.#drafts = new Drafts({ codec: delivery.codec, bytesMax: delivery.bytesMax, ageMsMax: delivery.ageMsMax, framesMax });
  }

  /** Every record below it is in a durable plan, delivered, lost or not for this sink. */
  low(): number {
    let low = this.#cursor;
    for (const draft of this.#pending()) low = Math.min(low, draft.ranges[0]?.[0] ?? low);
    return low;
  }

  /** Records not planned yet. */
  lagRecords(): number {
    const ahead = this.#options.reader.nextSequence() - this.#cursor;
    let records = Math.max(0, ahead - countOf(within(this.#covered, this.#cursor, Infinity)));
    for (const draft of this.#pending()) records += draft.records;
    return records;
  }

  /** Oldest record time known among them. */
  oldestMs(): number | undefined {
    let oldest = this.#nextMs ?? Infinity;
    for (const draft of this.#pending()) oldest = Math.min(oldest, draft.minMs);
    return oldest === Infinity ? undefined : oldest;
  }

  *#pending(): Iterable<Draft> {
    yield* this.#closed;
    yield* this.#drafts.open();
  }

  /** Plans what is there now without waiting for size or age. */
  flush(): void {
    this.#flushTo = this.#options.reader.nextSequence();
    this.#changed.notify();
  }

  /** Returns after `stop`, once everything the spool holds is planned; at `kill` at once. */
  async run(signals: Signals): Promise<void> {
    const { reader, onFault, passed, doors } = this.#options;
    for (let attempt = 0; !signals.kill.aborted;) {
      try {
        // Read before the look: what is appended between the two is seen in the next round.
        const stopping = signals.stop.aborted;
        const pieces = await reader.pieces(this.#cursor, piecesAtOnce);
        for (const piece of pieces) {
          if (signals.kill.aborted) return;
          this.#nextMs = "frame" in piece ? piece.frame.minMs : this.#nextMs;
          await this.#take(piece, signals);
          await this.#seal(this.#flushDue() ? this.#drafts.closeAll() : this.#drafts.closeDue(doors.clock.monotonic()), signals);
          await passed(false);
        }
        if (attempt > 0) onFault(undefined);
        attempt = 0;
        if (pieces.length > 0) continue;
        this.#nextMs = undefined;
        const caughtUp = this.#cursor >= reader.nextSequence();
        if (await this.#closeAtEnd(stopping && caughtUp, signals)) return;
        const passedMs = await passed(reader.pressed());
        await this.#wait(caughtUp, passedMs, signals);
      } catch (cause) {
        if (signals.kill.aborted) return;
        if (cause instanceof Bug) throw cause;
        onFault(readFault(cause));
        await doors.clock.sleep(
          backoffMs(attempt++, this.#options.delivery.retryMsMin, this.#options.delivery.retryMsMax, () => doors.random.next()),
          signals.kill,
        );
      }
    }
  }

  /** Moves the cursor over a piece. Rejects before anything was changed. */
  async #take(piece: Piece, signals: Signals): Promise<void> {
    const { firstSequence, records } = "frame" in piece ? piece.frame : piece.lost;
    const end = firstSequence + records;
    if (end <= this.#cursor) return;
    // What lies before the piece went while nobody could read it (drop_oldest, or damage at the start).
    const gone = this.#uncovered(this.#cursor, firstSequence - 1);
    const wanted = this.#uncovered(Math.max(this.#cursor, firstSequence), end - 1);
    let shares: Awaited<ReturnType<Assigner["shares"]>> = [];
    let lost = countOf(gone);
    let dropped = false;
    if ("lost" in piece) {
      lost += countOf(wanted);
      dropped = piece.lost.dropped ?? false;
    } else if (wanted.length > 0) {
      try {
        shares = await this.#assigner.shares(piece.frame, wanted);
      } catch (cause) {
        if (!(cause instanceof RecordsGone)) throw cause;
        lost += countOf(cause.ranges);
        dropped = cause.dropped;
      }
    }
    this.#cursor = end;
    if ((this.#covered.at(-1)?.[1] ?? -1) < end) this.#covered = [];
    if (lost > 0) this.#options.lost(lost, dropped);
    const minMs = "frame" in piece ? piece.frame.minMs : 0;
    const nowMs = this.#options.doors.clock.monotonic();
    await this.#seal(
      shares.flatMap((share) => this.#drafts.add(share, minMs, nowMs)),
      signals,
    );
  }

  #uncovered(first: number, last: number): Range[] {
    if (last < first) return [];
    return this.#covered.length === 0 ? [[first, last]] : subtract([[first, last]], within(this.#covered, first, last));
  }

  /** Nothing more to read for now: closes what is due, asked for or wanted. True when all is planned and we are to stop. */
  async #closeAtEnd(stopping: boolean, signals: Signals): Promise<boolean> {
    const closed =
      stopping || this.#flushDue() || this.#holdsRoom() ? this.#drafts.closeAll() : this.#drafts.closeDue(this.#options.doors.clock.monotonic());
    await this.#seal(closed, signals);
    return stopping;
  }

  /**
   * The spool wants room, and it is our open drafts that hold it: at least half of what is there. Were it another sink's
   * (dead, or one that drops its oldest), closing early would give no room and a flood of small objects.
   */
  #holdsRoom(): boolean {
    const { reader } = this.#options;
    return reader.pressed() && reader.bytesFrom(this.low()) * 2 >= reader.bytesFrom(reader.firstSequence());
  }

  /** Once the cursor has come to where it was to be flushed to. */
  #flushDue(): boolean {
    const due = this.#flushTo >= 0 && this.#cursor >= this.#flushTo;
    if (due) this.#flushTo = -1;
    return due;
  }

  async #wait(caughtUp: boolean, passedMs: number | undefined, signals: Signals): Promise<void> {
    const { reader, doors } = this.#options;
    const dueMs = this.#drafts.nextDueMs();
    const ms = Math.min(passedMs ?? Infinity, dueMs === undefined ? Infinity : Math.min(dueMs - doors.clock.monotonic(), pressedMs));
    const over = new AbortController();
    const waits = [this.#changed.wait(over.signal, signals.kill)];
    if (caughtUp) waits.push(reader.grown(this.#cursor, over.signal, signals.kill));
    // Not caught up and yet nothing to read: the spool is about to know what became of it.
    else waits.push(doors.clock.sleep(50, over.signal, signals.kill));
    if (ms !== Infinity) waits.push(doors.clock.sleep(Math.max(0, ms), over.signal, signals.kill));
    // A stop ends the wait for more; it cannot end the one for what is still to come.
    await orAborted(Promise.race(waits), ...(caughtUp ? [signals.stop] : []), signals.kill);
    over.abort();
  }

  /** Makes plans of closed drafts, in their order. Never rejects for what the spool does: it tries again. */
  async #seal(drafts: readonly Draft[], signals: Signals): Promise<void> {
    if (drafts.length === 0) return;
    this.#closed.push(...drafts);
    const { clock } = this.#options.doors;
    for (const draft of drafts) {
      const beganMs = clock.monotonic();
      const lane = await this.#options.lane(draft.partition, signals);
      this.#drafts.postpone(clock.monotonic() - beganMs);
      if (lane === undefined) return;
      const measured = await this.#measure(draft, lane, signals);
      if (signals.kill.aborted) return;
      if (measured !== undefined) await this.#options.planned(measured);
      this.#closed.splice(this.#closed.indexOf(draft), 1);
    }
  }

  /** The draft's body out of a pass over the frames that it shares with the drafts behind it; undefined when it is to be made alone. */
  async #splitOf(draft: Draft): Promise<SplitBody | undefined> {
    const { delivery, reader, doors } = this.#options;
    if (draft.whole) return undefined;
    if (!this.#split.has(draft)) {
      const pass = passOf(
        this.#closed.slice(this.#closed.indexOf(draft)).filter((each) => !each.whole && !this.#split.has(each)),
        splitBytesMax,
      );
      if (pass.length < 2) return undefined;
      const options = { reader, compress: doors.compress, keepBytesMax: keptBytesMax };
      for (let made = false; !made;) {
        try {
          const ranges = pass.map((each) => each.ranges);
          for (const [i, body] of (await splitBodies(ranges, delivery.codec, options)).entries()) this.#split.set(pass[i] as Draft, body);
          made = true;
        } catch (cause) {
          if (cause instanceof Bug) throw cause;
          // What cannot be read now is dealt with by each draft alone; what is gone, here, for all that share the frame.
          if (!(cause instanceof RecordsGone)) return undefined;
          for (const each of pass) this.#without(each, cause);
        }
      }
    }
    const body = this.#split.get(draft);
    this.#split.delete(draft);
    return body;
  }

  /** Takes what is gone out of a closed draft. */
  #without(draft: Draft, gone: RecordsGone): void {
    const left = subtract(draft.ranges, gone.ranges);
    const lost = countOf(draft.ranges) - countOf(left);
    if (lost === 0) return;
    this.#options.lost(lost, gone.dropped);
    draft.ranges.splice(0, draft.ranges.length, ...left);
  }

  /** Undefined when nothing is left of the draft, or at `kill`. */
  async #measure(draft: Draft, lane: string, signals: Signals): Promise<Measured | undefined> {
    const { delivery, reader, doors, lost, onFault } = this.#options;
    const split = await this.#splitOf(draft);
    if (split !== undefined && draft.ranges.length > 0) {
      const { ranges } = draft;
      return { ranges, codec: delivery.codec, encoder: "recode/1", lane, records: countOf(ranges), minMs: draft.minMs, ...split };
    }
    let encoder = this.#drafts.encoderOf(draft);
    let ranges: readonly Range[] = draft.ranges;
    for (let attempt = 0; ranges.length > 0 && !signals.kill.aborted;) {
      try {
        const plan: BodyPlan = { ranges, codec: delivery.codec, encoder };
        const sums = await measureBody(encodeBody(plan, reader, doors.compress), keptWholeBytesMax);
        if (attempt > 0) onFault(undefined);
        return { ...plan, lane, records: countOf(ranges), ...sums, minMs: draft.minMs };
      } catch (cause) {
        if (cause instanceof RecordsGone) {
          lost(countOf(cause.ranges), cause.dropped);
          ranges = subtract(ranges, cause.ranges);
          continue;
        }
        if (cause instanceof Bug) throw cause;
        if (cause instanceof BodyChanged) encoder = "recode/1";
        onFault(readFault(cause));
        await doors.clock.sleep(
          backoffMs(attempt++, delivery.retryMsMin, delivery.retryMsMax, () => doors.random.next()),
          signals.kill,
        );
      }
    }
    return undefined;
  }
}

function readFault(cause: unknown): Fault {
  if (cause instanceof Fault) return cause;
  return new Fault({
    code: "sink_read_failed",
    retry: "later",
    message: "read the spool",
    hint: "look at the spool's disk; it is tried again",
    cause,
  });
}
