/**
 * Complete reading by `query_range`, the source of truth: pages forward over any range, counts by buckets, the oldest entry.
 *
 * A page has the oldest entries over all streams from its start on, start included, end not; the next begins with the last
 * time of this one, so that of equal times none is left out, and whoever takes the entries drops those seen before. Where one
 * nanosecond fills a whole page, it is read at the server's largest page, then stream by stream; what even that does not
 * show is lost to us, and said.
 */
import { Fault } from "../../core/fault.ts";
import type { Client } from "./client.ts";
import { byTime, type Decoder, type Entry } from "./entry.ts";
import { unreadable } from "./fault.ts";

const secondNs = 1_000_000_000n;
/** What the server splits queries by: a longer range only costs it more at once. */
const spanNsMax = 3600n * secondNs;
const spanNsMin = secondNs / 1000n;
/** What a page should weigh: parsed and as records it takes about four times as much. */
const pageBytes = 2 * 1024 * 1024;
const pageEntriesMin = 20;
/** max_entries_limit_per_query as Loki has it by default; what the server says corrects it. */
const pageEntriesMax = 5000;

/** Entries of one nanosecond that no page showed: at least one, the server does not tell how many. */
export type Crowded = (ns: bigint, stream: string) => void;

export class Query {
  readonly #client: Client;
  readonly #decoder: Decoder;
  readonly #query: string;
  readonly #crowded: Crowded;
  #limit = 1000;
  #limitMax = pageEntriesMax;
  #spanNs = spanNsMax;

  constructor(client: Client, decoder: Decoder, query: string, crowded: Crowded) {
    this.#client = client;
    this.#decoder = decoder;
    this.#query = query;
    this.#crowded = crowded;
  }

  /**
   * Gives all entries of `[from, end)` to `take`, by time, a page at a time; some more than once. `reached`: all before it were
   * given. Rejects with a Fault.
   */
  async read(from: bigint, end: bigint, take: (entries: Entry[], reached: bigint) => Promise<void>, kill: AbortSignal): Promise<void> {
    for (let cursor = from; cursor < end && !kill.aborted;) {
      const asked = Math.min(this.#limit, this.#limitMax);
      const windowEnd = cursor + this.#spanNs < end ? cursor + this.#spanNs : end;
      const page = await this.#page(this.#query, cursor, windowEnd, asked, kill);
      if (page === undefined) continue; // asked for too much: again, with less
      if (page.length < asked) {
        await take(page, windowEnd);
        cursor = windowEnd;
        if (this.#spanNs < spanNsMax) this.#spanNs *= 2n;
        continue;
      }
      const last = BigInt(page.at(-1)?.time ?? 0);
      if (last > cursor) {
        await take(page, last);
        cursor = last;
      } else {
        await take(await this.#instant(cursor, kill), cursor + 1n);
        cursor += 1n;
      }
    }
  }

  /** Entries by steps of `stepSeconds` in `(from, to]`, seconds, both multiples of the step; undefined when Loki cannot count this query. */
  async counts(from: number, to: number, stepSeconds: number, kill: AbortSignal): Promise<Map<number, number> | undefined> {
    const step = `${stepSeconds}s`;
    const params = { query: `sum(count_over_time(${this.#query}[${step}]))`, start: String(from + stepSeconds), end: String(to), step };
    try {
      const { data } = await this.#client.data("query_range", params, kill);
      const found = new Map<number, number>();
      for (const { values } of (data as { result: { values: [number, string][] }[] }).result) {
        for (const [at, count] of values) found.set(at - stepSeconds, Number(count));
      }
      return found;
    } catch (cause) {
      // A line that a stage of the query cannot parse makes the count an error, not the entries.
      if (cause instanceof TypeError || (cause instanceof Fault && cause.code === "loki_query_refused")) return undefined;
      throw cause;
    }
  }

  /** A time below which there is nothing, looked for in steps of 30 days back from `now`, to the end of two empty ones. */
  async oldest(now: bigint, kill: AbortSignal): Promise<bigint> {
    let oldest = now;
    let empty = 0;
    // The longest range the server allows by default, 30d1h; one that allows less says so, and steps are shorter.
    let stepNs = 30n * 24n * 3600n * secondNs;
    for (let end = now; empty < 2 && end > stepNs && !kill.aborted;) {
      const found = await this.#first(end - stepNs, end, kill);
      if (found === "too long") {
        stepNs /= 2n;
        continue;
      }
      empty = found === undefined ? empty + 1 : 0;
      if (found !== undefined) oldest = found;
      end -= stepNs;
    }
    return oldest;
  }

  async #first(from: bigint, end: bigint, kill: AbortSignal): Promise<bigint | undefined | "too long"> {
    try {
      const { entries } = await this.#ask(this.#query, from, end, 1, kill);
      return entries[0] === undefined ? undefined : BigInt(entries[0].time);
    } catch (cause) {
      if (!(cause instanceof Fault)) throw cause;
      if (/query time range exceeds/.test(cause.message) && end - from > 3600n * secondNs) return "too long";
      // Beyond max_query_lookback there is nothing to be had.
      if (/no longer available/.test(cause.message)) return undefined;
      throw cause;
    }
  }

  /** A page by time; undefined when it was too much for the server or for us, and less is asked for from now on. */
  async #page(query: string, from: bigint, end: bigint, limit: number, kill: AbortSignal): Promise<Entry[] | undefined> {
    try {
      const { entries, length } = await this.#ask(query, from, end, limit, kill);
      const fitting = entries.length === 0 ? this.#limit : Math.floor((pageBytes * entries.length) / length);
      this.#limit = Math.max(pageEntriesMin, Math.min(fitting, this.#limitMax, this.#limit * 2));
      return byTime(entries);
    } catch (cause) {
      if (cause instanceof Fault && this.#lessen(cause, end - from, limit)) return undefined;
      throw cause;
    }
  }

  #lessen(fault: Fault, spanNs: bigint, limit: number): boolean {
    const cap = /max_entries_limit_per_query \(\d+ > (\d+)\)/.exec(fault.message);
    if (cap !== null && Number(cap[1]) > 0 && Number(cap[1]) < limit) {
      this.#limitMax = Number(cap[1]);
      return true;
    }
    if (fault.code === "loki_answer_unreadable" && fault.message.endsWith("too long") && limit > 1) {
      this.#limit = Math.max(1, Math.floor(limit / 8));
      return true;
    }
    const tooLong = /query time range exceeds|answered 504|no answer within/.test(fault.message);
    if (!tooLong || spanNs <= spanNsMin) return false;
    this.#spanNs = spanNs / 2n;
    return true;
  }

  /** All entries of one nanosecond, as far as any page shows them. */
  async #instant(ns: bigint, kill: AbortSignal): Promise<Entry[]> {
    const whole = await this.#ask(this.#query, ns, ns + 1n, this.#limitMax, kill);
    if (whole.entries.length < this.#limitMax) return whole.entries;
    const { data } = await this.#client.data("series", { "match[]": selectorOf(this.#query), start: String(ns), end: String(ns + 1n) }, kill);
    const found = [...whole.entries];
    for (const stream of data as Record<string, string>[]) {
      const { entries } = await this.#ask(narrowed(this.#query, stream), ns, ns + 1n, this.#limitMax, kill);
      for (const entry of entries) found.push(entry);
      if (entries.length >= this.#limitMax) this.#crowded(ns, JSON.stringify(stream));
    }
    return found;
  }

  async #ask(query: string, from: bigint, end: bigint, limit: number, kill: AbortSignal): Promise<{ entries: Entry[]; length: number }> {
    const params = { query, start: String(from), end: String(end), limit: String(limit), direction: "forward" };
    const { data, length } = await this.#client.data("query_range", params, kill);
    const { resultType, result } = (data ?? {}) as { resultType?: unknown; result?: unknown };
    if (resultType === "matrix" || resultType === "vector") throw notALogQuery();
    try {
      return { entries: this.#decoder.entries(result), length };
    } catch (cause) {
      if (cause instanceof TypeError) throw unreadable("read query_range", "it is not made as Loki makes it");
      throw cause;
    }
  }
}

function notALogQuery(): Fault {
  const hint = "give a log query, such as a selector with line filters: metrics have no lines";
  return new Fault({ code: "loki_query_refused", retry: "denied", message: "query gives metrics, not log lines", hint });
}

/** Where the stream selector of a query begins and ends: its first braces outside quotes. */
function selectorSpan(query: string): { start: number; end: number } {
  const quoted = /"(?:[^"\\]|\\.)*"|`[^`]*`|[{}]/gs;
  let start = -1;
  for (const { 0: found, index } of query.matchAll(quoted)) {
    if (found === "{" && start < 0) start = index;
    if (found === "}" && start >= 0) return { start, end: index + 1 };
  }
  return { start: 0, end: query.length };
}

/** `{app="web"}` of `{app="web"} |= "error"`. */
export function selectorOf(query: string): string {
  const { start, end } = selectorSpan(query);
  return query.slice(start, end);
}

/** The query for one stream only: its labels as further matchers. */
export function narrowed(query: string, stream: Readonly<Record<string, string>>): string {
  const { start } = selectorSpan(query);
  const matchers = Object.entries(stream).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return `${query.slice(0, start + 1)}${matchers.join(",")},${query.slice(start + 1)}`;
}
