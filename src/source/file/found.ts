/**
 * Looks at the disk: which files match now. Nothing here knows what was read.
 *
 * A look asks only for what can have changed: names by their folder's time (folders.ts), quiet files in turns, and rarely where
 * file system events tell of them (events.ts).
 *
 * Only regular files come out, each once, however many patterns, symlinks and hard links lead to it. A symlink, to a file or to a
 * folder on the way to it, counts when it leads below the folder some pattern begins with, or below one of `symlink_roots`: who may
 * write into a log folder must not be able to ship /etc/shadow by it. What changes between this look and the opening is held
 * against the same roots once more (descriptors.ts).
 */
import { dirname } from "node:path";
import type { Disk, FileStat } from "../../core/disk.ts";
import { errnoOf, type Fault } from "../../core/fault.ts";
import type { Events } from "./events.ts";
import { Folders } from "./folders.ts";
import { noMatch, notRegular, symlinkRefused, unreadable } from "./faults.ts";
import { walk, type Pattern } from "./glob.ts";

export interface Found {
  /** As it matched: what the records and the status say. */
  readonly path: string;
  /** What is opened: `path`, or where it leads. Never a symlink itself. */
  readonly target: string;
  readonly stat: FileStat;
}

export interface Globs {
  readonly patterns: readonly Pattern[];
  readonly excluded: (path: string) => boolean;
  readonly symlinkRoots: readonly string[];
}

/** Calls to the disk at once: beyond this the thread pool gains nothing. In a batch a stat costs 2.4 to 5 µs, one by one 17. */
const batch = 64;
/** A file that was seen to change within this time is looked at in every look. */
const busyMs = 10_000;
/** Of the others so many are, and at least a fifth of them: 500 are 0.25 % of a core every second, ten thousand take five looks. */
const quietPerLook = 500;
/** Where events are trusted: all within half a minute. */
const looksForTrusted = 30;

interface Seen {
  readonly found: Found;
  readonly folder: string;
  /** Monotonic milliseconds when it was last seen to have changed. */
  readonly changedAt: number;
}

export function inodeKey(stat: { device: number; inode: number }): string {
  return `${stat.device}:${stat.inode}`;
}

export class Finder {
  readonly #disk: Disk;
  readonly #globs: Globs;
  readonly #monotonic: () => number;
  readonly #folders: Folders;
  readonly #events: Events | undefined;
  #seen = new Map<string, Seen>();
  /** Of `#seen`: its paths, and when the last of them is quiet. */
  #paths: readonly string[] = [];
  #quietAt = Number.NEGATIVE_INFINITY;
  /** The next path in turn, and how often the turn has come round. */
  #turn = 0;
  #round = 0;
  /** The last look in full met nothing but plain files in folders it has listed. */
  #plain = false;
  #changed = false;
  #result = new Map<string, Found>();
  #roots: readonly string[] = [];

  /** Without `events` every quiet file is asked in turns. */
  constructor(disk: Disk, globs: Globs, monotonic: () => number, events?: Events) {
    this.#disk = disk;
    this.#globs = globs;
    this.#monotonic = monotonic;
    this.#folders = new Folders(disk);
    this.#events = events;
  }

  /** All files that match, by `inodeKey`, of several names for one file the first. The same map as before when nothing has changed. */
  async find(report: (fault: Fault, detail: string) => void): Promise<Map<string, Found>> {
    this.#folders.begin();
    this.#events?.begin();
    const quiet = this.#quietSlice();
    const now = this.#monotonic();
    if (await this.#nothingNew(quiet, now)) return this.#result;
    let reported = 0;
    const seen = await this.#lookAtAll(quiet, now, (fault, detail) => {
      reported++;
      report(fault, detail);
    });
    this.#plain = reported === 0 && this.#watchFolders(seen);
    if (!this.#changed && seen.size === this.#seen.size) return this.#result;
    this.#take(seen);
    return this.#result;
  }

  #take(seen: Map<string, Seen>): void {
    this.#seen = seen;
    this.#paths = [...seen.keys()];
    this.#result = new Map();
    for (const { found, changedAt } of seen.values()) {
      this.#quietAt = Math.max(this.#quietAt, changedAt + busyMs);
      const key = inodeKey(found.stat);
      if (!this.#result.has(key)) this.#result.set(key, found);
    }
  }

  /** The whole look as a rule: all is quiet, the folders stand as they were, and so do the files whose turn it is. */
  async #nothingNew(quiet: ReadonlySet<string>, now: number): Promise<boolean> {
    if (!this.#plain || now < this.#quietAt || this.#events?.tells((path) => this.#seen.has(path)) === true) return false;
    if (!(await this.#folders.stand())) return false;
    const due = [...quiet];
    for (let at = 0; at < due.length; at += batch) {
      const stats = await Promise.all(due.slice(at, at + batch).map((path) => this.#disk.stat(path, false).catch(() => undefined)));
      const same = stats.every((stat, index) => {
        const known = this.#seen.get(due[at + index] ?? "")?.found;
        return stat?.kind === "file" && known !== undefined && isSame(known, { ...known, stat });
      });
      if (!same) return false;
    }
    return true;
  }

  async #lookAtAll(quiet: ReadonlySet<string>, now: number, report: (fault: Fault, detail: string) => void): Promise<Map<string, Seen>> {
    this.#roots = await realRoots(this.#disk, this.#globs);
    const looker = new Looker(this.#disk, (place) => this.allows(place), report);
    this.#changed = false;
    const seen = new Map<string, Seen>();
    const matched = new Set<string>();
    for (const pattern of this.#globs.patterns) {
      const paths = await this.#walk(pattern, report);
      for (let at = 0; at < paths.length; at += batch) {
        const part = paths.slice(at, at + batch).filter((path) => !this.#carryOver(path, now, quiet, seen));
        const results = await Promise.all(part.map((path) => looker.look(path, pattern)));
        for (const found of results) {
          if (found === "told") matched.add(pattern.text);
          else if (found !== undefined) seen.set(found.path, this.#note(found, now));
        }
      }
      if (paths.some((path) => seen.has(path))) matched.add(pattern.text);
    }
    for (const { text, named } of this.#globs.patterns) {
      if (!matched.has(text)) report(noMatch(text, named), text);
      matched.add(text); // one report, however many alternatives its braces spell out
    }
    return seen;
  }

  /** Whether what really lies at `place` may be read: below a folder that some pattern begins with, or one of `symlink_roots`. */
  allows(place: string): boolean {
    return this.#roots.some((root) => root === "/" || place === root || place.startsWith(`${root}/`));
  }

  /** Whether the last look found a file under `path`. */
  knows(path: string): boolean {
    return this.#seen.has(path);
  }

  async #walk(pattern: Pattern, report: (fault: Fault, detail: string) => void): Promise<string[]> {
    const paths: string[] = [];
    await walk(
      this.#folders,
      pattern,
      (path) => paths.push(path),
      (folder, cause) => report(unreadable("list", folder, cause), folder),
    );
    return paths.filter((path) => !this.#globs.excluded(path));
  }

  /** Takes over what the last look saw of `path` when it needs no look of its own now. */
  #carryOver(path: string, now: number, quiet: ReadonlySet<string>, seen: Map<string, Seen>): boolean {
    if (seen.has(path)) return true;
    const known = this.#seen.get(path);
    if (known === undefined || known.found.target !== path || !this.#settled(known.folder)) return false;
    if (quiet.has(path) || now - known.changedAt < busyMs || this.#events?.told(path) === true) return false;
    seen.set(path, known);
    return true;
  }

  #settled(folder: string): boolean {
    return this.#folders.settled(folder, this.#events?.trusts(folder) === true);
  }

  /** The quiet files whose turn it is: where events are trusted, only every so many rounds. */
  #quietSlice(): Set<string> {
    const slice = new Set<string>();
    const paths = this.#paths;
    const count = Math.min(paths.length, Math.max(quietPerLook, Math.ceil(paths.length / 5)));
    const rounds = Math.max(1, Math.round((looksForTrusted * count) / paths.length));
    for (let left = count; left > 0; left--) {
      if (this.#turn >= paths.length) {
        this.#turn = 0;
        this.#round++;
      }
      const path = paths[this.#turn++] ?? "";
      const trusted = this.#events?.trusts(this.#seen.get(path)?.folder ?? "") === true;
      if (!trusted || (this.#turn + this.#round) % rounds === 0) slice.add(path);
    }
    return slice;
  }

  /** Has the folders of what was seen watched. True when all of it are plain files in folders that were listed. */
  #watchFolders(seen: ReadonlyMap<string, Seen>): boolean {
    let plain = true;
    const folders = new Map<string, number>();
    for (const { folder, found } of seen.values()) {
      const inode = folders.get(folder) ?? this.#folders.inode(folder);
      if (inode === undefined || found.target !== found.path) plain = false;
      if (inode !== undefined) folders.set(folder, inode);
    }
    this.#events?.keep(folders);
    return plain;
  }

  #note(found: Found, now: number): Seen {
    const before = this.#seen.get(found.path);
    if (before !== undefined && isSame(before.found, found)) return before;
    this.#changed = true;
    const folder = before?.folder ?? dirname(found.path);
    if (before?.found.stat.inode === found.stat.inode && found.path === found.target) this.#events?.changed(folder, found.path);
    // What is there at the first look is taken for quiet: its modification time may be from anywhere.
    return { found, folder, changedAt: this.#seen.size === 0 ? Number.NEGATIVE_INFINITY : now };
  }
}

/** One look, for whoever needs no second. */
export function findFiles(disk: Disk, globs: Globs, report: (fault: Fault, detail: string) => void): Promise<Map<string, Found>> {
  return new Finder(disk, globs, () => 0).find(report);
}

function isSame(a: Found, b: Found): boolean {
  return (
    a.target === b.target &&
    a.stat.inode === b.stat.inode &&
    a.stat.device === b.stat.device &&
    a.stat.bytes === b.stat.bytes &&
    a.stat.modifiedMs === b.stat.modifiedMs
  );
}

async function realRoots(disk: Disk, globs: Globs): Promise<string[]> {
  const roots = new Set([...globs.patterns.map((pattern) => pattern.root), ...globs.symlinkRoots]);
  return Promise.all([...roots].map((root) => disk.realpath(root).catch(() => root)));
}

/** One look at one path after the other: what is there, and may it be read? */
class Looker {
  readonly #disk: Disk;
  readonly #allows: (place: string) => boolean;
  readonly #report: (fault: Fault, detail: string) => void;
  /** Whether a folder's files may be read, by its path: a symlink on the way may lead anywhere. */
  readonly #folders = new Map<string, Promise<boolean>>();

  constructor(disk: Disk, allows: (place: string) => boolean, report: (fault: Fault, detail: string) => void) {
    this.#disk = disk;
    this.#allows = allows;
    this.#report = report;
  }

  /** A file; `told` when something is there that cannot be read and `report` knows why; undefined when nothing is there. */
  async look(path: string, pattern: Pattern): Promise<Found | "told" | undefined> {
    try {
      const own = await this.#disk.stat(path, false);
      if (own === undefined || (own.kind === "directory" && pattern.everyName)) return undefined;
      if (!(await this.#folderAllowed(dirname(path), pattern.root))) return "told";
      if (own.kind === "file") return { path, target: path, stat: own };
      if (own.kind === "symlink") return await this.#follow(path, pattern);
      this.#report(notRegular(path, own.kind), path);
    } catch (cause) {
      if (["ENOENT", "ENOTDIR"].includes(errnoOf(cause) ?? "")) return undefined; // gone since it was listed
      this.#report(unreadable("look at", path, cause), path);
    }
    return "told";
  }

  async #follow(path: string, pattern: Pattern): Promise<Found | "told" | undefined> {
    const target = await this.#disk.realpath(path);
    if (!this.#allows(target)) {
      this.#report(symlinkRefused(path, target), path);
      return "told";
    }
    const stat = await this.#disk.stat(target, false);
    if (stat === undefined || (stat.kind === "directory" && pattern.everyName)) return undefined;
    if (stat.kind === "file") return { path, target, stat };
    this.#report(notRegular(path, stat.kind), path);
    return "told";
  }

  #folderAllowed(folder: string, root: string): boolean | Promise<boolean> {
    if (folder === root) return true;
    const known = this.#folders.get(folder) ?? this.#lookAtFolder(folder);
    this.#folders.set(folder, known);
    return known;
  }

  async #lookAtFolder(folder: string): Promise<boolean> {
    const place = await this.#disk.realpath(folder);
    if (this.#allows(place)) return true;
    this.#report(symlinkRefused(folder, place), folder);
    return false;
  }
}
