/**
 * Whose turn it is to be read: every file with something to read comes round, and of a backlog the oldest or newest file goes first.
 *
 * - Files that keep up (one read brings them to their end) come round first, so that a busy one never starves a quiet one: after so
 *   many of them one turn goes to a file that is behind.
 * - Of the turns of those that are behind three in four go to the first by `order`, the fourth goes round: a backlog arrives in
 *   order, and none of them stands still.
 * - A file that found no descriptor stands aside (`open_files_max`) until one may be free, and costs nothing meanwhile.
 */
import { readBytes } from "../../core/limits.ts";
import type { FileConfig } from "./config.ts";
import type { Tracked } from "./tracked.ts";

/** A turn of a file that keeps up costs a tenth of a full read: with sixteen to one both sides have about half of the time. */
const keepingPerBehind = 16;
const firstPerRound = 4;

export class Turns {
  readonly #order: FileConfig["order"];
  readonly #keeping: Tracked[] = [];
  readonly #behind: Tracked[] = [];
  /** Sorted when it is asked for: the one to be opened next stands last. */
  #aside: Tracked[] = [];
  #sorted = true;
  /** A descriptor may have become free since the last one stood aside. */
  #room = false;
  #served = 0;
  #round = 0;

  constructor(order: FileConfig["order"]) {
    this.#order = order;
  }

  /** Files that have something to read. */
  get size(): number {
    return this.#keeping.length + this.#behind.length + this.#aside.length;
  }

  /** Nothing to do if it is in already. */
  enqueue(file: Tracked): void {
    if (file.queued) return;
    file.queued = true;
    this.again(file);
  }

  /** It had its turn, or could not take it, and needs another one. */
  again(file: Tracked): void {
    (file.bytes - file.readOffset > readBytes ? this.#behind : this.#keeping).push(file);
  }

  /** It needs no turn any more; whoever waits for it may go on. */
  leave(file: Tracked): void {
    file.queued = false;
    file.drained = true;
    this.#room = true;
  }

  /** No descriptor is free for it now. */
  aside(file: Tracked): void {
    file.aside = true;
    this.#aside.push(file);
    this.#sorted = false;
  }

  /** What was in flight has settled: a file may have been given up its descriptor by now. */
  settled(): void {
    this.#room = true;
  }

  /**
   * The next file, taken out; undefined when none may be read now. `known`: those that were not given up meanwhile. `mayRead`: it is
   * not waiting for what was read of it before.
   */
  next(known: ReadonlyMap<string, Tracked>, mayRead: (file: Tracked) => boolean): Tracked | undefined {
    const may = (file: Tracked): boolean => known.get(file.id) === file && isFree(file) && mayRead(file);
    this.#bringIn(known);
    const keeping = this.#served < keepingPerBehind ? this.#take(this.#keeping, known, may) : undefined;
    if (keeping !== undefined) {
      this.#served++;
      return keeping;
    }
    this.#served = 0;
    const goesRound = ++this.#round % firstPerRound === 0;
    return (goesRound ? undefined : this.#first(may)) ?? this.#take(this.#behind, known, may) ?? this.#take(this.#keeping, known, may);
  }

  #take(files: Tracked[], known: ReadonlyMap<string, Tracked>, may: (file: Tracked) => boolean): Tracked | undefined {
    for (let left = files.length; left > 0; left--) {
      const file = files.shift();
      if (file === undefined || known.get(file.id) !== file) continue;
      if (may(file)) return file;
      files.push(file);
    }
    return undefined;
  }

  #first(may: (file: Tracked) => boolean): Tracked | undefined {
    let at = -1;
    for (const [index, file] of this.#behind.entries()) {
      const best = this.#behind[at];
      if ((best === undefined || this.#compare(file, best) < 0) && may(file)) at = index;
    }
    return at < 0 ? undefined : this.#behind.splice(at, 1)[0];
  }

  /** Negative when `a` is to be read before `b`. */
  #compare(a: Tracked, b: Tracked): number {
    const older = a.modifiedMs - b.modifiedMs;
    return this.#order === "newest_first" ? -older : older;
  }

  /** One of those that stand aside is given a try; without success it stands aside again. */
  #bringIn(known: ReadonlyMap<string, Tracked>): void {
    if (!this.#room || this.#aside.length === 0) return;
    this.#room = false;
    if (!this.#sorted) this.#aside = this.#aside.filter((file) => known.get(file.id) === file).toSorted((a, b) => this.#compare(b, a));
    this.#sorted = true;
    for (let file = this.#aside.pop(); file !== undefined; file = this.#aside.pop()) {
      if (known.get(file.id) !== file) continue;
      file.aside = false;
      this.#keeping.unshift(file);
      return;
    }
  }
}

/** No older generation is before it. */
function isFree(file: Tracked): boolean {
  // One that itself finds no descriptor must not keep those that this one holds: progress before order.
  if (file.after?.drained === true || file.after?.aside === true) file.after = undefined;
  return file.after === undefined;
}
