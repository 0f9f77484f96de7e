/**
 * What must be true, in plain maps: how often each record has arrived at each place, and how often it may.
 *
 * Without trouble: a record arrives once, and in the end every one has. What each trouble excuses is said here and nowhere else.
 */
import { keyOf, parseKey, recordOf, type Origin } from "./record.ts";

export class Model {
  /** The first thing that went wrong. */
  violation: string | undefined;
  /** Records in frames that were hit at rest. */
  readonly mayMiss = new Set<string>();
  /** Places whose sink may find that a full spool has given up its records. */
  readonly mayDrop = new Set<string>();
  /** Records that two spools hold since a copy was made: each sends them. */
  readonly shared = new Set<string>();
  /** Places where repeats are no fault: their journal was lost, or two copies of one spool take turns at an ingest. */
  readonly mayRepeat = new Set<string>();
  readonly #arrived = new Map<string, Map<string, number>>();
  readonly #origins = new Map<string, Origin>();

  violate(what: string): void {
    this.violation ??= what;
  }

  addOrigin(origin: Origin): void {
    this.#origins.set(`${origin.host}/${origin.source}`, origin);
  }

  arrived(place: string, lines: readonly string[]): void {
    let counts = this.#arrived.get(place);
    if (counts === undefined) this.#arrived.set(place, (counts = new Map()));
    for (const line of lines) {
      const found = parseKey(line);
      const origin = found === undefined ? undefined : this.#origins.get(`${found.host}/${found.source}`);
      if (found === undefined || origin === undefined || line !== recordOf(origin, found.n)) {
        this.violate(`${place}: foreign: ${line.slice(0, 120)}`);
        continue;
      }
      const key = keyOf(found, found.n);
      const count = (counts.get(key) ?? 0) + 1;
      counts.set(key, count);
      if (count > (this.shared.has(key) ? 2 : 1) && !this.mayRepeat.has(place)) this.violate(`${place}: ${count} times: ${key}`);
    }
  }

  withdrawn(place: string, lines: readonly string[]): void {
    const counts = this.#arrived.get(place);
    for (const line of lines) {
      const found = parseKey(line);
      const key = found === undefined ? "" : keyOf(found, found.n);
      const count = (counts?.get(key) ?? 0) - 1;
      if (count > 0) counts?.set(key, count);
      else counts?.delete(key);
    }
  }

  has(place: string, key: string): boolean {
    return this.#arrived.get(place)?.has(key) ?? false;
  }

  /** Every record of `origin` from `first` up to `end - 1` has arrived at `place`, but for those that may be missing; gives how many were, and why they may. */
  complete(place: string, origin: Origin, first: number, end: number): { lost: number; dropped: number } {
    const missing = { lost: 0, dropped: 0 };
    for (let n = first; n < end; n++) {
      const key = keyOf(origin, n);
      if (this.has(place, key)) continue;
      missing[this.mayDrop.has(place) ? "dropped" : "lost"]++;
      if (!this.mayMiss.has(key) && !this.mayDrop.has(place)) this.violate(`${place}: lost: ${key} (records ${first} to ${end - 1} are due)`);
    }
    return missing;
  }
}
