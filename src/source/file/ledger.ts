/**
 * What stands on the board for one source, each once per change of state. Each look reports all it meets; `settle` clears what was not
 * met again, so that nothing has to remember what it once reported.
 *
 * Bounded: of each code so many paths are named, and of the others only that there are more. Whoever may write into a log folder
 * could otherwise fill health, our log and our memory with a hundred thousand symlinks.
 */
import type { Board, Severity } from "../../core/board.ts";
import { Fault } from "../../core/fault.ts";

/** Left out on purpose or empty today: no reason for a run over what is there to fail. */
const harmless = new Set(["file_no_match", "file_not_regular", "file_symlink_refused"]);
/** Of one code; a person reads no more, and with one more a thousand sources are still below 25 MB of health. */
const namedMax = 50;
/** How a detail of the board is called that is no path. */
const others = "others";

export interface Standing {
  readonly fault: Fault;
  /** The path. */
  readonly detail: string;
  /** Wall milliseconds. */
  readonly sinceMs: number;
}

export class Ledger {
  readonly #board: Board;
  readonly #component: string;
  readonly #severity: Severity;
  readonly #now: () => number;
  #standing = new Map<string, Standing>();
  #met = new Map<string, Standing>();
  /** Named of each code: those that stand, and those that this look has added. */
  readonly #named = new Map<string, number>();
  /** Not named, by code: what this look has met, and what the board says. */
  #more = new Map<string, number>();
  readonly #toldMore = new Map<string, number>();

  /** `once`: what cannot be read makes the run fail, since nobody comes back to it. `now`: wall milliseconds. */
  constructor(board: Board, component: string, once: boolean, now: () => number) {
    this.#board = board;
    this.#component = component;
    this.#severity = once ? "failing" : "degraded";
    this.#now = now;
  }

  report(fault: Fault, detail: string): void {
    const key = `${fault.code}\n${detail}`;
    const before = this.#standing.get(key) ?? this.#met.get(key);
    if (before !== undefined) {
      this.#met.set(key, before);
      return;
    }
    const named = this.#named.get(fault.code) ?? 0;
    if (named >= namedMax) {
      this.#more.set(fault.code, (this.#more.get(fault.code) ?? 0) + 1);
      return;
    }
    this.#named.set(fault.code, named + 1);
    this.#met.set(key, { fault, detail, sinceMs: this.#now() });
    this.#board.raise(this.#component, this.#severityOf(fault.code), fault, detail);
  }

  settle(): void {
    for (const [key, { fault, detail }] of this.#standing) {
      if (this.#met.has(key)) continue;
      this.#board.clear(this.#component, fault.code, detail);
      this.#named.set(fault.code, (this.#named.get(fault.code) ?? 1) - 1);
    }
    this.#standing = this.#met;
    this.#met = new Map();
    this.#settleMore();
  }

  /** What stands, as of the last look. */
  standing(): Iterable<Standing> {
    return this.#standing.values();
  }

  /** How many there are beyond those that are named. */
  get unnamed(): number {
    return this.#toldMore.values().reduce((sum, count) => sum + count, 0);
  }

  /** Said anew when there are twice as many, or half: a number that changes with each look would be a line of log for each. */
  #settleMore(): void {
    for (const code of new Set([...this.#more.keys(), ...this.#toldMore.keys()])) {
      const count = this.#more.get(code) ?? 0;
      const told = this.#toldMore.get(code) ?? 0;
      if (count > 0 && told > 0 && count < 2 * told && count > told / 2) continue;
      if (told > 0) this.#board.clear(this.#component, code, others);
      this.#toldMore.delete(code);
      if (count === 0) continue;
      this.#toldMore.set(code, count);
      const message = `${namedMax} paths are named, and about ${count} more are like them`;
      const hint = "look what fills the folder, or leave it out with exclude";
      this.#board.raise(this.#component, this.#severityOf(code), new Fault({ code, retry: "later", message, hint }), others);
    }
    this.#more = new Map();
  }

  #severityOf(code: string): Severity {
    return harmless.has(code) ? "degraded" : this.#severity;
  }
}
