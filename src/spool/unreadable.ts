/**
 * Places of the disk that cannot be read (EIO), and when to give them up.
 *
 * A read that fails may be a cable, a controller that resets or an array that comes back: it is tried again. One that has failed for
 * `afterMs`, at least `triesMin` times and not once worked, is a bad sector for all we can know, and must not hold a sink for ever while
 * the spool fills up behind it. What lay there is then lost, said and counted like a frame that rotted.
 *
 * What cannot be told: a disk that is away as a whole for longer. Its frames that were asked for meanwhile (the oldest of each sink) are given up one
 * by one; a start reads them again if they can be read then, unless every sink has passed them.
 */
import type { Clock } from "../core/clock.ts";

export interface Endurance {
  readonly triesMin: number;
  readonly afterMs: number;
}

/** An operator has been called by then (the sink's lag fails health after two minutes), and a reset takes seconds. */
export const endurance: Endurance = { triesMin: 10, afterMs: 30 * 60_000 };

/** Places remembered: each sink is held by one, and those given up are asked for again by the sinks behind. */
const placesMax = 10_000;

export class Unreadable {
  readonly #clock: Clock;
  readonly #endurance: Endurance;
  readonly #failing = new Map<string, { sinceMs: number; tries: number }>();
  readonly #given = new Set<string>();

  constructor(clock: Clock, { triesMin, afterMs }: Endurance = endurance) {
    this.#clock = clock;
    this.#endurance = { triesMin, afterMs };
  }

  /** Whether the place was given up: it is not read again. */
  has(place: string): boolean {
    return this.#given.has(place);
  }

  worked(place: string): void {
    this.#failing.delete(place);
  }

  /** One more read of it has failed. True when that was the last. */
  failed(place: string): boolean {
    const now = this.#clock.monotonic();
    const known = this.#failing.get(place) ?? { sinceMs: now, tries: 0 };
    known.tries++;
    this.#failing.set(place, known);
    if (this.#failing.size > placesMax) for (const oldest of this.#failing.keys()) if (this.#failing.delete(oldest)) break;
    if (known.tries < this.#endurance.triesMin || now - known.sinceMs < this.#endurance.afterMs) return false;
    this.#failing.delete(place);
    this.#given.add(place);
    return true;
  }
}
