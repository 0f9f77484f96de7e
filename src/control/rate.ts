/**
 * How fast it flows: rates from the numbers of /status, between one look at the page and another a few seconds before.
 *
 * Promises: no timer and no work while nobody looks; several people looking at once do not shorten the window for each other.
 */
import type { Status } from "../core/view.ts";

/** Per second. */
export interface Rate {
  readonly records: number;
  readonly bytes: number;
}

/** By name; a name is missing while its rate is not known yet. */
export interface Rates {
  readonly sources: ReadonlyMap<string, Rate>;
  readonly sinks: ReadonlyMap<string, Rate>;
}

interface Totals {
  readonly records: number;
  readonly bytes: number;
}

interface Sample {
  readonly monotonicMs: number;
  readonly sources: ReadonlyMap<string, Totals>;
  readonly sinks: ReadonlyMap<string, Totals>;
}

/** Samples are at least this far apart, and a rate is taken over at least this long: below, one commit group decides it. */
const apartMs = 900;
/** A rate is taken over at most this long: beyond, it would be history and not news. */
const windowMs = 15_000;

/** Remembers what it was shown within the window: at most 17 samples. */
export class RateWatch {
  readonly #samples: Sample[] = [];

  /** Rates at this moment, against the oldest sample in the window. */
  look(status: Status, monotonicMs: number): Rates {
    const now: Sample = { monotonicMs, sources: totalsOf(status.sources), sinks: totalsOf(status.sinks) };
    while (this.#samples[0] !== undefined && monotonicMs - this.#samples[0].monotonicMs > windowMs) this.#samples.shift();
    const before = this.#samples[0];
    const last = this.#samples.at(-1);
    if (last === undefined || monotonicMs - last.monotonicMs >= apartMs) this.#samples.push(now);
    if (before === undefined || monotonicMs - before.monotonicMs < apartMs) return { sources: new Map(), sinks: new Map() };
    const seconds = (monotonicMs - before.monotonicMs) / 1000;
    return { sources: ratesOf(before.sources, now.sources, seconds), sinks: ratesOf(before.sinks, now.sinks, seconds) };
  }
}

function totalsOf(parts: Record<string, Totals>): Map<string, Totals> {
  return new Map(Object.entries(parts).map(([name, { records, bytes }]) => [name, { records, bytes }]));
}

function ratesOf(before: ReadonlyMap<string, Totals>, now: ReadonlyMap<string, Totals>, seconds: number): Map<string, Rate> {
  const rates = new Map<string, Rate>();
  for (const [name, totals] of now) {
    const earlier = before.get(name);
    if (earlier === undefined) continue;
    rates.set(name, { records: Math.max(0, totals.records - earlier.records) / seconds, bytes: Math.max(0, totals.bytes - earlier.bytes) / seconds });
  }
  return rates;
}

/** All of a map together, or undefined while none is known. */
export function sumOf(rates: ReadonlyMap<string, Rate>): Rate | undefined {
  if (rates.size === 0) return undefined;
  let [records, bytes] = [0, 0];
  for (const rate of rates.values()) {
    records += rate.records;
    bytes += rate.bytes;
  }
  return { records, bytes };
}
