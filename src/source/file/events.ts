/**
 * File system events of the folders that hold quiet files: what has grown is known at once, and need not be asked for.
 *
 * Events are a hint and never the truth. Looks go on asking every file in turns, only less often where events are trusted:
 * on a local file system, once every file was looked at since the watch began. When a look finds that a file has changed and no
 * event said so by the next look, the folder's events are trusted no more. Folders with much going on are not watched: an event
 * comes for each write (thirty thousand a second at 10 MB/s), and busy files are asked ten times a second anyway.
 */
import type { Disk, Watch } from "../../core/disk.ts";

/** Looks after which every file was asked since the watch began: a look asks a fifth of the quiet ones at least. */
const looksUntilTrusted = 6;
/** More between two looks is a busy folder: each event costs 4 µs, most of it the writer's. */
const eventsPerLook = 20;
/** It is watched again this many looks later. */
const looksUntilAgain = 10;
/** Of the 8,192 watches a user has on older kernels, for all programs. */
const foldersMax = 1024;

interface Watched {
  watch: Watch | undefined;
  /** The folder's, since another one may come under its name. */
  readonly inode: number;
  looks: number;
  events: number;
  /** A change was found that no event has told yet. */
  suspect: boolean;
  closed: boolean;
}

export class Events {
  readonly #disk: Disk;
  readonly #onEvent: (path: string, kind: "change" | "names") => void;
  readonly #watched = new Map<string, Watched>();
  /** Folders that are not to be watched, and how many looks still. */
  readonly #left = new Map<string, number>();
  #told = new Set<string>();
  #toldBefore = new Set<string>();
  #over = false;

  /** `onEvent`: the file at `path` was written to (`change`), or names have come or gone in its folder (`names`). */
  constructor(disk: Disk, onEvent: (path: string, kind: "change" | "names") => void) {
    this.#disk = disk;
    this.#onEvent = onEvent;
  }

  /** A look begins. */
  begin(): void {
    this.#toldBefore = this.#told;
    this.#told = new Set();
    for (const [folder, looks] of this.#left) {
      if (looks <= 1) this.#left.delete(folder);
      else this.#left.set(folder, looks - 1);
    }
    for (const [folder, watched] of this.#watched) {
      if (watched.suspect) this.#leave(folder, Number.POSITIVE_INFINITY);
      if (watched.watch !== undefined) watched.looks++;
      watched.events = 0;
    }
  }

  /** Whether a file in `folder` that changes is told of. */
  trusts(folder: string): boolean {
    return (this.#watched.get(folder)?.looks ?? 0) > looksUntilTrusted;
  }

  /** An event has told of `path` since the look before the last one. */
  told(path: string): boolean {
    return this.#told.has(path) || this.#toldBefore.has(path);
  }

  /** The same of any path that is `wanted`. */
  tells(wanted: (path: string) => boolean): boolean {
    return this.#told.values().some(wanted) || this.#toldBefore.values().some(wanted);
  }

  /** A look has found that `path` in `folder` changed. */
  changed(folder: string, path: string): void {
    const watched = this.#watched.get(folder);
    if (watched !== undefined && this.trusts(folder) && !this.told(path)) watched.suspect = true;
  }

  /** From now on these folders, by inode, are watched and no others, as far as that makes sense. */
  keep(folders: ReadonlyMap<string, number>): void {
    for (const [folder, { inode }] of this.#watched) if (folders.get(folder) !== inode) this.#leave(folder, 0);
    for (const [folder, inode] of folders) {
      if (this.#watched.size >= foldersMax) break;
      if (!this.#watched.has(folder) && !this.#left.has(folder)) void this.#watch(folder, inode);
    }
  }

  close(): void {
    this.#over = true;
    for (const folder of this.#watched.keys()) this.#leave(folder, 0);
  }

  async #watch(folder: string, inode: number): Promise<void> {
    const watched: Watched = { watch: undefined, inode, looks: 0, events: 0, suspect: false, closed: false };
    this.#watched.set(folder, watched);
    const watch = await this.#disk.watch?.(folder, (name, kind) => this.#event(folder, watched, name, kind)).catch(() => undefined);
    if (watched.closed || this.#over) watch?.close();
    else if (watch === undefined) this.#leave(folder, Number.POSITIVE_INFINITY);
    else watched.watch = watch;
  }

  #event(folder: string, watched: Watched, name: string | undefined, kind: "change" | "names"): void {
    if (watched.closed) return;
    const path = `${folder}/${name ?? ""}`;
    watched.suspect = false;
    this.#told.add(path);
    this.#onEvent(path, name === undefined ? "names" : kind);
    if (++watched.events > eventsPerLook) this.#leave(folder, looksUntilAgain);
  }

  #leave(folder: string, looks: number): void {
    const watched = this.#watched.get(folder);
    if (watched === undefined) return;
    watched.closed = true;
    watched.watch?.close();
    this.#watched.delete(folder);
    if (looks > 0) this.#left.set(folder, looks);
  }
}
