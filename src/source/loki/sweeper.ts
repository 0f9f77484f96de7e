/**
 * Sweeps: what makes the source complete, whatever the tail brings or loses.
 *
 * - `w`, the watermark: everything before it that the server had by then is durable. It moves after a complete sweep only.
 * - Gap: after every connect, broken tail, drop notice and start, from two minutes before the watermark to now: by counts as far as
 *   that is settled, all of what is newer. A long one is read whole, and the watermark moves meanwhile.
 * - Steady: every `sweep_interval` the server's counts are compared with ours from the watermark to `settle` ago, and read where
 *   they differ; all is read where there is no tail, or the query cannot be counted.
 * - Late: every five minutes, and after every gap of the tail, the same by minutes, from `lateness` before the last late sweep on.
 *
 * What cannot be had is declared (loss.ts): entries later than `lateness` that no tail brought, and equal times beyond any page.
 */
import type { Board } from "../../core/board.ts";
import type { Json, SourceContext } from "../../core/contract.ts";
import { Fault } from "../../core/fault.ts";
import { backoffMs } from "../../core/retry.ts";
import type { Signals } from "../../core/signals.ts";
import { Audit, type Stretch } from "./audit.ts";
import type { Client } from "./client.ts";
import type { LokiConfig } from "./config.ts";
import type { Flow } from "./flow.ts";
import { Late } from "./late.ts";
import { Losses } from "./loss.ts";
import type { Decoder } from "./entry.ts";
import { Query } from "./query.ts";
import { bucketAt, bucketsPerMinute, bucketStart, minuteOf, nsOfMs } from "./time.ts";
import { Verdicts } from "./verdict.ts";

/** Loki takes entries up to ten minutes ahead (creation_grace_period): the last look of a run with `once` goes so far. */
const aheadMs = 10 * 60_000;
const overlapMs = 2 * 60_000;
const lateSweepMs = 5 * 60_000;
const retryMsMin = 1000;
const retryMsMax = 60_000;
/** How often the watermark moves during a long sweep. */
const progressMs = 5000;
/** More buckets than this since the last sweep are not counted first: hours that the source was not there for. */
const countedMax = 720;

export class Sweeper {
  /** Everything before it is durable, as far as the server had it when it was asked. */
  watermark = 0n;
  swept = false;
  readonly losses: Losses;
  /** Resolves when it is known where to begin: before that nothing may be emitted. */
  readonly begun = Promise.withResolvers<void>();
  /** All minutes within `lateness`, as of the last late sweep. */
  minutes: readonly Stretch[] = [];
  /** Called when a sweep brought what a live tail should have: is the tail stalled? */
  found: (entries: number) => void = () => {};
  /** A tail is up and speaks our encoding. */
  tailing: () => boolean = () => false;
  readonly #config: LokiConfig;
  readonly #context: SourceContext;
  readonly #flow: Flow;
  readonly #client: Client;
  readonly #query: Query;
  readonly #kill: AbortSignal;
  readonly #late: Late;
  /** A late sweep has seen everything pushed before it. */
  #lateTo = 0n;
  readonly #audit: Audit;
  readonly #verdicts: Verdicts;
  #gap = true;
  #gapMs = -Infinity;
  #lateWanted = true;
  #lateMs = -Infinity;
  /** When it turned out last that the query cannot be counted. */
  #uncountedMs = -Infinity;
  #asleep: AbortController | undefined;
  #raised: Fault | undefined;
  #lostCommitted = 0;
  /** How far a sweep that reads all came before a fault cut it short: it goes on there. */
  #resumeAt: bigint | undefined;
  /** Everything before it is there, as far as the last sweep has come. */
  #reached = 0n;
  #committedMs = 0;

  constructor(parts: { config: LokiConfig; context: SourceContext; client: Client; decoder: Decoder; flow: Flow; kill: AbortSignal }) {
    this.#config = parts.config;
    this.#context = parts.context;
    this.#flow = parts.flow;
    this.#client = parts.client;
    this.#kill = parts.kill;
    this.losses = new Losses(parts.context.board, this.#component, parts.flow.durable.get("lost"));
    this.#verdicts = new Verdicts(parts.context.board, this.#component, this.losses);
    this.#query = new Query(parts.client, parts.decoder, parts.config.query, this.#verdicts);
    this.#audit = new Audit(this.#query, parts.flow.seen);
    this.#late = new Late(parts.flow.durable.get("past"));
    this.#lostCommitted = this.losses.entries;
    parts.flow.noted = (entries) => this.#late.note(entries);
  }

  /** There was no tail for a while: a sweep over all since the watermark is due now, and one for what came late meanwhile. */
  gap(): void {
    this.#gap = true;
    this.#lateWanted = true;
    this.#asleep?.abort();
  }

  /** The tail says that it left something out. A slow reader is told so in every frame: one sweep an interval is for all of them. */
  dropped(): void {
    this.#gap = true;
    if (this.#monotonicMs - this.#gapMs >= this.#config.sweep_interval) this.#asleep?.abort();
  }

  /** The server's counts can be compared with ours, as far as is known. */
  get counted(): boolean {
    return this.#monotonicMs - this.#uncountedMs >= lateSweepMs;
  }

  /** Sweeps until `stop`; with `once` until one was complete, and then rejects with the Fault that keeps it from that. */
  async run({ stop }: Signals): Promise<void> {
    const { clock, random } = this.#context.doors;
    let attempt = 0;
    let failedAt = 0n;
    while (!stop.aborted && !this.#kill.aborted && this.#flow.broken === undefined) {
      this.#asleep = new AbortController();
      const { signal } = this.#asleep;
      try {
        await this.#begin();
        this.begun.resolve();
        await this.#sweep();
        attempt = 0;
        this.#clear();
        if (this.#context.once) return;
      } catch (cause) {
        if (stop.aborted || this.#kill.aborted || this.#flow.broken !== undefined) return;
        if (!(cause instanceof Fault) || this.#context.once) throw cause;
        this.#raise(cause);
        // One that gets on a little each time is not failing: a long sweep would never be through.
        if (this.#reached > failedAt) attempt = 0;
        failedAt = this.#reached;
        const waitMs = cause.waitMs ?? backoffMs(attempt++, retryMsMin, retryMsMax, () => random.next());
        await clock.sleep(waitMs, stop, this.#kill);
        continue;
      }
      await clock.sleep(this.#config.sweep_interval, stop, this.#kill, signal);
    }
  }

  get #board(): Board {
    return this.#context.board;
  }

  get #component(): string {
    return `sources.${this.#context.name}`;
  }

  get #nowNs(): bigint {
    return nsOfMs(this.#client.now());
  }

  get #monotonicMs(): number {
    return this.#context.doors.clock.monotonic();
  }

  #raise(fault: Fault): void {
    if (this.#raised !== undefined && this.#raised.code !== fault.code) this.#clear();
    this.#raised = fault;
    this.#board.raise(this.#component, fault.retry === "later" ? "degraded" : "failing", fault, "sweep");
  }

  #clear(): void {
    if (this.#raised !== undefined) this.#board.clear(this.#component, this.#raised.code, "sweep");
    this.#raised = undefined;
  }

  /** Where to begin: as committed, or as configured at the very first start. */
  async #begin(): Promise<void> {
    if (this.watermark > 0n) return;
    const { durable } = this.#flow;
    const committed = durable.get("w");
    if (typeof committed === "string") {
      this.#flow.floor = nsIn(durable.get("floor"), 0n);
      this.watermark = BigInt(committed);
      this.#lateTo = nsIn(durable.get("late"), this.watermark);
      return;
    }
    const floor = await this.#first();
    if (this.#kill.aborted) return;
    this.#flow.floor = floor;
    this.watermark = floor;
    // All that was pushed before now is read from here on; what is pushed later is not older than lateness.
    this.#lateTo = max(floor, this.#nowNs - nsOfMs(this.#config.settle));
    // Not waited for: what is emitted from now on becomes durable after it.
    void this.#flow.commit(() => ({ w: String(floor), floor: String(floor) }));
  }

  async #first(): Promise<bigint> {
    const { start } = this.#config;
    const began = this.#context.doors.clock.now();
    if (typeof start === "object" && "ns" in start) return start.ns;
    // What is now, the server knows better. It need not be there yet: then our clock must do.
    await this.#query.first(this.#nowNs - nsOfMs(1000), this.#nowNs, this.#kill).catch((cause: unknown) => {
      if (!(cause instanceof Fault)) throw cause;
    });
    const now = nsOfMs(began + this.#client.aheadMs);
    if (start === "now") return now;
    return start === "oldest" ? this.#query.oldest(now, this.#kill) : now - nsOfMs(start.agoMs);
  }

  async #sweep(): Promise<void> {
    if (this.watermark === 0n) return;
    const gap = this.#gap;
    this.#gap = false;
    if (gap) this.#gapMs = this.#monotonicMs;
    try {
      const now = this.#nowNs;
      const settled = now - nsOfMs(this.#config.settle);
      const swept = await this.#sweepSince(gap, settled, this.#context.once ? now + nsOfMs(aheadMs) : gap ? now : settled);
      const complete = max(swept, this.watermark);
      if (this.#lateDue()) await this.#sweepLate(settled, complete);
      await this.#commit(complete);
    } catch (cause) {
      this.#gap ||= gap;
      await this.#commit(max(this.watermark, this.#reached));
      throw cause;
    }
  }

  /** From the watermark to `end`. Returns how far it is complete. */
  async #sweepSince(gap: boolean, settled: bigint, end: bigint): Promise<bigint> {
    const tailing = this.tailing();
    const from = max(this.#flow.floor, gap ? this.watermark - nsOfMs(overlapMs) : this.watermark);
    const equal = gap || tailing ? await this.#compare(from, settled, gap) : undefined;
    if (equal !== undefined && tailing && !gap) return equal;
    if (equal !== undefined) {
      await this.#read(max(equal, from), end);
      return settled;
    }
    this.#resumeAt ??= from;
    await this.#read(this.#resumeAt, end, false, (reached) => this.#progress(reached, settled));
    this.#resumeAt = undefined;
    return settled;
  }

  /** In the middle of a long sweep: what it has come past need not be read again after a kill. */
  async #progress(reached: bigint, settled: bigint): Promise<void> {
    if (this.#resumeAt !== undefined) this.#resumeAt = reached;
    this.#reached = reached < settled ? reached : settled;
    if (this.#monotonicMs - this.#committedMs >= progressMs) await this.#commit(max(this.watermark, this.#reached));
  }

  /** Makes `[from, settled)` equal by counts. Returns how far it came; undefined when that is not the way. */
  async #compare(from: bigint, settled: bigint, gap: boolean): Promise<bigint | undefined> {
    const [first, last] = [bucketAt(from), bucketAt(settled)];
    if (this.#resumeAt !== undefined || !this.counted || last - first > countedMax) return undefined;
    const read = (start: bigint, end: bigint): Promise<void> =>
      this.#read(max(start, this.#flow.floor), end, !gap, (reached) => this.#progress(reached, settled));
    const missing = await this.#audit.compare(first, last, 1, read, this.#kill);
    if (missing === undefined) this.#uncountedMs = this.#monotonicMs;
    return missing === undefined ? undefined : last <= first ? from : bucketStart(last);
  }

  /** Where minutes cannot be counted all of `lateness` is read, so less often: every half of it, gap or not. */
  get #lateAllMs(): number {
    return Math.max(lateSweepMs, this.#config.lateness / 2);
  }

  #lateDue(): boolean {
    const sinceMs = this.#monotonicMs - this.#lateMs;
    return this.counted ? this.#lateWanted || sinceMs >= lateSweepMs : sinceMs >= this.#lateAllMs;
  }

  /** What was pushed since the last late sweep is no more than `lateness` older than that one: so far back this one looks. */
  async #sweepLate(settled: bigint, complete: bigint): Promise<void> {
    this.#lateWanted = false;
    const floor = max(this.#flow.floor, this.#lateTo - nsOfMs(this.#config.lateness));
    const from = minuteOf(bucketAt(floor));
    const to = minuteOf(bucketAt(complete));
    try {
      const read = (start: bigint, end: bigint): Promise<void> => this.#read(max(start, this.#flow.floor), end);
      if (await this.#compareMinutes(from, to, read)) {
        await this.#late.check({ query: this.#query, kill: this.#kill }, this.losses, this.minutes, this.#monotonicMs);
      } else {
        if (this.#monotonicMs - this.#lateMs < this.#lateAllMs) return;
        this.minutes = [];
        await read(floor, complete);
        this.#verdicts.declareUncounted();
      }
      this.#lateTo = settled;
      this.#lateMs = this.#monotonicMs;
    } catch (cause) {
      this.#lateWanted = true;
      throw cause;
    }
  }

  /** False when the server cannot count. */
  async #compareMinutes(from: number, to: number, read: (start: bigint, end: bigint) => Promise<void>): Promise<boolean> {
    if (!this.counted) return false;
    const missing = await this.#audit.compare(from, to, bucketsPerMinute, read, this.#kill);
    if (missing === undefined) this.#uncountedMs = this.#monotonicMs;
    if (missing === undefined) return false;
    this.minutes = this.#audit.stretches;
    const short = missing.filter(({ bucket }) => bucketStart(bucket) >= this.#flow.floor);
    this.#verdicts.judge(short, this.#monotonicMs);
    await this.#verdicts.declare(short, (minute, more) => this.#late.whose(this.#query, minute, more, this.#kill));
    return true;
  }

  /** `expected`: the tail should have brought it. */
  async #read(from: bigint, to: bigint, expected = false, reached: (ns: bigint) => Promise<void> = () => Promise.resolve()): Promise<void> {
    let fresh = 0;
    await this.#query.read(
      from,
      to,
      async (entries, ns) => {
        fresh += await this.#flow.take(entries);
        await this.#flow.room(this.#kill);
        await this.#flow.move();
        await reached(ns);
      },
      this.#kill,
    );
    if (expected && fresh > 0) this.found(fresh);
  }

  /** The watermark, durable after all that it says is there; then what is too old to come late is forgotten. */
  async #commit(watermark: bigint): Promise<void> {
    if (this.#kill.aborted || this.#flow.broken !== undefined) return;
    await this.#flow.move();
    const lost = this.losses.entries;
    if (watermark === this.watermark && this.swept && lost === this.#lostCommitted) return;
    // What may be read once more is not forgotten: a late sweep's minutes, and what a gap overlaps.
    const late = this.#lateTo - nsOfMs(this.#config.lateness);
    const again = watermark - nsOfMs(overlapMs);
    const bound = minuteOf(bucketAt(late < again ? late : again)) - bucketsPerMinute;
    this.#late.leave(bound, minuteOf(bucketAt(this.#flow.floor)) + bucketsPerMinute, (minute) => this.#accounted(minute));
    const moved = { w: String(watermark), floor: String(this.#flow.floor), late: String(this.#lateTo) };
    const declared = lost === this.#lostCommitted ? {} : { lost: this.losses.json() };
    // What is counted as past may change until it is sent: the tail goes on.
    if (!(await this.#flow.commit(() => ({ ...moved, ...declared, past: this.#late.json() })))) return;
    this.watermark = watermark;
    this.swept = true;
    this.#lostCommitted = lost;
    this.#committedMs = this.#monotonicMs;
    const expired = this.#flow.seen.expire(bound);
    if (Object.keys(expired.position).length > 0 && !(await this.#flow.commit(() => expired.position))) return;
    for (const path of expired.files) await this.#context.doors.disk.remove(path);
  }

  /** Entries of a minute that are held, or that are known not to be given. */
  #accounted(minute: number): number {
    let held = 0;
    for (let bucket = minute; bucket < minute + bucketsPerMinute; bucket++) held += this.#flow.seen.count(bucket);
    const given = held + this.losses.sumAt(minute, "loki_time_crowded");
    return Math.max(given, this.minutes.find(({ bucket }) => bucket === minute)?.server ?? 0);
  }
}

function nsIn(json: Json | undefined, otherwise: bigint): bigint {
  return typeof json === "string" && /^\d+$/.test(json) ? BigInt(json) : otherwise;
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
