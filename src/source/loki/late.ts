/**
 * What comes later than `lateness`: minutes that were left behind, how many entries we hold of each, and what the server has more
 * of them than it had. Those are lost to us, and said, with the streams as far as they can be told.
 *
 * The counts are committed (`past`), so a restart misses none. How they divide into streams is in memory, within a bound; a new start
 * takes that from the server, for minutes of which nothing is missing.
 */
import type { Json, PositionDelta } from "../../core/contract.ts";
import { Fault } from "../../core/fault.ts";
import type { Stretch } from "./audit.ts";
import type { Entry } from "./entry.ts";
import { minuteText, type Losses } from "./loss.ts";
import type { Query } from "./query.ts";
import { bucketSeconds, bucketsPerMinute, minuteOf } from "./time.ts";

/** Minutes left behind whose counts are still compared. */
const minutesMax = 60;
/** Counts by minute and stream: about 100 bytes each, so 3 MB. */
const pairsMax = 30_000;
/** What a tail still brings is there by then: loss is declared by a check that comes so much after the one that saw it first. */
const patienceMs = 30_000;

export interface Asking {
  readonly query: Query;
  readonly kill: AbortSignal;
}

export class Late {
  /** Entries held by minute, of minutes left behind. */
  readonly #past = new Map<number, number>();
  /** By minute, then by labels as they are sent. */
  readonly #tally = new Map<number, Map<string, number>>();
  #pairs = 0;
  /** Minutes before it are left behind; undefined: none is. */
  #bound: number | undefined;
  #filled = false;
  /** Since when a minute has more at the server, on the monotonic clock. */
  readonly #more = new Map<number, number>();

  /** `committed`: what `json` gave. */
  constructor(committed: Json | undefined) {
    if (!Array.isArray(committed)) return;
    const [bound, ...counts] = committed.map(Number) as [number, ...number[]];
    this.#bound = bound;
    counts.forEach((count, index) => this.#past.set(bound - (counts.length - index) * bucketsPerMinute, count));
  }

  /** Entries that are emitted. Returns what to commit with them. */
  note(entries: readonly Entry[]): PositionDelta {
    let strays = 0;
    for (const { bucket, stream } of entries) {
      const minute = minuteOf(bucket);
      const before = this.#past.get(minute);
      // A tail brings what came too late for any sweep, too: then it is not lost.
      if (before !== undefined) {
        this.#past.set(minute, before + 1);
        strays++;
      }
      this.#count(minute, stream.canonical);
    }
    return strays === 0 ? {} : { past: this.json() };
  }

  /**
   * Minutes before `bound` are left behind; `known` says how many entries of a minute are accounted for. `first`: the first minute
   * that was wanted as a whole.
   */
  leave(bound: number, first: number, known: (minute: number) => number): void {
    const from = Math.max(this.#bound ?? first, first, bound - minutesMax * bucketsPerMinute);
    for (let minute = from; minute < bound; minute += bucketsPerMinute) this.#past.set(minute, known(minute));
    this.#bound = Math.max(bound, this.#bound ?? bound);
    const oldest = this.#bound - minutesMax * bucketsPerMinute;
    for (const minute of this.#past.keys()) if (minute < oldest) this.#drop(minute);
    for (const minute of this.#tally.keys()) if (minute < oldest) this.#forget(minute);
  }

  /** Compares, and declares what is more now. `recent`: what is known of the minutes after; `nowMs` on the monotonic clock. */
  async check({ query, kill }: Asking, losses: Losses, recent: readonly Stretch[], nowMs: number): Promise<void> {
    const minutes = [...this.#past.keys()];
    if (minutes.length === 0) return this.#fill(query, recent, kill);
    const [from, to] = [Math.min(...minutes), Math.max(...minutes) + bucketsPerMinute];
    const counts = await query.counts(from * bucketSeconds, to * bucketSeconds, 60, kill);
    if (counts === undefined) return;
    const rows = minutes.map((bucket) => ({ bucket, server: counts.get(bucket * bucketSeconds) ?? 0, held: this.#past.get(bucket) ?? 0 }));
    await this.#fill(query, [...rows, ...recent], kill);
    for (const [minute, held] of this.#past) {
      const more = (counts.get(minute * bucketSeconds) ?? 0) - held;
      const sinceMs = this.#more.get(minute) ?? nowMs;
      if (more <= 0) this.#more.delete(minute);
      else this.#more.set(minute, sinceMs);
      if (more <= 0 || nowMs - sinceMs < patienceMs) continue;
      this.#more.delete(minute);
      const streams = await this.whose(query, minute, more, kill);
      this.#past.set(minute, held + more);
      for (const [stream, entries] of streams) {
        const message = `${entries} entries of the minute of ${minuteText(minute)} came later than lateness, in ${stream}`;
        const hint = "raise lateness if writers lag so far behind";
        losses.add(new Fault({ code: "loki_entries_too_late", retry: "never", message, hint }), minute, stream, entries);
      }
    }
  }

  /**
   * How what an earlier run emitted divides into streams: as the server has it, in minutes that have as many entries here as there.
   * Asked once.
   */
  async #fill(query: Query, minutes: readonly Stretch[], kill: AbortSignal): Promise<void> {
    const missing = minutes.filter(({ bucket, server, held }) => server === held && sumOf(this.#tally.get(bucket)) !== held);
    const [first] = missing;
    if (this.#filled || first === undefined) return;
    const to = (missing.at(-1)?.bucket ?? first.bucket) + bucketsPerMinute;
    const streams = await query.countsByStream(first.bucket * bucketSeconds, to * bucketSeconds, kill);
    this.#filled = true;
    for (const { bucket, held } of missing) {
      const counts = new Map<string, number>();
      for (const [stream, minute] of streams ?? [])
        if (minute.has(bucket * bucketSeconds)) counts.set(stream, minute.get(bucket * bucketSeconds) ?? 0);
      // What came in between makes it useless: the sum must be what is held.
      if (sumOf(counts) !== held || this.#pairs + counts.size > pairsMax) continue;
      this.#forget(bucket);
      this.#tally.set(bucket, counts);
      this.#pairs += counts.size;
    }
  }

  json(): Json {
    if (this.#bound === undefined) return null;
    const counts: number[] = [];
    for (let minute = this.#bound - bucketsPerMinute; this.#past.has(minute); minute -= bucketsPerMinute) counts.unshift(this.#past.get(minute) ?? 0);
    return [this.#bound, ...counts];
  }

  #count(minute: number, stream: string): void {
    let tally = this.#tally.get(minute);
    if (tally === undefined) {
      tally = new Map();
      this.#tally.set(minute, tally);
    }
    const count = tally.get(stream);
    if (count === undefined) this.#pairs++;
    tally.set(stream, (count ?? 0) + 1);
    if (this.#pairs > pairsMax) this.#forget(Math.min(...this.#tally.keys()));
  }

  #drop(minute: number): void {
    this.#past.delete(minute);
    this.#more.delete(minute);
  }

  #forget(minute: number): void {
    this.#pairs -= this.#tally.get(minute)?.size ?? 0;
    this.#tally.delete(minute);
  }

  /** The streams that have `more` in `minute` than was emitted, as far as their differences say so. */
  async whose(query: Query, minute: number, more: number, kill: AbortSignal): Promise<[string, number][]> {
    const seconds = minute * bucketSeconds;
    const streams = await query.countsByStream(seconds, seconds + 60, kill);
    if (streams === undefined) return [["streams that Loki does not tell apart", more]];
    const [only] = streams.keys();
    if (streams.size === 1 && only !== undefined) return [[only, more]];
    const found: [string, number][] = [];
    for (const [stream, counts] of streams) {
      const missing = (counts.get(seconds) ?? 0) - (this.#tally.get(minute)?.get(stream) ?? 0);
      if (missing > 0) found.push([stream, missing]);
    }
    return sumOf(new Map(found)) === more ? found : [[`one of ${streams.size} streams: what was held of each is not known any more`, more]];
  }
}

function sumOf(counts: ReadonlyMap<string, number> | undefined): number {
  let sum = 0;
  for (const count of counts?.values() ?? []) sum += count;
  return sum;
}
