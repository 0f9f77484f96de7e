/**
 * The bound on what deleted files hold on disk because we still read them (`deleted_bytes_max`).
 *
 * A deleted file frees its space when the last descriptor is closed: a collector that cannot go on, since a sink is away, would fill
 * the disk with files that nobody sees. Beyond the bound the one deleted first is given up, and what was not read of it is counted.
 * A file that is being read comes to its end by itself and is left that time, as long as it moves and not longer than a minute.
 */
import type { Board } from "../../core/board.ts";
import type { Catalog } from "./catalog.ts";
import { deletedUnread, goneUnread } from "./faults.ts";
import type { Tracked } from "./tracked.ts";

/** A look costs a pass over all files. */
const everyMs = 1000;
/** A commit group at a slow disk, or a pause of the spool, is shorter than this. */
const stillMs = 5000;
const movingMsMax = 60_000;

interface Seen {
  offset: number;
  movedMs: number;
}

/** What deleted files hold on disk now because we still read them. Counted when asked, so that it agrees with the list of files beside it. */
export function heldBytes(files: Iterable<Tracked>): number {
  return bytesOf(heldIn(files));
}

function heldIn(files: Iterable<Tracked>): Tracked[] {
  return [...files].filter(({ state, handle }) => state === "deleted" && handle !== undefined);
}

function bytesOf(files: readonly Tracked[]): number {
  return files.reduce((total, { bytes }) => total + bytes, 0);
}

export class Deleted {
  /** What was given up unread so far. */
  lostBytes = 0;
  readonly #bytesMax: number;
  readonly #board: Board;
  readonly #component: string;
  readonly #seen = new WeakMap<Tracked, Seen>();
  #nextMs = 0;

  constructor(bytesMax: number, board: Board, component: string) {
    this.#bytesMax = bytesMax;
    this.#board = board;
    this.#component = component;
  }

  /** `now`: monotonic milliseconds. */
  look(catalog: Catalog, now: number): void {
    if (now < this.#nextMs) return;
    this.#nextMs = now + everyMs;
    const held = heldIn(catalog.files.values());
    for (const file of held) this.#note(file, now);
    let left = bytesOf(held);
    if (left <= this.#bytesMax) return;
    held.sort((a, b) => a.deletedAt - b.deletedAt);
    for (const file of held) {
      const unread = Math.max(0, file.bytes - file.readOffset);
      if (unread > 0 && this.#moves(file, now)) continue;
      left -= file.bytes;
      this.lostBytes += unread;
      if (unread > 0) this.#board.count(this.#component, deletedUnread(file.path, unread));
      catalog.lose(file, "deleted");
      if (left <= this.#bytesMax) return;
    }
  }

  /** It went while no descriptor was free for it. What had come since the last look at it cannot be known. */
  gone(file: Tracked): void {
    const unread = file.packed === undefined ? file.bytes - file.readEnd : 0;
    if (unread <= 0) return;
    this.lostBytes += unread;
    this.#board.count(this.#component, goneUnread(file.path, unread));
  }

  #note(file: Tracked, now: number): void {
    const { offset } = file.durable;
    const seen = this.#seen.get(file);
    if (seen === undefined) this.#seen.set(file, { offset, movedMs: now });
    else if (seen.offset !== offset) Object.assign(seen, { offset, movedMs: now });
  }

  #moves(file: Tracked, now: number): boolean {
    const seen = this.#seen.get(file);
    return seen !== undefined && now - seen.movedMs < stillMs && now - file.deletedAt < movingMsMax;
  }
}
