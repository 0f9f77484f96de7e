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
import { byTime, canonicalLabels, type Decoder, type Entry } from "./entry.ts";
import { unreadable } from "./fault.ts";

const secondNs = 1_000_000_000n;
/** What the server splits queries by: a longer range only costs it more at once. */
const spanNsMax = 3600n * secondNs;
const spanNsMin = secondNs / 1000n;
/** What a page should weigh: parsed and as records it takes about four times as much. */
const pageBytes = 1024 * 1024;
const pageEntriesMin = 20;
/** max_entries_limit_per_query as Loki has it by default; what the server says corrects it. */
const pageEntriesMax = 5000;

/** Values of one answer to a question for counts: Loki permits 11,000. */
const pointsMax = 5000;
/** Steps of 30 days back without an entry before there is nothing older: two years, the longest that logs are commonly kept. */
const emptyMax = 24;
/** Put behind a query whose entries can be counted only without the label that a failed stage leaves. */
const withoutErrors = " | drop __error__, __error_details__";

/** What an answer says beside its entries. */
export interface Asides {
  /** Entries of one nanosecond that no page showed: at least one, the server does not tell how many. */
  crowded(ns: bigint, stream: string): void;
  /** Whether structured metadata came apart from the labels. */
  flagged(apart: boolean): void;
}

export class Query {
  readonly #client: Client;
  readonly #decoder: Decoder;
  readonly #query: string;
  readonly #asides: Asides;
  #limit = 1000;
  #limitMax = pageEntriesMax;
  #spanNs = spanNsMax;
  /** What its entries can be counted with. */
  #stage = "";

  constructor(client: Client, decoder: Decoder, query: string, asides: Asides) {
    this.#client = client;
    this.#decoder = decoder;
    this.#query = query;
    this.#asides = asides;
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
    const found = new Map<number, number>();
    const most = stepSeconds * pointsMax;
    for (let at = from; at < to; at += most) {
      const rows = await this.#counted("", { from: at, to: Math.min(at + most, to), stepSeconds }, kill);
      if (rows === undefined) return undefined;
      for (const { values } of rows) for (const [point, count] of values) found.set(point - stepSeconds, Number(count));
    }
    return found;
  }

  /** As `counts`, by minutes, for each stream by its labels; undefined when Loki does not tell them apart. */
  async countsByStream(from: number, to: number, kill: AbortSignal): Promise<Map<string, Map<number, number>> | undefined> {
    const streams = await this.#series(BigInt(from) * secondNs, BigInt(to) * secondNs + 1n, kill);
    const names = [...new Set(streams.flatMap((stream) => Object.keys(stream)))];
    const rows = await this.#counted(` by (${names.join(",")}) `, { from, to, stepSeconds: 60 }, kill);
    return (
      rows && new Map(rows.map(({ metric, values }) => [canonicalLabels(metric), new Map(values.map(([at, count]) => [at - 60, Number(count)]))]))
    );
  }

  async #counted(
    by: string,
    { from, to, stepSeconds }: { from: number; to: number; stepSeconds: number },
    kill: AbortSignal,
  ): Promise<Row[] | undefined> {
    const step = `${stepSeconds}s`;
    for (;;) {
      // A comment at the end of the query must not swallow the range.
      const query = `sum${by}(count_over_time(${this.#query}${this.#stage}${this.#query.includes("#") ? "\n" : ""}[${step}]))`;
      try {
        const { data } = await this.#client.data("query_range", { query, start: String(from + stepSeconds), end: String(to), step }, kill);
        return (data as { result: Row[] }).result;
      } catch (cause) {
        const refusal = cause instanceof TypeError || (cause instanceof Fault && cause.code === "loki_query_refused");
        if (!refusal) throw cause;
        // A line that a stage of the query cannot parse makes the count an error, not the entries.
        const again = this.#stage === "" && by === "";
        this.#stage = "";
        if (!again) return undefined;
        this.#stage = this.#query.includes("#") ? `\n${withoutErrors}` : withoutErrors;
      }
    }
  }

  /** A time below which there is nothing, looked for in steps of 30 days back from `now`, to the end of two years without any. */
  async oldest(now: bigint, kill: AbortSignal): Promise<bigint> {
    let oldest = now;
    let empty = 0;
    // The longest range the server allows by default, 30d1h; one that allows less says so, and steps are shorter.
    let stepNs = 30n * 24n * 3600n * secondNs;
    for (let end = now; empty < emptyMax && end > stepNs && !kill.aborted;) {
      const found = await this.first(end - stepNs, end, kill);
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

  /** The oldest entry of `[from, end)`; "too long" when the server does not look so far at once. */
  async first(from: bigint, end: bigint, kill: AbortSignal): Promise<bigint | undefined | "too long"> {
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
    const found = [...whole.entries];
    for (const stream of await this.#series(ns, ns + 1n, kill)) {
      const { entries } = await this.#ask(narrowed(this.#query, stream), ns, ns + 1n, this.#limitMax, kill);
      for (const entry of entries) found.push(entry);
      if (entries.length >= this.#limitMax) this.#asides.crowded(ns, canonicalLabels(stream));
    }
    return found;
  }

  async #series(from: bigint, end: bigint, kill: AbortSignal): Promise<Record<string, string>[]> {
    const { data } = await this.#client.data("series", { "match[]": selectorOf(this.#query), start: String(from), end: String(end) }, kill);
    if (!Array.isArray(data)) throw unreadable("read series", "it is not made as Loki makes it");
    return data as Record<string, string>[];
  }

  async #ask(query: string, from: bigint, end: bigint, limit: number, kill: AbortSignal): Promise<{ entries: Entry[]; length: number }> {
    const params = { query, start: String(from), end: String(end), limit: String(limit), direction: "forward" };
    const { data, length } = await this.#client.data("query_range", params, kill);
    const { resultType, result, encodingFlags } = (data ?? {}) as { resultType?: unknown; result?: unknown; encodingFlags?: unknown };
    if (resultType === "matrix" || resultType === "vector") throw notALogQuery();
    this.#asides.flagged(Array.isArray(encodingFlags) && encodingFlags.includes("categorize-labels"));
    try {
      return { entries: this.#decoder.entries(result), length };
    } catch (cause) {
      if (cause instanceof TypeError) throw unreadable("read query_range", "it is not made as Loki makes it");
      throw cause;
    }
  }
}

interface Row {
  readonly metric: Record<string, string>;
  readonly values: [number, string][];
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
