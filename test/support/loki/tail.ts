/**
 * The fake's tails, as loki.md tells of the real ones: frames of at most 100 lines every half second, one value a stream object;
 * a ping a second; lines pushed into a full channel are dropped in silence, equal lines of other streams too, and one line from
 * the future holds up all that comes after it.
 */
import type { Clock } from "../../../src/core/clock.ts";
import type { FakeLoki } from "./fake.ts";
import type { Labels, LogQuery } from "./logql.ts";
import { type Arrived, pairsOf, type Store, type Stored } from "./store.ts";

export interface TailClient {
  frame(text: string): void;
  ping(): void;
  /** The server's close, or with 1006 a cut. */
  close(code: number, reason: string): void;
}

interface Waiting {
  readonly labels: Labels;
  readonly entry: Stored;
}

const frameEntriesMax = 100;

export class FakeTail {
  over = false;
  /** Called when it ends for its age. */
  ended: () => void = () => {};
  readonly query: LogQuery;
  readonly store: Store;
  readonly #fake: FakeLoki;
  readonly #clock: Clock;
  readonly #client: TailClient;
  readonly #flags: boolean;
  readonly #end = new AbortController();
  #heap: Waiting[] = [];
  #stalledTo = 0n;
  /** Named in the next frame. */
  #dropped: Waiting[] = [];

  constructor(fake: FakeLoki, store: Store, { query, flags, client }: { query: LogQuery; flags: boolean; client: TailClient }) {
    this.#fake = fake;
    this.store = store;
    this.#clock = fake.clock;
    this.query = query;
    this.#flags = flags;
    this.#client = client;
  }

  /** Sends history (the newest `limit` lines since `start`), then runs until its end. */
  begin(startNs: bigint, limit: number): void {
    const { matches, keeps } = this.query;
    const history = this.store
      .find(matches, startNs, this.#fake.nowNs)
      .filter(({ entry }) => keeps(entry.line))
      .slice(-limit);
    this.#send(history);
    void this.#tick();
    void this.#ping();
    void this.#clock.sleep(this.#fake.limits.tailMs, this.#end.signal).then(() => {
      if (this.over) return;
      this.ended();
      this.close(1011, "reached tail max duration limit");
    });
  }

  /** What a push brought: a slot of the channel for each stream. */
  take(arrived: readonly Arrived[]): void {
    const { faults, random } = this.#fake;
    let slots = 0;
    for (const { labels, entries } of arrived) {
      if (!this.query.matches(labels)) continue;
      slots++;
      if (slots > faults.slots || faults.drops?.(labels) === true || random.next() < faults.silent) continue;
      for (const entry of entries) {
        if (!this.query.keeps(entry.line)) continue;
        if (random.next() < faults.reported) this.#dropped.push({ labels, entry });
        else this.#hold({ labels, entry });
        if (random.next() < faults.replicas) this.#heap.push({ labels, entry });
      }
    }
  }

  close(code: number, reason: string): void {
    if (this.over) return;
    this.over = true;
    this.#end.abort();
    this.#fake.tails.delete(this);
    this.#client.close(code, reason);
  }

  /** The client has gone. */
  leave(): void {
    this.over = true;
    this.#end.abort();
    this.#fake.tails.delete(this);
  }

  /** Any text, as it stands in a recording. */
  raw(text: string): void {
    this.#client.frame(text);
  }

  #hold(waiting: Waiting): void {
    const { entry, labels } = waiting;
    const same = this.#heap.some(
      (other) =>
        other.labels !== labels &&
        other.entry.ns === entry.ns &&
        other.entry.line === entry.line &&
        JSON.stringify(other.labels) !== JSON.stringify(labels) &&
        JSON.stringify(other.entry.metadata) === JSON.stringify(entry.metadata),
    );
    if (!same) this.#heap.push(waiting);
  }

  async #ping(): Promise<void> {
    while (!this.over) {
      await this.#clock.sleep(1000, this.#end.signal);
      if (!this.over && !this.#fake.faults.mute) this.#client.ping();
    }
  }

  async #tick(): Promise<void> {
    while (!this.over) {
      await this.#clock.sleep(this.#fake.limits.tickMs, this.#end.signal);
      if (!this.over) this.flush();
    }
  }

  /** Sends what is due. */
  flush(): void {
    const { nowNs, faults } = this.#fake;
    if (faults.mute || this.#stalledTo > nowNs) return;
    const due = this.#heap.filter(({ entry }) => entry.ns <= nowNs);
    this.#heap = this.#heap.filter(({ entry }) => entry.ns > nowNs);
    for (const { entry } of this.#heap) if (this.#stalledTo < nowNs || entry.ns < this.#stalledTo) this.#stalledTo = entry.ns;
    this.#send(due.toSorted((a, b) => Number(a.entry.ns - b.entry.ns)));
  }

  #send(waiting: readonly Waiting[]): void {
    for (let at = 0; at < waiting.length && !this.over; at += frameEntriesMax) this.#frame(waiting.slice(at, at + frameEntriesMax));
    if (waiting.length === 0 && this.#dropped.length > 0) this.#frame([]);
  }

  #frame(waiting: readonly Waiting[]): void {
    const dropped = this.#dropped.slice(0, 1000);
    this.#dropped = [];
    const frame = {
      streams: waiting.map(({ labels, entry }) => ({ stream: sorted(labels), values: [valueOf(entry, this.query, this.#flags)] })),
      ...(dropped.length === 0
        ? {}
        : { dropped_entries: dropped.map(({ labels, entry }) => ({ timestamp: String(entry.ns), labels: sorted(labels) })) }),
      ...(this.#flags ? { encodingFlags: ["categorize-labels"] } : {}),
    };
    this.#client.frame(goJson(frame));
  }
}

export function sorted(labels: Labels): Labels {
  return Object.fromEntries(pairsOf(labels)) as Labels;
}

/** `[time, line]`, with the flag and a third element. */
export function valueOf({ ns, line, metadata }: Stored, query: LogQuery, flags: boolean): unknown[] {
  if (!flags) return [String(ns), line];
  const parsed = query.parses ? parsedOf(line) : {};
  return [
    String(ns),
    line,
    {
      ...(Object.keys(metadata).length === 0 ? {} : { structuredMetadata: sorted(metadata) }),
      ...(Object.keys(parsed).length === 0 ? {} : { parsed }),
    },
  ];
}

function parsedOf(line: string): Labels {
  try {
    return sorted(Object.fromEntries(Object.entries(JSON.parse(line) as object).map(([name, value]) => [name, String(value)])));
  } catch {
    return { __error__: "JSONParserErr" };
  }
}

/** JSON as Go writes it: what HTML minds is escaped. */
export function goJson(value: unknown): string {
  return JSON.stringify(value).replace(/[<>&\u2028\u2029]/g, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
