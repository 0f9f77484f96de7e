/**
 * Counts: the server's entries of each stretch of time beside ours. Where they are equal nothing is missing, since all we hold
 * came from the server under the identity it counts by; where they differ the stretch is read again, whole.
 *
 * A difference that stays though all was read (a delete request, entries that differ in their metadata only and that the
 * server counts once) is remembered, and asked for again only when one of the two numbers changes.
 */
import type { Query } from "./query.ts";
import type { Seen } from "./seen.ts";
import { bucketSeconds, bucketStart } from "./time.ts";

/** What the server and we count in a stretch, as /status shows it. */
export interface Stretch {
  /** Its first bucket. */
  readonly bucket: number;
  readonly server: number;
  readonly held: number;
}

/** Stretches whose difference is known; a day of minutes. */
const knownMax = 1440;

export class Audit {
  readonly #query: Query;
  readonly #seen: Seen;
  /** Counts of a stretch when it was read last. */
  readonly #known = new Map<number, string>();
  /** The last comparison. */
  stretches: Stretch[] = [];

  constructor(query: Query, seen: Seen) {
    this.#query = query;
    this.#seen = seen;
  }

  /**
   * Compares `[from, to)`, buckets, in stretches of `step`, and reads with `read` those that differ. Returns those where the
   * server still has more; undefined when it cannot count this query.
   */
  async compare(
    from: number,
    to: number,
    step: number,
    read: (start: bigint, end: bigint) => Promise<void>,
    kill: AbortSignal,
  ): Promise<Stretch[] | undefined> {
    if (to <= from) return [];
    const counts = await this.#query.counts(from * bucketSeconds, to * bucketSeconds, step * bucketSeconds, kill);
    if (counts === undefined) return undefined;
    const server = (bucket: number): number => counts.get(bucket * bucketSeconds) ?? 0;
    const differing: number[] = [];
    const asked = { step, server };
    for (let bucket = from; bucket < to; bucket += step) if (this.#differs(bucket, asked)) differing.push(bucket);
    for (let index = 0; index < differing.length;) {
      const first = differing[index] as number;
      let end = first + step;
      for (index++; differing[index] === end; index++) end += step;
      await read(bucketStart(first), bucketStart(end));
    }
    for (const bucket of differing) this.#note(bucket, asked);
    this.stretches = [];
    for (let bucket = from; bucket < to; bucket += step) this.stretches.push({ bucket, server: server(bucket), held: this.#held(bucket, step) });
    return this.stretches.filter((stretch) => stretch.server > stretch.held);
  }

  #differs(bucket: number, { step, server }: { step: number; server: (bucket: number) => number }): boolean {
    const held = this.#held(bucket, step);
    return server(bucket) !== held && this.#known.get(keyOf(bucket, step)) !== `${server(bucket)} ${held}`;
  }

  #note(bucket: number, { step, server }: { step: number; server: (bucket: number) => number }): void {
    if (this.#known.size >= knownMax) this.#known.delete(this.#known.keys().next().value ?? 0);
    this.#known.set(keyOf(bucket, step), `${server(bucket)} ${this.#held(bucket, step)}`);
  }

  #held(bucket: number, step: number): number {
    let held = 0;
    for (let at = bucket; at < bucket + step; at++) held += this.#seen.count(at);
    return held;
  }
}

/** One number for a stretch: steps are 1 and 6. */
function keyOf(bucket: number, step: number): number {
  return bucket * 10 + step;
}
