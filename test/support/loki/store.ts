/** What a Loki holds: streams of entries, pushed, found again by time. The rules of a push and their words are the recorded ones. */
import type { Labels } from "./logql.ts";

/** A map's entries by name. */
export function pairsOf(map: object): [string, unknown][] {
  return Object.entries(map).toSorted(([a], [b]) => (a < b ? -1 : 1));
}

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

const secondNs = 1_000_000_000n;
const dayNs = 86_400n * secondNs;
const lineBytesMax = 262_144;

export class Store {
  readonly streams = new Map<string, Stream>();

  /** Takes a push; returns what arrived and the answer's status and text. */
  push(streams: readonly PushedStream[], nowNs: bigint): { arrived: Arrived[]; status: number; text: string } {
    if (streams.length === 0) return { arrived: [], status: 422, text: "error at least one valid stream is required for ingestion\n" };
    const arrived: Arrived[] = [];
    let refusal = "";
    for (const { stream: labels, values } of streams) {
      if (Object.keys(labels).length === 0) return { arrived, status: 400, text: "error at least one label pair is required per stream\n" };
      const wrong = labelsRefused(labels);
      if (wrong !== "") {
        refusal ||= wrong;
        continue;
      }
      const entries: Stored[] = [];
      for (const [time, line, metadata = {}] of values) {
        const entry = { ns: BigInt(time), line, metadata: renamed(metadata) };
        const why = this.#refused(labels, entry, nowNs);
        if (why === "") entries.push(entry);
        else refusal ||= why;
      }
      if (entries.length > 0) arrived.push({ labels, entries });
      for (const entry of entries) this.#insert(labels, entry);
    }
    return refusal === "" ? { arrived, status: 204, text: "" } : { arrived, status: 400, text: refusal };
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

  #refused(labels: Labels, entry: Stored, nowNs: bigint): string {
    const name = nameOf(labels);
    const { ns, line } = entry;
    if (line.length > lineBytesMax)
      return `max entry size '${lineBytesMax}' bytes exceeded for stream '${name}' while adding an entry with length '${line.length}' bytes\n`;
    if (ns < nowNs - 7n * dayNs)
      return `entry for stream '${name}' has timestamp too old: ${seconds(ns)}, oldest acceptable timestamp is: ${seconds(nowNs - 7n * dayNs)}\n`;
    if (ns > nowNs + 600n * secondNs) return `entry for stream '${name}' has timestamp too new: ${seconds(ns)}\n`;
    const stream = this.streams.get(JSON.stringify(pairsOf(labels)));
    const oldest = (stream?.newestNs ?? 0n) - 3600n * secondNs;
    if (stream === undefined || ns >= oldest) return "";
    return `entry with timestamp ${seconds(ns)} ignored, reason: 'entry too far behind, entry timestamp is: ${seconds(ns)}, oldest acceptable timestamp is: ${seconds(oldest)}',\nuser 't1', total ignored: 1 out of 1 for stream: ${name}\n`;
  }
}

function labelsRefused(labels: Labels): string {
  const names = Object.keys(labels).toSorted();
  let at = 1;
  for (const name of names) {
    const wrong = name.search(/[^A-Za-z0-9_]/);
    if (wrong >= 0) return `couldn't parse labels: 1:${at + wrong + 1}: parse error: unexpected character inside braces: '${name[wrong]}'\n`;
    at += name.length;
  }
  return names.length > 15 ? `entry for stream '${nameOf(labels)}' has ${names.length} label names; limit 15\n` : "";
}

/** Names as Prometheus has them: what is not a letter, digit or underscore becomes one. */
function renamed(metadata: Labels): Labels {
  return Object.fromEntries(Object.entries(metadata).map(([name, value]) => [name.replace(/[^A-Za-z0-9_]/g, "_"), value]));
}

function nameOf(labels: Labels): string {
  return `{${pairsOf(labels)
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(", ")}}`;
}

function seconds(ns: bigint): string {
  return `${new Date(Number(ns / 1_000_000n)).toISOString().slice(0, 19)}Z`;
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
