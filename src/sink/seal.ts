/**
 * What becomes of closed drafts: their bodies are measured and they are planned, durably, before anything of them is sent.
 *
 * Drafts that share mixed frames are made together (split.ts), partition by partition: streams lie in these frames in the order of
 * their keys, so that neighbours are in the same frames and a pass decodes few that it takes little of. Their plans, small and
 * many, share a sync.
 *
 * Promises:
 * - Every record of a draft comes into exactly one plan, or is lost and counted.
 * - `low` never passes a record whose plan is not durable.
 */
import { Bug } from "../core/assert.ts";
import { Fault } from "../core/fault.ts";
import { backoffMs } from "../core/retry.ts";
import type { Signals } from "../core/signals.ts";
import type { Delivery, Range, SpoolReader } from "../core/contract.ts";
import type { Doors } from "../core/doors.ts";
import type { Draft, Drafts } from "./draft.ts";
import { BodyChanged, encodeBody, measureBody, RecordsGone, type BodyPlan } from "./encode.ts";
import { countOf, subtract } from "./ranges.ts";
import { passOf, recoder, splitBodies, type PassLimits, type SplitBody } from "./split.ts";

/**
 * What may wait in memory for its frame to fill: of 128 drafts in a pass. And what is to come out of a pass, as the frames it comes from
 * compress: a body that is not kept is made again when it is sent, from all frames of its time.
 */
const passLimits: PassLimits = { gatherBytesMax: 32 * 1024 * 1024, bodyBytesMax: 20 * 1024 * 1024 };
/** What of the bodies is kept until they are sent: all of them, also where they compress by a fifth worse than the frames. */
const keptBytesMax = 25 * 1024 * 1024;
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
  /** How many batches whose bodies are kept may be planned at once, as soon as that is worth a sync; at `kill` at once. Only with partitions. */
  readonly room: (signals: Signals) => Promise<number>;
  /** Makes the plans durable together and hands them to their lanes. */
  readonly planned: (measured: readonly Measured[]) => Promise<void>;
  /** Records that no one will have: damage took them, or they were given up for room. */
  readonly lost: (records: number, dropped: boolean) => void;
  /** Reading the spool failed and is tried again; undefined: it works again. */
  readonly onFault: (fault: Fault | undefined) => void;
  /** Called between pieces: what was passed without a delivery may be written down. Gives the ms after which it wants to be called again. */
  readonly passed: (force: boolean) => Promise<number | undefined>;
}

export class Sealer {
  readonly #options: PlannerOptions;
  readonly #drafts: Drafts;
  /** Closed, not durable yet. */
  readonly #closed: Draft[] = [];
  /** For each of them: the oldest sequence of it and all behind it. */
  #lows: number[] = [];
  /** Bodies of closed drafts that were made in one pass with others, until each is planned. */
  readonly #split = new Map<Draft, SplitBody>();

  constructor(options: PlannerOptions, drafts: Drafts) {
    this.#options = options;
    this.#drafts = drafts;
  }

  /** The oldest sequence that is closed and not durably planned; Infinity when there is none. */
  low(): number {
    return this.#lows[0] ?? Infinity;
  }

  pending(): Iterable<Draft> {
    return this.#closed;
  }

  /** Makes plans of closed drafts, the older of a partition first. Never rejects for what the spool does: it tries again. At `kill` it returns. */
  async seal(drafts: readonly Draft[], signals: Signals): Promise<void> {
    if (drafts.length === 0) return;
    this.#push(drafts);
    for (let draft = this.#closed[0]; draft !== undefined; draft = this.#closed[0]) {
      const split = await this.#makeSplit(draft);
      if (!(await (split ? this.#planSplit(signals) : this.#planOne(draft, signals)))) return;
    }
  }

  #push(drafts: readonly Draft[]): void {
    const together = drafts.some((draft) => !draft.whole);
    this.#closed.push(...(together ? drafts.toSorted((a, b) => (a.partition < b.partition ? -1 : Number(a.partition > b.partition))) : drafts));
    this.#lows = this.#closed.map((draft) => draft.ranges.first());
    for (let i = this.#lows.length - 2; i >= 0; i--) this.#lows[i] = Math.min(this.#lows[i] ?? Infinity, this.#lows[i + 1] ?? Infinity);
  }

  /** The first `count` are durable, or nothing is left of them. */
  #done(count: number): void {
    for (const draft of this.#closed.splice(0, count)) this.#split.delete(draft);
    this.#lows.splice(0, count);
  }

  /** A batch must not close half empty for a wait that was not its own. */
  async #waited<T>(wait: Promise<T>): Promise<T> {
    const { clock } = this.#options.doors;
    const beganMs = clock.monotonic();
    const result = await wait;
    this.#drafts.postpone(clock.monotonic() - beganMs);
    return result;
  }

  /** Plans the first drafts whose bodies were made in a pass, as many as there is room for. False at `kill`. */
  async #planSplit(signals: Signals): Promise<boolean> {
    const room = await this.#waited(this.#options.room(signals));
    if (signals.kill.aborted) return false;
    const measured: Measured[] = [];
    let count = 0;
    for (const draft of this.#closed.slice(0, room)) {
      const body = this.#split.get(draft);
      if (body === undefined) break;
      count++;
      if (draft.ranges.length > 0) measured.push(this.#splitMeasured(draft, body));
    }
    await this.#options.planned(measured);
    this.#done(count);
    return true;
  }

  /** False at `kill`. */
  async #planOne(draft: Draft, signals: Signals): Promise<boolean> {
    const lane = await this.#waited(this.#options.lane(draft.partition, signals));
    if (lane === undefined) return false;
    const measured = await this.#measure(draft, lane, signals);
    if (signals.kill.aborted) return false;
    if (measured !== undefined) await this.#options.planned([measured]);
    this.#done(1);
    return true;
  }

  #splitMeasured({ minMs, partition: lane, ...draft }: Draft, body: SplitBody): Measured {
    const ranges = draft.ranges.toRanges();
    return { ranges, codec: this.#options.delivery.codec, encoder: recoder, lane, records: countOf(ranges), minMs, ...body };
  }

  /** Whether the draft's body came out of a pass over the frames that it shares with the drafts behind it; else it is to be made alone. */
  async #makeSplit(draft: Draft): Promise<boolean> {
    const { delivery, reader, doors } = this.#options;
    // A sink without partitions may have a receiver that takes one frame of a body only: these have several.
    if (draft.whole || delivery.partition === undefined) return false;
    if (this.#split.has(draft)) return true;
    const pass = passOf(
      this.#closed.filter((each) => !each.whole && !this.#split.has(each)),
      passLimits,
    );
    if (pass.length < 2) return false;
    const options = { reader, compress: doors.compress, keepBytesMax: keptBytesMax };
    for (;;) {
      try {
        const batches = pass.map(({ ranges, rawBytes }) => ({ ranges: ranges.toRanges(), rawBytes }));
        const bodies = await splitBodies(batches, delivery.codec, options);
        for (const [i, body] of bodies.entries()) this.#split.set(pass[i] as Draft, body);
        return true;
      } catch (cause) {
        if (cause instanceof Bug) throw cause;
        // What cannot be read now is dealt with by each draft alone; what is gone, here, for all that share the frame.
        if (!(cause instanceof RecordsGone)) return false;
        for (const each of pass) this.#without(each, cause);
      }
    }
  }

  /** Takes what is gone out of a closed draft. */
  #without(draft: Draft, gone: RecordsGone): void {
    const ranges = draft.ranges.toRanges();
    const left = subtract(ranges, gone.ranges);
    const lost = countOf(ranges) - countOf(left);
    if (lost === 0) return;
    this.#options.lost(lost, gone.dropped);
    draft.ranges.set(left);
  }

  /** Undefined when nothing is left of the draft, or at `kill`. */
  async #measure(draft: Draft, lane: string, signals: Signals): Promise<Measured | undefined> {
    const { delivery, reader, doors, lost, onFault } = this.#options;
    let encoder = this.#drafts.encoderOf(draft);
    let ranges: readonly Range[] = draft.ranges.toRanges();
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

/** Reading the spool failed: as a Fault, whatever it was. */
export function readFault(cause: unknown): Fault {
  if (cause instanceof Fault) return cause;
  return new Fault({
    code: "sink_read_failed",
    retry: "later",
    message: "read the spool",
    hint: "look at the spool's disk; it is tried again",
    cause,
  });
}
