/**
 * When segments go: once every sink has passed them and, with `retain`, have been kept that long; delivered ones yield
 * first when space is short. Before the first goes, a checkpoint that covers it is written, synced and read back.
 */
import type { Clock } from "../core/clock.ts";
import type { Segment, Segments } from "./segments.ts";

export class Retain {
  readonly #segments: Segments;
  readonly #clock: Clock;
  readonly #retainMs: number;
  /** Makes sure that a checkpoint covers `group`. */
  readonly #cover: (group: number) => Promise<void>;
  /** Sink → everything before this has arrived there. A sink that has not spoken yet holds all. */
  readonly #claims = new Map<string, number>();
  #running: Promise<void> | undefined;
  #again = false;

  constructor(segments: Segments, clock: Clock, retainMs: number, sinks: readonly string[], cover: (group: number) => Promise<void>) {
    this.#segments = segments;
    this.#clock = clock;
    this.#retainMs = retainMs;
    this.#cover = cover;
    for (const sink of sinks) this.#claims.set(sink, 0);
  }

  claim(sink: string, sequence: number): void {
    this.#claims.set(sink, sequence);
  }

  /** The oldest sequence somebody still needs. */
  needed(): number {
    return Math.min(...this.#claims.values());
  }

  /** Removes what may go. With `short`, also what `retain` would keep. Calls during a run join it and make it look again. */
  run(short: boolean): Promise<void> {
    this.#again = this.#running !== undefined;
    this.#running ??= this.#remove(short).finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #remove(short: boolean): Promise<void> {
    do {
      this.#again = false;
      const gone = this.#segments.all().filter((segment) => this.#mayGo(segment, short));
      const last = gone.at(-1);
      if (last === undefined) continue;
      await this.#cover(last.lastGroup);
      for (const segment of gone) await this.#segments.remove(segment);
    } while (this.#again);
  }

  #mayGo(segment: Segment, short: boolean): boolean {
    if (segment.endedMs === undefined || segment.nextSequence > this.needed()) return false;
    return short || this.#clock.monotonic() - segment.endedMs >= this.#retainMs;
  }
}
