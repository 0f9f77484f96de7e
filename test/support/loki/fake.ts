/**
 * A Loki for tests: push, tail, query_range with lines and counts, series, labels, as the recordings have them, and the faults
 * of loki.md by script. `server.ts` puts it behind a real HTTP and WebSocket server, `door.ts` behind a simulated network.
 */
import type { Clock } from "../../../src/core/clock.ts";
import { systemClock } from "../../../src/core/clock.ts";
import type { Random } from "../../../src/core/random.ts";
import { systemRandom } from "../../../src/core/random.ts";
import { type CountQuery, type Labels, type LogQuery, parseCount, parseLog, QueryError } from "./logql.ts";
import { streamsOf } from "./push.ts";
import { type PushedStream, Store } from "./store.ts";
import { FakeTail, goJson, sorted, type TailClient, valueOf } from "./tail.ts";

export interface Limits {
  entries: number;
  tails: number;
  tailMs: number;
  tickMs: number;
  queryHours: number;
}

/** What goes wrong; shares are of 1. */
export interface Faults {
  /** Streams of one push that reach a tail. */
  slots: number;
  /** A stream of a push does not reach a tail, nobody says so. */
  silent: number;
  drops?: (labels: Readonly<Record<string, string>>) => boolean;
  /** An entry is named in dropped_entries instead. */
  reported: number;
  /** An entry comes twice. */
  replicas: number;
  /** No frame and no ping comes any more. */
  mute: boolean;
  /** Requests are answered 429, 500, cut in the middle, or by a server whose clock is wrong by so many milliseconds. */
  busy: boolean;
  broken: number;
  cut: number;
  skewMs: number;
  /** Counts are refused: all of them, or those over lines that a stage could not parse. */
  uncountable: boolean | "errors";
  /** So many more entries are counted in a minute (its start in seconds) than there are. */
  phantoms: Map<number, number>;
  /** The status that the handshake of a tail is answered. */
  handshake?: () => number;
  /** A proxy takes the header that asks for the encoding flags. */
  flagless: boolean;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly type: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A push by script: `before` it is stored an answer is given instead; `after` it, in the place of the one that it got. */
export interface PushScript {
  before?(streams: readonly PushedStream[], headers: Readonly<Record<string, string>>): Partial<Answer> | undefined;
  after?(streams: readonly PushedStream[], headers: Readonly<Record<string, string>>): Partial<Answer> | undefined;
}

const hourNs = 3_600_000_000_000n;

export class FakeLoki {
  /** Of tenant t1, and of all when they are not kept apart. */
  readonly store = new Store();
  readonly tenants = new Map<string, Store>();
  readonly tails = new Set<FakeTail>();
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: Limits = { entries: 5000, tails: 10, tailMs: 3_600_000, tickMs: 500, queryHours: 721 };
  readonly faults: Faults = {
    slots: Infinity,
    silent: 0,
    reported: 0,
    replicas: 0,
    mute: false,
    busy: false,
    broken: 0,
    cut: 0,
    skewMs: 0,
    uncountable: false,
    phantoms: new Map(),
    flagless: false,
  };
  /** Of requests: path and query, and headers in lower case. */
  readonly asked: { path: string; headers: Readonly<Record<string, string>> }[] = [];
  /** The same of handshakes. */
  readonly shaken: { path: string; headers: Readonly<Record<string, string>> }[] = [];
  answerBytes = 0;
  /** Of every push that could be read. */
  readonly pushes: { readonly streams: readonly PushedStream[]; readonly status: number; readonly bytes: number }[] = [];
  script: PushScript = {};
  /** A larger body is a 413. */
  bodyBytesMax = 100 * 2 ** 20;
  /** Tenants are kept apart. */
  auth = true;

  constructor(clock: Clock = systemClock, random: Random = systemRandom) {
    this.clock = clock;
    this.random = random;
  }

  get nowNs(): bigint {
    return BigInt(Math.round((this.clock.now() + this.faults.skewMs) * 1000)) * 1000n;
  }

  push(streams: readonly PushedStream[], tenant = "t1"): { status: number; text: string } {
    const store = this.storeOf(tenant);
    const { arrived, status, text } = store.push(streams, this.nowNs);
    for (const tail of this.tails) if (tail.store === store) tail.take(arrived);
    return { status, text };
  }

  storeOf(tenant: string): Store {
    if (!this.auth || tenant === "t1") return this.store;
    const store = this.tenants.get(tenant) ?? new Store();
    this.tenants.set(tenant, store);
    return store;
  }

  /** The answer to a request; headers have names in lower case. */
  answer(method: string, url: URL, headers: Readonly<Record<string, string>>, body: string | Uint8Array = ""): Answer {
    this.asked.push({ path: `${url.pathname}${url.search}`, headers });
    const answer = this.#route(method, url, headers, body);
    this.answerBytes += answer.text.length;
    return answer;
  }

  /** Opens a tail, or says what the handshake is answered instead. */
  tail(url: URL, headers: Readonly<Record<string, string>>, client: TailClient): FakeTail | Answer {
    this.shaken.push({ path: `${url.pathname}${url.search}`, headers });
    const refusal = this.#refusal(headers) ?? tailRefusal(url.searchParams);
    if (refusal !== undefined) return refusal;
    const { handshake } = this.faults;
    if (handshake !== undefined) return plain(handshake(), "as the script says");
    const text = url.searchParams.get("query") ?? "";
    let query: LogQuery;
    let ends = "";
    try {
      query = parseLog(text);
    } catch (cause) {
      if (!(cause instanceof QueryError)) throw cause;
      if (cause.message !== "only log selector is supported") return plain(400, cause.message);
      query = parseLog('{a="b"}');
      ends = cause.message;
    }
    const start = BigInt(url.searchParams.get("start") ?? this.nowNs - hourNs);
    ends ||= this.#ends(start);
    const flags = this.#flagged(headers);
    const tail = new FakeTail(this, this.storeOf(headers["x-scope-orgid"] ?? ""), { query, flags, client });
    if (ends === "") this.tails.add(tail);
    // The client hears that it is open first.
    queueMicrotask(() => {
      if (ends !== "") tail.close(1011, ends);
      else if (!tail.over) tail.begin(start, Number(url.searchParams.get("limit") ?? 100));
    });
    return tail;
  }

  #flagged(headers: Readonly<Record<string, string>>): boolean {
    return !this.faults.flagless && (headers["x-loki-response-encoding-flags"] ?? "").includes("categorize-labels");
  }

  #ends(start: bigint): string {
    const old = this.nowNs - start;
    const limit = BigInt(this.limits.queryHours) * hourNs;
    if (old < 0n) return "rpc error: code = Code(400) desc = this data is no longer available, it is past now - max_query_lookback (0s)";
    if (old > limit)
      return `rpc error: code = Code(400) desc = the query time range exceeds the limit (query length: ${old / hourNs}h0m0s, limit: 30d1h)`;
    if (this.tails.size < this.limits.tails) return "";
    const count = `${this.tails.size + 1} > ${this.limits.tails}`;
    return `rpc error: code = Code(400) desc = max concurrent tail requests limit exceeded, count > limit (${count})`;
  }

  #refusal(headers: Readonly<Record<string, string>>): Answer | undefined {
    const tenant = headers["x-scope-orgid"] ?? "";
    if (this.auth && tenant === "") return plain(401, "no org id\n");
    return tenant.includes("|") ? plain(400, "multiple org IDs present") : undefined;
  }

  #route(method: string, url: URL, headers: Readonly<Record<string, string>>, body: string | Uint8Array): Answer {
    const path = url.pathname.replace(/^.*\/loki\/api\/v1\//, "");
    if (url.pathname.endsWith("/ready")) return plain(200, "ready\n");
    if (path === url.pathname) return plain(404, "404 page not found\n");
    const refusal = this.#refusal(headers);
    if (refusal !== undefined) return path === "push" ? { ...refusal, text: `${refusal.text.trimEnd()}\n` } : refusal;
    const store = this.storeOf(headers["x-scope-orgid"] ?? "");
    if (this.faults.busy) return plain(429, "too many outstanding requests");
    if (this.random.next() < this.faults.broken) return plain(500, "context canceled");
    try {
      if (path === "push" && method === "POST") return this.#pushed(headers, typeof body === "string" ? Buffer.from(body) : body);
      if (path === "query_range") return this.#range(store, url.searchParams, headers);
      if (path === "series") return this.#series(store, url.searchParams);
      if (path === "labels") return json({ status: "success", data: labelsOf(store) });
      if (path === "tail") return plain(400, "Bad Request\n");
    } catch (cause) {
      if (cause instanceof QueryError) return plain(400, cause.message);
      throw cause;
    }
    return plain(404, "404 page not found\n");
  }

  #pushed(headers: Readonly<Record<string, string>>, body: Uint8Array): Answer {
    if (body.byteLength > this.bodyBytesMax)
      return plain(413, `request body too large: ${body.byteLength} bytes, limit: ${this.bodyBytesMax} bytes\n`);
    const streams = streamsOf(headers, body);
    if ("refusal" in streams) return plain(400, streams.refusal);
    const before = this.script.before?.(streams, headers);
    const stored = before === undefined ? this.push(streams, headers["x-scope-orgid"]) : undefined;
    const scripted = before ?? this.script.after?.(streams, headers);
    const answer = { ...plain(stored?.status ?? 500, stored?.text ?? ""), ...scripted };
    this.pushes.push({ streams, status: answer.status, bytes: body.byteLength });
    return answer;
  }

  #range(store: Store, params: URLSearchParams, headers: Readonly<Record<string, string>>): Answer {
    const text = params.get("query") ?? "";
    const count = parseCount(text);
    const start = nsOf(params.get("start") ?? "0");
    const end = nsOf(params.get("end") ?? "0");
    const { uncountable } = this.faults;
    if (count !== undefined && (uncountable === true || (uncountable === "errors" && count.log.parses && !count.log.drops)))
      return plain(400, "pipeline error: 'JSONParserErr' for series");
    if (count !== undefined) return this.#counts(store, count, [start, end], params);
    const query = parseLog(text);
    const limit = Number(params.get("limit") ?? 100);
    if (limit > this.limits.entries)
      return plain(400, `max entries limit per query exceeded, limit > max_entries_limit_per_query (${limit} > ${this.limits.entries})`);
    if (end < start) return plain(400, "end timestamp must not be before or equal to start time");
    if (Number(end - start) > this.limits.queryHours * Number(hourNs))
      return plain(400, `the query time range exceeds the limit (query length: ${(end - start) / hourNs}h0m0s, limit: 30d1h)`);
    const flags = this.#flagged(headers);
    const forward = params.get("direction") === "forward";
    const all = store.find(query.matches, start, end, query.keeps, forward ? limit : Infinity);
    const page = forward ? all.slice(0, limit) : all.slice(-limit).toReversed();
    const grouped = new Map<string, { stream: unknown; values: unknown[] }>();
    for (const { labels, entry } of page) {
      const stream = sorted(flags ? labels : { ...labels, ...entry.metadata });
      const key = JSON.stringify(stream);
      const group = grouped.get(key) ?? { stream, values: [] };
      group.values.push(valueOf(entry, query, flags));
      grouped.set(key, group);
    }
    const encoding = flags ? { encodingFlags: ["categorize-labels"] } : {};
    return json({ status: "success", data: { resultType: "streams", ...encoding, result: [...grouped.values()] } });
  }

  #counts(store: Store, { log, by, rangeSeconds }: CountQuery, [start, end]: [bigint, bigint], params: URLSearchParams): Answer {
    const step = Number.parseInt(params.get("step") ?? "60", 10);
    const secondNs = 1_000_000_000n;
    // Seen: the points of evaluation are multiples of the step, wherever start is.
    const first = Math.floor(Number(start / secondNs) / step) * step;
    const last = Math.ceil(Number(end / secondNs) / step) * step;
    if ((last - first) / step > 11_000) return plain(400, "exceeded maximum resolution of 11,000 points per time series");
    const rows = new Map<string, { metric: Labels; values: [number, string][] }>();
    for (let at = first; at <= last; at += step) {
      const pointNs = BigInt(at) * secondNs;
      const counts = store.count(log.matches, log.keeps, pointNs - BigInt(rangeSeconds) * secondNs + 1n, pointNs + 1n, by);
      const more = this.faults.phantoms.get(at - rangeSeconds) ?? 0;
      if (more > 0) for (const row of counts.values()) row.count += more;
      for (const [key, { metric, count }] of counts) {
        const row = rows.get(key) ?? { metric: sorted(metric), values: [] };
        row.values.push([at, String(count)]);
        rows.set(key, row);
      }
    }
    return json({ status: "success", data: { resultType: "matrix", result: [...rows.values()] } });
  }

  #series(store: Store, params: URLSearchParams): Answer {
    const { matches } = parseLog(params.get("match[]") ?? "");
    const streams = [...store.streams.values()].filter(({ labels, entries }) => {
      const inRange = entries.some(({ ns }) => ns >= nsOf(params.get("start") ?? "0") - hourNs && ns < nsOf(params.get("end") ?? "0") + hourNs);
      return matches(labels) && inRange;
    });
    return json({ status: "success", data: streams.map(({ labels }) => labels) });
  }
}

function labelsOf(store: Store): string[] {
  return [...new Set([...store.streams.values()].flatMap(({ labels }) => Object.keys(labels)))].toSorted();
}

function tailRefusal(params: URLSearchParams): Answer | undefined {
  const delay = params.get("delay_for");
  if (delay !== null && !/^\d+$/.test(delay)) return plain(400, `strconv.Atoi: parsing ${JSON.stringify(delay)}: invalid syntax`);
  if (Number(delay ?? 0) > 5) return plain(400, "delay_for can't be greater than 5");
  if (params.get("limit") === "0") return plain(400, "limit must be a positive value");
  const start = params.get("start");
  if (start !== null && !/^\d+$/.test(start))
    return plain(400, `could not parse 'start' parameter: strconv.ParseInt: parsing ${JSON.stringify(start)}: invalid syntax`);
  return undefined;
}

/** Nanoseconds of seconds (up to ten digits) or nanoseconds. */
function nsOf(text: string): bigint {
  return text.length <= 10 ? BigInt(text) * 1_000_000_000n : BigInt(text);
}

function plain(status: number, text: string): Answer {
  return { status, text, type: "text/plain; charset=utf-8" };
}

function json(value: unknown): Answer {
  return { status: 200, text: goJson(value), type: "application/json; charset=UTF-8" };
}
