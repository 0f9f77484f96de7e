/** Sets of sequences as sorted, disjoint ranges that do not touch: what a batch holds, what was delivered. */
import type { Range } from "../core/contract.ts";

/** How many sequences the ranges hold. */
export function countOf(ranges: readonly Range[]): number {
  let count = 0;
  for (const [first, last] of ranges) count += last - first + 1;
  return count;
}

/** Adds a range behind all others (it begins after the last one ends), joined to the last one where they touch. */
export function pushRange(ranges: Range[], first: number, last: number): void {
  const before = ranges.at(-1);
  if (before !== undefined && before[1] + 1 === first) ranges[ranges.length - 1] = [before[0], last];
  else ranges.push([first, last]);
}

/** Ranges that grow behind the last one, in 16 bytes each instead of 64: open batches of mixed frames have half a million. */
export class GrowingRanges {
  /** First and last of each in turn. */
  #bounds: number[] = [];

  get length(): number {
    return this.#bounds.length / 2;
  }

  /** The first sequence in them; Infinity when there is none. */
  first(): number {
    return this.#bounds[0] ?? Infinity;
  }

  /** As `pushRange`. */
  push(first: number, last: number): void {
    const bounds = this.#bounds;
    if (bounds[bounds.length - 1] === first - 1) bounds[bounds.length - 1] = last;
    else bounds.push(first, last);
  }

  set(ranges: readonly Range[]): void {
    this.#bounds = ranges.flat();
  }

  toRanges(): Range[] {
    return Array.from({ length: this.length }, (_, i) => [this.#bounds[i * 2] as number, this.#bounds[i * 2 + 1] as number]);
  }
}

/** All that is in one or the other. */
export function union(one: readonly Range[], other: readonly Range[]): Range[] {
  const joined: Range[] = [];
  for (const [first, last] of [...one, ...other].sort((a, b) => a[0] - b[0])) {
    const before = joined.at(-1);
    if (before !== undefined && first <= before[1] + 1) joined[joined.length - 1] = [before[0], Math.max(before[1], last)];
    else joined.push([first, last]);
  }
  return joined;
}

/** What of `ranges` is not in `taken`. */
export function subtract(ranges: readonly Range[], taken: readonly Range[]): Range[] {
  const rest: Range[] = [];
  let at = 0;
  for (const [first, last] of ranges) {
    let from = first;
    while (at < taken.length && (taken[at]?.[1] ?? 0) < from) at++;
    for (let i = at; i < taken.length; i++) {
      const [takenFirst, takenLast] = taken[i] ?? [Infinity, Infinity];
      if (takenFirst > last) break;
      if (takenFirst > from) rest.push([from, takenFirst - 1]);
      from = Math.max(from, takenLast + 1);
    }
    if (from <= last) rest.push([from, last]);
  }
  return rest;
}

/** What of `ranges` lies between `first` and `last`, both included; nothing when `last` is before `first`. */
export function within(ranges: readonly Range[], first: number, last: number): Range[] {
  // Binary search: a batch of mixed frames has thousands of ranges, and every frame of it asks.
  let low = 0;
  for (let high = ranges.length; low < high;) {
    const middle = (low + high) >>> 1;
    if ((ranges[middle]?.[1] ?? 0) < first) low = middle + 1;
    else high = middle;
  }
  const found: Range[] = [];
  if (last < first) return found;
  for (let i = low; i < ranges.length; i++) {
    const [from, to] = ranges[i] ?? [Infinity, Infinity];
    if (from > last) break;
    found.push([Math.max(from, first), Math.min(to, last)]);
  }
  return found;
}

/**
 * Ranges as they are written down: the gap before each and its length, in turn; `[5,9],[11,11]` is `5,5,1,1`.
 * A batch of mixed frames may hold every other record: two digits a range instead of forty keep its plan small.
 */
export function packRanges(ranges: readonly Range[]): number[] {
  const packed: number[] = [];
  let at = 0;
  for (const [first, last] of ranges) {
    packed.push(first - at, last - first + 1);
    at = last + 1;
  }
  return packed;
}

/** The reverse; undefined when it is none of ours. */
export function unpackRanges(packed: unknown): Range[] | undefined {
  if (!Array.isArray(packed) || packed.length % 2 !== 0) return undefined;
  const ranges: Range[] = [];
  let at = 0;
  for (let i = 0; i < packed.length; i += 2) {
    const gap: unknown = packed[i];
    const length: unknown = packed[i + 1];
    if (!isCount(gap) || !isCount(length) || length === 0) return undefined;
    ranges.push([at + gap, at + gap + length - 1]);
    at += gap + length;
    if (!Number.isSafeInteger(at)) return undefined;
  }
  return ranges;
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
