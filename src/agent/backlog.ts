/**
 * How long a source still has to read until it has caught up, from looks a second apart.
 *
 * The time left is what is left by how fast that shrinks, and not by how fast we read: a writer that keeps up with us has no end.
 */
import type { BacklogStatus } from "../core/view.ts";

/** Below this a source simply reads what comes: a second of a busy host. */
const bytesMin = 16 * 2 ** 20;
/** Looks an estimate is drawn from: long enough for commits and pauses of the sinks, short enough to see that something changed. */
const looksMax = 15;

interface Look {
  readonly lagBytes: number;
  readonly bytes: number;
  readonly atMs: number;
}

export class Backlog {
  #looks: Look[] = [];

  /** `lagBytes`: left to read. `bytes`: read since the start. `atMs`: monotonic. */
  look(lagBytes: number, bytes: number, atMs: number): void {
    if (lagBytes < bytesMin) this.#looks = [];
    else this.#looks.push({ lagBytes, bytes, atMs });
    if (this.#looks.length > looksMax) this.#looks.shift();
  }

  /** Undefined while there is none. `lagBytes`: left to read by now. */
  status(lagBytes: number): BacklogStatus | undefined {
    const first = this.#looks[0];
    const last = this.#looks.at(-1);
    if (first === undefined || last === undefined || lagBytes === 0) return undefined;
    const seconds = (last.atMs - first.atMs) / 1000;
    const read = seconds > 0 ? Math.max(0, last.bytes - first.bytes) / seconds : 0;
    const shrinks = seconds > 0 ? (first.lagBytes - last.lagBytes) / seconds : 0;
    return {
      bytes_left: lagBytes,
      bytes_per_second: Math.round(read),
      ...(shrinks > 0 ? { seconds_left: Math.ceil(lagBytes / shrinks) } : {}),
    };
  }
}
