/**
 * Sweeps: what makes the source complete, whatever the tail brings or loses.
 *
 * - `w`, the watermark: everything before it that the server had by then is durable. It moves after a complete sweep only.
 * - Gap: after every connect, drop notice, broken tail and start, `query_range` reads from two minutes before the watermark.
 * - Steady: every `sweep_interval` the server's counts are compared with ours from the watermark to `settle` ago, and read where
 *   they differ; all is read where there is no tail, or the query cannot be counted.
 * - Late: every five minutes, and after every gap, the same by minutes, from `lateness` before the last late sweep on.
 *
 * What cannot be had is counted: entries later than `lateness` that no tail brought, and equal times beyond any page.
 */
import type { Board } from "../../core/board.ts";
import type { Json, SourceContext } from "../../core/contract.ts";
import { Fault } from "../../core/fault.ts";
import { backoffMs } from "../../core/retry.ts";
import type { Signals } from "../../core/signals.ts";
import { Audit, type Stretch } from "./audit.ts";
import type { LokiConfig } from "./config.ts";
import type { Flow } from "./flow.ts";
import type { Query } from "./query.ts";
import { bucketAt, bucketSeconds, bucketStart, nsOfMs } from "./time.ts";

/** Loki takes entries up to ten minutes ahead (creation_grace_period): the last look of a run with `once` goes so far. */
const aheadMs = 10 * 60_000;
const overlapMs = 2 * 60_000;
const lateSweepMs = 5 * 60_000;
const retryMsMin = 1000;
const retryMsMax = 60_000;
const bucketsPerMinute = 60 / bucketSeconds;
/** How often the watermark moves during a long sweep. */
const progressMs = 5000;
/** More buckets than this since the last sweep are not counted first. */
const countedMax = 720;
/** Minutes beyond `lateness` whose counts are still compared, so that what came too late is at least known of. */
const beyondMinutes = 60;

export class Sweeper {
  /** Everything before it is durable, as far as the server had it when it was asked. */
  watermark = 0n;
  swept = false;
  /** Declared loss since the first start, as far as it is known. */
  lost = 0;
  /** Minutes in which the server has more than we do though all was read. */
  missing: Stretch[] = [];
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
  readonly #query: Query;
  readonly #kill: AbortSignal;
  /** A late sweep has seen everything pushed before it. */
  #lateTo = 0n;
  readonly #audit: Audit;
  readonly #past = new Map<number, number>();
  #gap = true;
  #late = true;
  #lateDueMs = 0;
  #countable = true;
  #asleep: AbortController | undefined;
  #raised: Fault | undefined;
  #differs = false;
  /** How far the sweep came that a fault cut short: it goes on there, or a long one would never be through. */
  #resumeAt: bigint | undefined;
  #committedMs = 0;

  constructor(config: LokiConfig, context: SourceContext, flow: Flow, query: Query, kill: AbortSignal) {
    this.#config = config;
    this.#context = context;
    this.#flow = flow;
    this.#query = query;
    this.#kill = kill;
    this.#audit = new Audit(query, flow.seen);
  }

  /** Something may be missing: a sweep over all since the watermark is due now. */
  gap(): void {
    this.#gap = true;
    this.#late = true;
    this.#resumeAt = undefined;
    this.#asleep?.abort();
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
        if (this.#resumeAt !== undefined && this.#resumeAt > failedAt) attempt = 0;
        failedAt = this.#resumeAt ?? 0n;
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
    return nsOfMs(this.#context.doors.clock.now());
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
    void this.#flow.commit({ w: String(floor), floor: String(floor) });
  }

  async #first(): Promise<bigint> {
    const { start } = this.#config;
    const now = this.#nowNs;
    if (start === "now") return now;
    if (start === "oldest") return this.#query.oldest(now, this.#kill);
    return "ns" in start ? start.ns : now - nsOfMs(start.agoMs);
  }

  async #sweep(): Promise<void> {
    const { once, doors } = this.#context;
    if (this.watermark === 0n) return;
    const gap = this.#gap;
    const tailing = this.tailing();
    this.#gap = false;
    try {
      const now = this.#nowNs;
      const settled = now - nsOfMs(this.#config.settle);
      const to = once ? now + nsOfMs(aheadMs) : gap ? now : settled;
      let swept = settled;
      if (gap || !tailing || !this.#countable) {
        const from = this.#resumeAt ?? max(this.#flow.floor, gap ? this.watermark - nsOfMs(overlapMs) : this.watermark);
        this.#resumeAt = from;
        await this.#read(from, to, false, (reached) => this.#progress(reached, settled));
        this.#resumeAt = undefined;
      } else {
        swept = await this.#compare(settled);
      }
      if (this.#late || doors.clock.monotonic() >= this.#lateDueMs) await this.#sweepLate(settled);
      await this.#commit(max(swept, this.watermark));
    } catch (cause) {
      this.#gap ||= gap;
      throw cause;
    }
  }

  /** In the middle of a long sweep: what it has come past need not be read again after a kill. */
  async #progress(reached: bigint, settled: bigint): Promise<void> {
    if (this.#resumeAt === undefined) return; // a new gap: it begins again
    this.#resumeAt = reached;
    const nowMs = this.#context.doors.clock.monotonic();
    if (nowMs - this.#committedMs < progressMs) return;
    await this.#commit(max(this.watermark, reached < settled ? reached : settled));
  }

  /** The steady sweep, by counts. Returns how far it came. */
  async #compare(settled: bigint): Promise<bigint> {
    const from = bucketAt(this.watermark);
    const to = bucketAt(settled);
    if (to - from > countedMax) {
      await this.#read(this.watermark, settled);
      return settled;
    }
    const missing = await this.#audit.compare(from, to, 1, (start, end) => this.#read(max(start, this.#flow.floor), end, true), this.#kill);
    if (missing === undefined) this.#countable = false;
    return missing === undefined || to <= from ? this.watermark : bucketStart(to);
  }

  /** What was pushed since the last late sweep is no more than `lateness` older than that one: so far back this one looks. */
  async #sweepLate(settled: bigint): Promise<void> {
    this.#late = false;
    const floor = max(this.#flow.floor, this.#lateTo - nsOfMs(this.#config.lateness));
    const from = minuteOf(bucketAt(floor));
    const to = minuteOf(bucketAt(this.watermark));
    try {
      const read = (start: bigint, end: bigint): Promise<void> => this.#read(max(start, this.#flow.floor), end);
      const missing = this.#countable ? await this.#audit.compare(from, to, bucketsPerMinute, read, this.#kill) : undefined;
      if (missing === undefined) {
        this.#countable = false;
        await read(floor, this.watermark);
      } else {
        this.minutes = this.#audit.stretches;
        this.#judge(missing.filter(({ bucket }) => bucketStart(bucket) >= this.#flow.floor));
        await this.#beyond(from);
      }
      this.#lateTo = settled;
      this.#lateDueMs = this.#context.doors.clock.monotonic() + lateSweepMs;
    } catch (cause) {
      this.#late = true;
      throw cause;
    }
  }

  /** A minute that stays short over two late sweeps is shown. */
  #judge(missing: Stretch[]): void {
    const before = new Set(this.missing.map(({ bucket }) => bucket));
    const lasting = missing.filter(({ bucket }) => before.has(bucket));
    const wasRaised = this.#differs;
    this.missing = missing;
    this.#differs = lasting.length > 0;
    if (!this.#differs && wasRaised) this.#board.clear(this.#component, "loki_counts_differ");
    const [first] = lasting;
    if (first === undefined) return;
    const entries = lasting.reduce((sum, { server, held }) => sum + server - held, 0);
    const minute = new Date(first.bucket * bucketSeconds * 1000).toISOString();
    const fault = new Fault({
      code: "loki_counts_differ",
      retry: "later",
      message: `the server counts ${entries} entries that it does not give, the first in the minute of ${minute}`,
      hint: "compare the two for that minute in /status; a query that changes lines or labels may make entries alike",
    });
    this.#board.raise(this.#component, "degraded", fault);
  }

  /** Minutes just left behind: what the server has more of now came later than `lateness`, and is lost to us. */
  async #beyond(before: number): Promise<void> {
    const minutes = [...this.#past.keys()].filter((bucket) => bucket < before);
    if (minutes.length === 0) return;
    const counts = await this.#query.counts(Math.min(...minutes) * bucketSeconds, before * bucketSeconds, 60, this.#kill);
    for (const bucket of minutes) {
      const server = counts?.get(bucket * bucketSeconds) ?? 0;
      const more = server - (this.#past.get(bucket) ?? 0);
      if (more <= 0) continue;
      this.#past.set(bucket, server);
      const minute = new Date(bucket * bucketSeconds * 1000).toISOString();
      const message = `${more} entries of the minute of ${minute} came later than lateness (of ${this.#config.query})`;
      this.lose(new Fault({ code: "loki_entries_too_late", retry: "never", message, hint: "raise lateness if writers lag so far behind" }), more);
    }
  }

  /** Counts entries that are lost to us. */
  lose(fault: Fault, entries: number): void {
    this.lost += entries;
    this.#board.count(this.#component, fault, entries);
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
    if (watermark === this.watermark && this.swept) return;
    if (!(await this.#flow.commit({ w: String(watermark), floor: String(this.#flow.floor), late: String(this.#lateTo) }))) return;
    this.watermark = watermark;
    this.swept = true;
    this.#committedMs = this.#context.doors.clock.monotonic();
    // What may be read once more is not forgotten: a late sweep's minutes, and what a gap overlaps.
    const late = this.#lateTo - nsOfMs(this.#config.lateness);
    const again = watermark - nsOfMs(overlapMs);
    const bound = minuteOf(bucketAt(late < again ? late : again)) - bucketsPerMinute;
    this.#remember(bound);
    const { position, files } = this.#flow.seen.expire(bound);
    if (Object.keys(position).length > 0 && !(await this.#flow.commit(position))) return;
    for (const path of files) await this.#context.doors.disk.remove(path);
  }

  #remember(bound: number): void {
    for (let bucket = bound - bucketsPerMinute; bucket >= bound - beyondMinutes * bucketsPerMinute; bucket -= bucketsPerMinute) {
      if (this.#past.has(bucket) || bucketStart(bucket) < this.#flow.floor || !this.swept) break;
      let held = 0;
      for (let at = bucket; at < bucket + bucketsPerMinute; at++) held += this.#flow.seen.count(at);
      if (held === 0) break; // forgotten before this run: its count is not known
      this.#past.set(bucket, held);
    }
    for (const bucket of this.#past.keys()) if (bucket < bound - beyondMinutes * bucketsPerMinute) this.#past.delete(bucket);
  }
}

function nsIn(json: Json | undefined, otherwise: bigint): bigint {
  return typeof json === "string" && /^\d+$/.test(json) ? BigInt(json) : otherwise;
}

function minuteOf(bucket: number): number {
  return Math.floor(bucket / bucketsPerMinute) * bucketsPerMinute;
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
