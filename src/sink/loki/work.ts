/**
 * What of a batch is still to be pushed: entries in groups, each a push, in shards that go side by side.
 *
 * Promises: entries of one stream are in one shard, by time, equal times in the order of the spool. A group is cut where the next
 * entry would make it too large, or has too many streams, or spans more than half an hour. The last is for retries: Loki refuses
 * what lies more than half of `max_chunk_age` (1 h) behind the newest entry of its stream, also what it has stored already. A
 * group that is pushed again must not be behind itself.
 */
import * as v from "valibot";
import type { Batch, Json, Refusals } from "../../core/contract.ts";
import type { Entry } from "./record.ts";
import type { Stream } from "./stream.ts";

const spanSeconds = 1800;
/** One stream that Loki does not take then holds up so many. */
const streamsMax = 1000;

/**
 * What is written down of a batch under way: how many of each shard are done with, and how many of these were refused, by
 * reason.
 */
const noteSchema = v.object({
  digest: v.string(),
  passed: v.array(v.number()),
  refused: v.record(v.string(), v.number()),
  example: v.string(),
});
export type Note = v.InferOutput<typeof noteSchema>;

/** A batch's note, as `Work.note` gave it; undefined when there is none, or of other bytes: a batch may be planned anew under its id. */
export function readNote({ note, digest }: Pick<Batch, "note" | "digest">): Note | undefined {
  const parsed = v.safeParse(noteSchema, note);
  return parsed.success && parsed.output.digest === digest ? parsed.output : undefined;
}

export class Shard {
  groups: Entry[][];
  /** Entries that are stored or refused, counted from the first. */
  passed: number;
  refused: { readonly entry: Entry; readonly reason: string; readonly words: string }[] = [];
  readonly #bytesMax: number;

  constructor(entries: readonly Entry[], passed: number, bytesMax: number) {
    this.groups = cut(entries.slice(passed), bytesMax);
    this.passed = passed;
    this.#bytesMax = bytesMax;
  }

  /** All of the first group is stored. */
  done(): void {
    this.passed += this.groups.shift()?.length ?? 0;
  }

  /** The first group is pushed in two halves, in their order. */
  halve(): void {
    const [group = []] = this.groups;
    const half = group.length >> 1;
    this.groups.splice(0, 1, group.slice(0, half), group.slice(half));
  }

  /** All of the first group is refused for good, in these words. */
  refuse(reason: string, words: string): void {
    for (const entry of this.groups[0] ?? []) this.refused.push({ entry, reason, words });
    this.done();
  }

  /** What was refused is to be pushed again. */
  forgive(): void {
    const entries = this.refused.map(({ entry }) => entry);
    this.groups.unshift(...cut(entries, this.#bytesMax));
    this.passed -= entries.length;
    this.refused = [];
  }
}

/** A batch under way. */
export class Work {
  /** Of the sink, once all of it is delivered. */
  readonly next: Json | undefined;
  /** What the lines of the entries lie in. */
  readonly frames: readonly Uint8Array[];
  readonly shards: readonly Shard[];
  readonly records: number;
  /** Its entries lie further apart than a group may. */
  readonly wide: boolean;
  /** Entries whose line was cut. */
  readonly cut: number;
  /** Refused before the start of the process. */
  readonly #earlier: Refusals | undefined;

  /** `note` of an earlier process; of another configuration, it counts for nothing. */
  constructor(entries: readonly Entry[], next: Json | undefined, frames: readonly Uint8Array[], shards: number, bytesMax: number, note?: Note) {
    const known = note?.passed.length === shards ? note : undefined;
    this.next = next;
    this.frames = frames;
    this.#earlier = known === undefined || Object.keys(known.refused).length === 0 ? undefined : { reasons: known.refused, example: known.example };
    this.records = entries.length;
    this.cut = entries.filter((entry) => entry.cut).length;
    const [low, high] = entries.reduce(([least, most], { seconds }) => [Math.min(least, seconds), Math.max(most, seconds)], [Infinity, -Infinity]);
    this.wide = high - low > spanSeconds;
    const spread: Entry[][] = Array.from({ length: shards }, () => []);
    for (const entry of entries) (spread[entry.stream.hash % shards] as Entry[]).push(entry);
    this.shards = spread.map((given, index) => new Shard(byTime(given), known?.passed[index] ?? 0, bytesMax));
  }

  get begun(): boolean {
    return this.shards.some(({ passed }) => passed > 0);
  }

  /** What was refused, undefined for nothing. */
  get refusals(): Refusals | undefined {
    const all = this.shards.flatMap(({ refused }) => refused);
    const [first] = all;
    if (first === undefined) return this.#earlier;
    const reasons: Record<string, number> = { ...this.#earlier?.reasons };
    for (const { reason } of all) reasons[reason] = (reasons[reason] ?? 0) + 1;
    return { reasons, example: this.#earlier?.example ?? `record ${first.entry.sequence}: ${first.words}` };
  }

  get refusedCount(): number {
    const earlier = Object.values(this.#earlier?.reasons ?? {}).reduce((sum, count) => sum + count, 0);
    return this.shards.reduce((sum, { refused }) => sum + refused.length, earlier);
  }

  note(digest: string): Json {
    const { reasons = {}, example = "" } = this.refusals ?? {};
    return { digest, passed: this.shards.map(({ passed }) => passed), refused: reasons, example };
  }
}

const compare = (a: Entry, b: Entry): number => a.seconds - b.seconds || a.nanos - b.nanos;

/** By time; as they are when they are, which is how they come as a rule. */
function byTime(entries: Entry[]): Entry[] {
  const ordered = entries.every((entry, at) => at === 0 || compare(entries[at - 1] as Entry, entry) <= 0);
  return ordered ? entries : entries.toSorted(compare);
}

function cut(entries: readonly Entry[], bytesMax: number): Entry[][] {
  const groups: Entry[][] = [];
  let group: Entry[] = [];
  let streams = new Set<Stream>();
  let bytes = 0;
  for (const entry of entries) {
    const added = entry.bytes + (streams.has(entry.stream) ? 0 : entry.stream.text.length);
    const first = group[0];
    const apart = first !== undefined && entry.seconds - first.seconds > spanSeconds;
    if (first !== undefined && (bytes + added > bytesMax || streams.size >= streamsMax || apart)) {
      groups.push(group);
      group = [];
      streams = new Set();
      bytes = 0;
    }
    group.push(entry);
    streams.add(entry.stream);
    bytes += added;
  }
  if (group.length > 0) groups.push(group);
  return groups;
}
