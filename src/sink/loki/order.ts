/**
 * Lines keep their order: Loki shows entries of one stream and one time in any order (seen in 3.7, with and without metadata), and the lines of
 * one read of a file have one time. So an entry that is not before the one before it in its stream, and not after it either, goes one
 * nanosecond behind it.
 *
 * Promises: a time written with more than six digits is never changed; any other by as many nanoseconds as lines of its time come
 * before it, a millisecond at most. The same batch gives the same times: where it goes on with the time that the one before ended
 * with, the nanoseconds it begins with are its `carry`, which has to be durable before it is sent.
 */
import type { Entry } from "./record.ts";
import type { Stream } from "./stream.ts";

/** Nanoseconds to begin with, by the text of the stream. */
export type Carry = Readonly<Record<string, number>>;

interface Last {
  readonly seconds: number;
  readonly nanos: number;
  /** Behind that. */
  readonly added: number;
}

export interface Ordered {
  readonly entries: readonly Entry[];
  readonly carry: Carry;
  /** The last of each stream. */
  readonly last: ReadonlyMap<Stream, Last>;
}

const second = 1_000_000_000;
const addedMax = 1_000_000;
/** Streams remembered; beyond, all are forgotten: two parts of one read may then mix. */
const rememberedMax = 8192;

export class Order {
  readonly #last = new Map<string, Last>();

  /** Moves the times of `entries`. `carry` as it was when an earlier process tried this batch. */
  apply(entries: readonly Entry[], carry?: Carry): Ordered {
    const last = new Map<Stream, Last>();
    const carried: Record<string, number> = {};
    for (const entry of entries) {
      const { stream, seconds, nanos, exact } = entry;
      const { text } = stream;
      const known = last.get(stream);
      let added = exact ? 0 : behind(entry, known ?? (carry === undefined ? this.#last.get(text) : undefined));
      if (known === undefined && carry !== undefined && Object.hasOwn(carry, text)) added = carry[text] ?? 0;
      if (known === undefined && added > 0) carried[text] = added;
      last.set(stream, { seconds, nanos, added });
      // In place: most lines have the time of the one before, and copies of them all would be the collector's main work.
      entry.seconds += Math.floor((nanos + added) / second);
      entry.nanos = (nanos + added) % second;
    }
    return { entries, carry: carried, last };
  }

  /** The batch was delivered. */
  remember({ last }: Pick<Ordered, "last">): void {
    if (this.#last.size + last.size > rememberedMax) this.#last.clear();
    for (const [{ text }, one] of last) this.#last.set(text, one);
  }
}

/** Nanoseconds to add so that it comes behind `before`; none where its time goes back. */
function behind({ seconds, nanos }: Entry, before: Last | undefined): number {
  if (before === undefined) return 0;
  const back = (before.seconds - seconds) * second + before.nanos - nanos;
  return back > 0 ? 0 : Math.min(Math.max(0, back + before.added + 1), addedMax);
}
