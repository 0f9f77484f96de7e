/** What a Loki holds: streams of entries, pushed, found again by time. The rules of a push and their words are the recorded ones. */
import type { Labels } from "./logql.ts";
import { behindText, defaultRules, entryRefused, groupedText, labelsRefused, pairsOf, wholeRefused, type Late, type Rules } from "./rules.ts";

export { pairsOf } from "./rules.ts";

export interface Stored {
  readonly ns: bigint;
  readonly line: string;
  readonly metadata: Labels;
}

export interface Stream {
  readonly labels: Labels;
  /** By time; equal times in the order of arrival. */
  readonly entries: Stored[];
  readonly identities: Set<string>;
  newestNs: bigint;
}

export interface PushedStream {
  readonly stream: Labels;
  readonly values: readonly (readonly [string, string, Labels?])[];
}

/** What a push brought, also repeats that are stored already: a tail shows those as well. */
export interface Arrived {
  readonly labels: Labels;
  readonly entries: Stored[];
}

export class Store {
  readonly streams = new Map<string, Stream>();
  readonly rules: Rules = { ...defaultRules };

  /** Takes a push; returns what arrived and the answer's status and text. */
  push(streams: readonly PushedStream[], nowNs: bigint): { arrived: Arrived[]; status: number; text: string } {
    const wrong = wholeRefused(streams);
    if (wrong !== undefined) return { arrived: [], ...wrong };
    const arrived: Arrived[] = [];
    const refusals: string[] = [];
    let behind = "";
    for (const { stream: labels, values } of streams) {
      if (values.length === 0) continue;
      const why = labelsRefused(labels, this.rules);
      if (why !== "") {
        refusals.push(why);
        continue;
      }
      const valid: Stored[] = [];
      for (const [time, line, metadata = {}] of values) {
        const entry = { ns: BigInt(time), line, metadata };
        const refused = entryRefused(labels, entry, this.rules, nowNs);
        if (refused === "") valid.push({ ...entry, metadata: renamed(metadata) });
        else refusals.push(refused);
      }
      const { entries, late } = this.#inTime(labels, valid);
      behind ||= behindText(labels, late, values.length);
      if (entries.length > 0) arrived.push({ labels, entries });
      for (const entry of entries) this.#insert(labels, entry);
    }
    // What the ingesters say is told instead of what was said before them.
    const text = behind || groupedText(refusals);
    return text === "" ? { arrived, status: 204, text } : { arrived, status: 400, text: `${text}\n` };
  }

  /** Entries that are too far behind the newest of their stream, those before them in this push included. */
  #inTime(labels: Labels, valid: readonly Stored[]): { entries: Stored[]; late: Late[] } {
    const stream = this.streams.get(JSON.stringify(pairsOf(labels)));
    let newest = stream?.newestNs;
    const entries: Stored[] = [];
    const late: Late[] = [];
    for (const entry of valid) {
      const oldest = newest === undefined ? entry.ns : newest - this.rules.behindNs;
      if (entry.ns < oldest) late.push({ ns: entry.ns, oldest });
      else entries.push(entry);
      if (entry.ns >= oldest && (newest === undefined || entry.ns > newest)) newest = entry.ns;
    }
    return { entries, late };
  }

  /** Without the rules: an entry that was there all along. */
  place(labels: Labels, entry: Stored): void {
    this.#insert(labels, entry);
  }

  /** Entries of the streams that match, `[from, end)`, by time; no more of each stream than `most`. */
  find(
    matches: (labels: Labels) => boolean,
    from: bigint,
    end: bigint,
    keeps: (line: string) => boolean = () => true,
    most = Infinity,
  ): { labels: Labels; entry: Stored }[] {
    const found: { labels: Labels; entry: Stored }[] = [];
    for (const { labels, entries } of this.streams.values()) {
      if (!matches(labels)) continue;
      for (let at = lowerBound(entries, from), left = most; at < entries.length && left > 0; at++) {
        const entry = entries[at] as Stored;
        if (entry.ns >= end) break;
        if (!keeps(entry.line)) continue;
        found.push({ labels, entry });
        left--;
      }
    }
    return found.toSorted((a, b) => Number(a.entry.ns - b.entry.ns));
  }

  /** How many there are, by the values of the labels `by`; none of them that has none. */
  count(
    matches: (labels: Labels) => boolean,
    keeps: (line: string) => boolean,
    from: bigint,
    end: bigint,
    by: readonly string[] = [],
  ): Map<string, { metric: Labels; count: number }> {
    const counts = new Map<string, { metric: Labels; count: number }>();
    for (const { labels, entries } of this.streams.values()) {
      if (!matches(labels)) continue;
      const metric = Object.fromEntries(by.flatMap((name) => (labels[name] === undefined ? [] : [[name, labels[name]]])));
      const key = JSON.stringify(pairsOf(metric));
      for (let at = lowerBound(entries, from); at < entries.length && (entries[at] as Stored).ns < end; at++) {
        if (!keeps((entries[at] as Stored).line)) continue;
        const row = counts.get(key) ?? { metric, count: 0 };
        row.count++;
        counts.set(key, row);
      }
    }
    return counts;
  }

  #insert(labels: Labels, entry: Stored): void {
    const key = JSON.stringify(pairsOf(labels));
    let stream = this.streams.get(key);
    if (stream === undefined) {
      stream = { labels, entries: [], identities: new Set(), newestNs: entry.ns };
      this.streams.set(key, stream);
    }
    const identity = `${entry.ns} ${JSON.stringify(entry.metadata)} ${entry.line}`;
    if (stream.identities.has(identity)) return;
    stream.identities.add(identity);
    if (entry.ns > stream.newestNs) stream.newestNs = entry.ns;
    if (entry.ns >= (stream.entries.at(-1)?.ns ?? 0n)) stream.entries.push(entry);
    else stream.entries.splice(lowerBound(stream.entries, entry.ns + 1n), 0, entry);
  }
}

/** Names as Prometheus has them: what is not a letter, digit or underscore becomes one. */
function renamed(metadata: Labels): Labels {
  return Object.fromEntries(Object.entries(metadata).map(([name, value]) => [name.replace(/[^A-Za-z0-9_]/g, "_"), value]));
}

/** Index of the first entry at or after `ns`. */
function lowerBound(entries: readonly Stored[], ns: bigint): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((entries[middle] as Stored).ns < ns) low = middle + 1;
    else high = middle;
  }
  return low;
}
