/**
 * Lines keep their order: Loki shows entries of one stream and one time in any order (seen in 3.7, with and without metadata), and the lines of
 * one read of a file have one time. So an entry that is not before the one before it in its stream, and not after it either, goes one
 * nanosecond behind it.
 *
 * Promises: a time written with more than six digits is never changed; any other by as many nanoseconds as lines of its time come
 * before it, a millisecond at most. What a batch ends with is the `state` that the next one goes on from, which is written down
 * with the delivery: the same batch gives the same times, whoever sends it.
 */
import * as v from "valibot";
import type { Json } from "../../core/contract.ts";
import type { Entry } from "./record.ts";
import type { Stream } from "./stream.ts";

interface Last {
  readonly seconds: number;
  readonly nanos: number;
  /** Behind that. */
  readonly added: number;
}

const second = 1_000_000_000;
const addedMax = 1_000_000;

/** Streams in a state, those that a batch ends with: 3 KB. Only of more at once can the two parts of one read mix. */
const streamsMax = 64;

/** By the hash of the stream's text. */
const stateSchema = v.array(v.tuple([v.string(), v.number(), v.number(), v.number()]));

/** Moves the times of a batch's entries, which go on from `state`; returns the next state. */
export function inOrder(entries: readonly Entry[], state: Json | undefined): Json {
  const parsed = v.safeParse(stateSchema, state);
  const before = new Map((parsed.success ? parsed.output : []).map(([hash, seconds, nanos, added]) => [hash, { seconds, nanos, added }]));
  const last = new Map<Stream, Last>();
  for (const entry of entries) {
    const { stream, seconds, nanos, exact } = entry;
    const known = last.get(stream) ?? before.get(hashOf(stream));
    const added = exact ? 0 : behind(entry, known);
    last.set(stream, { seconds, nanos, added });
    // In place: most lines have the time of the one before, and copies of them all would be the collector's main work.
    entry.seconds += Math.floor((nanos + added) / second);
    entry.nanos = (nanos + added) % second;
  }
  return stateOf(entries, last);
}

/** Nanoseconds to add so that it comes behind `before`; none where its time goes back. */
function behind({ seconds, nanos }: Entry, before: Last | undefined): number {
  if (before === undefined) return 0;
  const back = (before.seconds - seconds) * second + before.nanos - nanos;
  return back > 0 ? 0 : Math.min(Math.max(0, back + before.added + 1), addedMax);
}

/** The streams of the last entries, the last one first. */
function stateOf(entries: readonly Entry[], last: ReadonlyMap<Stream, Last>): Json {
  const streams = new Set<Stream>();
  for (let at = entries.length - 1; at >= 0 && streams.size < Math.min(streamsMax, last.size); at--) streams.add((entries[at] as Entry).stream);
  return [...streams].map((stream): Json => {
    const { seconds = 0, nanos = 0, added = 0 } = last.get(stream) ?? {};
    return [hashOf(stream), seconds, nanos, added];
  });
}

function hashOf({ text }: Stream): string {
  return Bun.hash(text).toString(36);
}
