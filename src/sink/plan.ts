/**
 * The planner: walks the spool from the cursor, gathers frames into drafts, and has closed drafts made into durable plans (seal.ts).
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
import type { Piece, Range } from "../core/contract.ts";
import { backoffMs } from "../core/retry.ts";
import { Changed, orAborted, type Signals } from "../core/signals.ts";
import { Assigner } from "./assign.ts";
import { Drafts, type Draft } from "./draft.ts";
import { RecordsGone } from "./encode.ts";
import { countOf, subtract, within } from "./ranges.ts";
import { readFault, Sealer, type PlannerOptions } from "./seal.ts";

/** References fetched at once: small, so that what is pending stays a moment's work. */
const piecesAtOnce = 64;

/** How often an open draft looks whether the spool wants room. */
const pressedMs = 1000;

export class Planner {
  readonly #options: PlannerOptions;
  readonly #assigner: Assigner;
  readonly #drafts: Drafts;
  readonly #sealer: Sealer;
  readonly #changed = new Changed();
  #cursor: number;
  #covered: readonly Range[];
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
    this.#sealer = new Sealer(options, this.#drafts);
  }

  /** Every record below it is in a durable plan, delivered, lost or not for this sink. */
  low(): number {
    return Math.min(this.#cursor, this.#sealer.low(), this.#drafts.low());
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
    yield* this.#sealer.pending();
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
          await this.#sealer.seal(this.#flushDue() ? this.#drafts.closeAll() : this.#drafts.closeDue(doors.clock.monotonic()), signals);
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
    await this.#sealer.seal(
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
    await this.#sealer.seal(closed, signals);
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
}
