/**
 * When segments go: once every sink has passed them and, with `retain`, have been kept that long; delivered ones yield
 * first when space is short. Before the first goes, a checkpoint that covers it is written, synced and read back.
 *
 * Also what goes although a sink still needs it: what a sink that is not required holds beyond its `hold_bytes`, and, asked
 * for one at a time by whoever has no room, the oldest segment. It is counted (drops.ts), and the checkpoint says so first.
 */
import type { Clock } from "../core/clock.ts";
import type { Segment, Segments } from "./segments.ts";

export interface RetainOptions {
  readonly segments: Segments;
  readonly clock: Clock;
  readonly retainMs: number;
  /** Every sink that holds data. One that has not spoken yet holds all. */
  readonly sinks: readonly string[];
  /** Sinks that are not required: what each may hold on disk, in bytes; Infinity for as long as there is room. */
  readonly holds: ReadonlyMap<string, number>;
  /** Makes sure that a checkpoint covers `group` and knows what was given up. */
  readonly cover: (group: number) => Promise<void>;
  /** The segment is about to go although a sink needs it from `sequence` on; what it returns is called once it is gone. */
  readonly giveUp: (segment: Segment, sequence: number) => Promise<() => void>;
  /** Removing failed and is tried again with the next claim; undefined: it works. */
  readonly onFault: (cause: unknown) => void;
}

/** Whose need may be passed over: that of sinks that are not required, or that of any. */
export type Yielding = "optional" | "any";

export class Retain {
  readonly #options: RetainOptions;
  /** Sink → everything before this has arrived there. */
  readonly #claims = new Map<string, number>();
  /** One removal at a time. */
  #working: Promise<unknown> = Promise.resolve();
  #waiting: { short: boolean; done: Promise<void> } | undefined;

  constructor(options: RetainOptions) {
    this.#options = options;
    for (const sink of options.sinks) this.#claims.set(sink, 0);
  }

  claim(sink: string, sequence: number): void {
    this.#claims.set(sink, sequence);
  }

  /** The oldest sequence somebody still needs. */
  needed(): number {
    return Math.min(...this.#claims.values());
  }

  /** Removes what may go; with `short`, if nothing else, the oldest that `retain` would keep. Calls that wait for the same run share it. Never rejects. */
  run(short: boolean): Promise<void> {
    if (this.#waiting !== undefined) {
      this.#waiting.short ||= short;
      return this.#waiting.done;
    }
    const waiting = { short, done: Promise.resolve() };
    waiting.done = this.#alone(async () => {
      this.#waiting = undefined;
      await this.#remove(waiting.short);
    });
    this.#waiting = waiting;
    return waiting.done;
  }

  /** Gives up the oldest segment, unless it is being written or a sink needs it that `who` leaves out. Resolves true when one is gone; never rejects. */
  async drop(who: Yielding): Promise<boolean> {
    let gone = false;
    await this.#alone(async () => {
      const [oldest] = this.#options.segments.all();
      if (oldest?.endedMs === undefined) return;
      if (who === "optional" && oldest.nextSequence > this.#lowest(() => Infinity)) return;
      await this.#take([oldest]);
      gone = true;
    });
    return gone;
  }

  /** Milliseconds until the oldest delivered segment has been kept long enough; undefined when none waits for that. */
  dueMs(): number | undefined {
    const [oldest] = this.#options.segments.all();
    if (oldest?.endedMs === undefined || oldest.nextSequence > this.needed()) return undefined;
    return Math.max(0, oldest.endedMs + this.#options.retainMs - this.#options.clock.monotonic());
  }

  #alone(work: () => Promise<void>): Promise<void> {
    const done = this.#working.then(work).then(
      () => this.#options.onFault(undefined),
      (cause: unknown) => this.#options.onFault(cause),
    );
    this.#working = done;
    return done;
  }

  async #remove(short: boolean): Promise<void> {
    const { segments, clock, retainMs } = this.#options;
    const until = this.#lowest((sequence, holdBytes) => (holdBytes === Infinity ? sequence : Math.max(sequence, this.#reach(holdBytes))));
    const needed = this.needed();
    const gone: Segment[] = [];
    for (const segment of segments.all()) {
      if (segment.endedMs === undefined || segment.nextSequence > until) break;
      const kept = segment.nextSequence <= needed && clock.monotonic() - segment.endedMs < retainMs;
      // Of what is only kept, no more goes than is asked for: the caller comes again.
      if (kept && !(short && gone.length === 0)) break;
      gone.push(segment);
      if (kept) break;
    }
    await this.#take(gone);
  }

  /** The oldest sequence that the required sinks need, and the others as `optional` has it. */
  #lowest(optional: (sequence: number, holdBytes: number) => number): number {
    let lowest = Infinity;
    for (const [sink, sequence] of this.#claims) {
      const holdBytes = this.#options.holds.get(sink);
      lowest = Math.min(lowest, holdBytes === undefined ? sequence : optional(sequence, holdBytes));
    }
    return lowest;
  }

  /** The first sequence of the newest segments that make up at most `bytes`. */
  #reach(bytes: number): number {
    const all = this.#options.segments.all();
    let sum = 0;
    for (let at = all.length - 1; at >= 0; at--) {
      const segment = all[at];
      sum += segment?.bytes ?? 0;
      if (segment !== undefined && sum > bytes) return segment.nextSequence;
    }
    return 0;
  }

  async #take(gone: readonly Segment[]): Promise<void> {
    const { segments, cover, giveUp } = this.#options;
    const last = gone.at(-1);
    if (last === undefined) return;
    const needed = this.needed();
    const told: (() => void)[] = [];
    for (const segment of gone) if (segment.nextSequence > needed) told.push(await giveUp(segment, needed));
    await cover(last.lastGroup);
    for (const segment of gone) await segments.remove(segment);
    for (const tell of told) tell();
  }
}
