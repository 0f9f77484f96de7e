/**
 * What we read and what we have read: every file of the source, and the positions of files that are gone for now.
 *
 * A look at the disk (found.ts) is taken in by `apply`, in this order, so that a file is known again before its name is
 * given away: files we track, by inode · known positions, by inode, in the globs · the same beside them, outside of the
 * globs (renamed while we were down) · copies and new files, by content (identity.ts).
 *
 * A file is opened when it is found, not when its turn comes: from then on it can be renamed and deleted and is read to
 * its end. Beyond `open_files_max` the one least recently grown is closed, never one that is not read to its end.
 *
 * Not to be known: a file that came and left the globs between two looks. Globs with the rotated names (`app.log*`) leave nothing to chance.
 */
import { dirname, join } from "node:path";
import type { PositionDelta, SourceContext } from "../../core/contract.ts";
import { errnoOf, type Fault } from "../../core/fault.ts";
import { startAtEnd } from "./begin.ts";
import type { FileConfig } from "./config.ts";
import { Copies } from "./copies.ts";
import { Descriptors } from "./descriptors.ts";
import { judge, mayHoldSame, type Candidate } from "./examine.ts";
import { truncated, unreadable } from "./faults.ts";
import { expire, forgetAt, keptMs } from "./forget.ts";
import { inodeKey, type Found } from "./found.ts";
import { generationBefore, markRotated } from "./generations.ts";
import { rotatedFrom, stemOf, type Verdict } from "./identity.ts";
import { positionToJson, type Position } from "./position.ts";
import { Tracked, unreadPosition } from "./tracked.ts";
import { isUnpacking } from "./unpacking.ts";

export interface CatalogOptions {
  readonly context: SourceContext;
  readonly config: FileConfig;
  readonly positions: ReadonlyMap<string, Position>;
  /** Commits positions without records. */
  readonly commit: (delta: PositionDelta) => void;
  /** Nothing more is read of it. */
  readonly ended: (file: Tracked) => void;
  /** It is nowhere to be found, and nobody holds it open. */
  readonly gone: (file: Tracked) => void;
  /** There may be something to read in it. */
  readonly enqueue: (file: Tracked) => void;
  readonly report: (fault: Fault, detail: string) => void;
  /** Whether what really lies at a place may be read. */
  readonly allows: (place: string) => boolean;
  /** Very first start with `start: end`: what is there now is taken as read. */
  readonly fromEnd: boolean;
}

/** Known files by the stem of their name. */
interface Kin {
  readonly lost: Map<string, readonly (readonly [string, Position])[]>;
  readonly standing: ReadonlyMap<string, readonly Tracked[]>;
}

export class Catalog {
  readonly files = new Map<string, Tracked>();
  /** Compressed files. */
  readonly copies: Copies;
  readonly #options: CatalogOptions;
  readonly #byInode = new Map<string, Tracked>();
  /** Known, but not there. */
  readonly #lost: Map<string, Position>;
  /** Copies of files that still stand, as they were when compared. */
  readonly #watched = new Map<string, { id: string; bytes: number; modifiedMs: number }>();
  readonly #descriptors: Descriptors;
  #first = true;
  #settled = false;

  constructor(options: CatalogOptions) {
    this.#options = options;
    this.#descriptors = new Descriptors(options.context.doors.disk, options.config.open_files_max, options.allows, options.report);
    this.#lost = new Map(options.positions);
    this.copies = new Copies({ ...options, catalog: this, descriptors: this.#descriptors, lost: this.#lost });
  }

  /** Another `apply` of the same look would change nothing. */
  get settled(): boolean {
    return this.#settled && !this.copies.faulty && this.files.values().every((file) => file.fault === undefined);
  }

  /** False once it was lost: then its identity may be another file's, its copy's. */
  follows(file: Tracked): boolean {
    return this.files.get(file.id) === file;
  }

  /** Takes in what a look has found. Faults of single files are reported, never thrown. */
  async apply(found: ReadonlyMap<string, Found>): Promise<void> {
    this.#settled = true;
    const unknown: Found[] = [];
    const missing: Tracked[] = [];
    for (const file of this.files.values()) {
      const seen = found.get(inodeKey(file));
      file.named = seen !== undefined;
      if (seen !== undefined) await this.#meet(file, seen);
      else if (file.handle === undefined) missing.push(file);
      else if (file.state === "live") file.state = "rotated";
    }
    for (const file of missing) this.lose(file, "gone");
    for (const [key, seen] of found) if (!this.#byInode.has(key)) unknown.push(seen);
    const plain = await this.copies.take(unknown, this.#options.fromEnd && this.#first);
    const rest = await this.#returned(plain);
    if (this.#first || missing.length > 0)
      await this.#renamedAway(missing.length > 0 && !this.#first ? new Set(missing.map((file) => file.id)) : undefined);
    for (const file of missing) if (!this.files.has(file.id)) this.#options.gone(file);
    await this.#newcomers(rest, found);
    markRotated(this.files.values(), found);
    this.#options.commit(expire(this.#lost, this.#options.context.doors.clock.now()));
    for (const key of this.#watched.keys()) if (!found.has(key)) this.#watched.delete(key);
    for (const file of this.files.values()) if (file.fault !== undefined) this.#options.report(file.fault, file.path);
    this.#settled = plain.every((seen) => this.#byInode.has(inodeKey(seen.stat)));
    this.#first = false;
  }

  /** Opens `file` if that can be done now; false when it cannot. A file that turns out to be another one is lost. */
  async open(file: Tracked): Promise<boolean> {
    if (file.handle !== undefined) return true;
    // What is compressed is opened by copies.ts alone.
    if (file.packed !== undefined || !this.#descriptors.makeRoom()) return false;
    try {
      const candidate = await this.#descriptors.candidate(file.path, file.target, file.readOffset === 0);
      const verdict = candidate === undefined ? undefined : await judge(candidate, file.position(), undefined);
      if (candidate === undefined || verdict?.verdict !== "same") {
        await candidate?.handle.close();
        this.lose(file, "gone"); // the next look finds out what there is
        return false;
      }
      this.#descriptors.attach(file, candidate);
      file.setHead(candidate.head.slice(0, file.readOffset));
      file.fault = undefined;
      return true;
    } catch (cause) {
      file.fail(unreadable("open", file.path, cause), this.#options.context.doors.clock.now());
      return false;
    }
  }

  /** `file` was cut or written anew under our eyes: what it held is lost to us, what it holds now is read from 0. */
  async cut(file: Tracked): Promise<void> {
    if (file.packed !== undefined) return this.lose(file, "gone"); // the next look finds out what there is
    const { handle, path, target, state } = file;
    const stat = await handle?.stat();
    const unread = Math.max(file.bytes, file.readEnd) - file.readOffset;
    if (unread > 0) this.#options.context.board.count(this.#component, truncated(path, unread));
    this.#options.context.log.info("file was cut", { component: this.#component, path, read: file.readOffset });
    if (stat === undefined || handle === undefined) return this.lose(file, "gone");
    file.handle = undefined;
    this.lose(file, "gone");
    const anew = this.#track(this.#newId(), unreadPosition(path, stat), { path, target, stat });
    this.#descriptors.move(file, anew, handle);
    anew.state = state;
    this.#options.enqueue(anew);
  }

  /** A call on an open file has failed, with `fault` if it has none yet. The next look tries again. */
  failed(file: Tracked, fault?: Fault): void {
    if (fault !== undefined) file.fail(fault, this.#options.context.doors.clock.now());
    file.bytes = -1;
    // A file server that has forgotten the file never takes this handle again; its name leads on, or to nothing.
    if (errnoOf(file.fault?.cause) === "ESTALE") this.#descriptors.close(file);
  }

  /** Gives a file up: it is not read any more, its position is kept for a while. Its descriptor is closed. */
  lose(file: Tracked, why: keyof typeof keptMs): void {
    this.#settled = false;
    this.files.delete(file.id);
    if (this.#byInode.get(inodeKey(file)) === file) this.#byInode.delete(inodeKey(file));
    file.drained = true;
    if (file.handle !== undefined) this.#descriptors.close(file);
    this.#options.ended(file);
    const known = file.rejected ? file.durable : file.position();
    if (known.offset === 0 && known.packed?.done === undefined) return;
    const position = { ...known, forget: this.#options.context.doors.clock.now() + keptMs[why] };
    this.#lost.set(file.id, position);
    this.#options.commit({ [file.id]: positionToJson(position) });
  }

  async closeAll(): Promise<void> {
    for (const file of this.files.values()) await file.handle?.close();
  }

  get #component(): string {
    return `sources.${this.#options.context.name}`;
  }

  get #now(): number {
    return this.#options.context.doors.clock.monotonic();
  }

  /** A tracked file was found again, by its inode. */
  async #meet(file: Tracked, seen: Found): Promise<void> {
    if (file.packed !== undefined) return this.copies.meet(file, seen);
    file.path = seen.path;
    file.target = seen.target;
    if (file.state === "rotated") file.state = "live"; // until markRotated says otherwise
    if (seen.stat.bytes === file.bytes && seen.stat.modifiedMs === file.modifiedMs && file.fault === undefined) return;
    // An open file is looked at by its descriptor, which is fresher than this look.
    if (file.handle !== undefined) file.lookAt = 0;
    else if ((await this.open(file)) || file.fault === undefined) this.#options.enqueue(file);
  }

  /** Known files by their inode. Returns what is not among them. */
  async #returned(unknown: readonly Found[]): Promise<Found[]> {
    const byInode = Map.groupBy(this.#lost, ([, position]) => inodeKey(position));
    const rest: Found[] = [];
    for (const seen of unknown) {
      const known = byInode.get(inodeKey(seen.stat));
      if (known === undefined || (await this.#takeUp(seen, known)) === "another") rest.push(seen);
    }
    return rest;
  }

  /** Goes on with the first of `known` that `seen` is, the freshest first. */
  async #takeUp(seen: Found, known: readonly (readonly [string, Position])[]): Promise<Tracked | "another" | "moved"> {
    const ordered = known.toSorted(([, a], [, b]) => (b.forget ?? Infinity) - (a.forget ?? Infinity) || b.offset - a.offset);
    const strange = known.some(([, position]) => position.offset === 0);
    return this.#withCandidate(seen, strange, async (candidate) => {
      for (const [id, position] of ordered) {
        if ((await judge(candidate, position, undefined)).verdict === "same") return this.#adopt(id, position, seen, candidate);
      }
      return "another";
    });
  }

  /** Known files that match no glob any more: looked for beside where they were, since they may not be read to their end. */
  async #renamedAway(only: ReadonlySet<string> | undefined): Promise<void> {
    const sought = [...this.#lost].filter(([id, { packed }]) => packed === undefined && (only === undefined || only.has(id)));
    const { disk } = this.#options.context.doors;
    for (const [folder, known] of Map.groupBy(sought, ([, position]) => dirname(position.path))) {
      const byInode = Map.groupBy(known, ([, position]) => inodeKey(position));
      for (const name of await disk.list(folder).catch(() => [])) {
        const path = join(folder, name);
        const stat = await disk.stat(path, false).catch(() => undefined);
        const same = stat?.kind === "file" && !this.#byInode.has(inodeKey(stat)) ? byInode.get(inodeKey(stat)) : undefined;
        if (stat === undefined || same === undefined) continue;
        const file = await this.#takeUp({ path, target: path, stat }, same);
        if (typeof file !== "string") file.state = "rotated";
      }
    }
    this.#options.commit(forgetAt(this.#lost, this.#options.context.doors.clock.now() + keptMs.gone));
  }

  /** Files no known position has the inode of: copies, or new. The oldest first, so that generations are read in order, unless the newest are wanted. */
  async #newcomers(unknown: readonly Found[], found: ReadonlyMap<string, Found>): Promise<void> {
    if (unknown.length === 0) return;
    const { config, context } = this.#options;
    const now = context.doors.clock.now();
    const live = new Set([...found.values()].map((seen) => seen.path));
    const kin: Kin = {
      lost: Map.groupBy(this.#lost, ([, position]) => stemOf(position.path)),
      standing: Map.groupBy(this.files.values(), (file) => stemOf(file.path)),
    };
    const families = Map.groupBy(
      [...this.files.values()].filter((file) => file.packed === undefined),
      (file) => rotatedFrom(file.name),
    );
    const ordered = unknown.toSorted((a, b) => a.stat.modifiedMs - b.stat.modifiedMs || b.path.localeCompare(a.path, "en", { numeric: true }));
    const newest = config.order === "newest_first";
    if (newest) ordered.reverse();
    for (const seen of ordered) {
      if (config.ignore_older !== undefined && now - seen.stat.modifiedMs > config.ignore_older) continue;
      if (await this.#isCopy(seen, kin)) continue;
      const file = this.#track(this.#newId(), unreadPosition(seen.path, seen.stat), seen);
      const base = rotatedFrom(file.path);
      const family = families.get(base) ?? [];
      if (!newest && live.has(base)) this.#order(file, family);
      families.set(base, [...family, file]);
      if (this.#options.fromEnd && this.#first) await this.#startAtEnd(file);
      else if ((await this.open(file)) || file.fault === undefined) this.#options.enqueue(file);
    }
  }

  /** True when `seen` is, or may be becoming, a copy of a known file: then it goes on for it, or is watched. */
  async #isCopy(seen: Found, kin: Kin): Promise<boolean> {
    const key = inodeKey(seen.stat);
    const stem = stemOf(seen.path);
    const watched = this.#watched.get(key);
    const unchanged = watched !== undefined && watched.bytes === seen.stat.bytes && watched.modifiedMs === seen.stat.modifiedMs;
    if (unchanged && this.files.has(watched.id)) return true;
    const lost = (kin.lost.get(stem) ?? []).filter(([id, position]) => position.offset > 0 && this.#lost.has(id));
    const standing = (kin.standing.get(stem) ?? []).filter((file) => file.readOffset > 0 && this.follows(file));
    if (lost.length === 0 && standing.length === 0) return false;
    const owner = await this.#withCandidate(seen, true, async (candidate) => {
      for (const [id, position] of lost.toSorted(([, a], [, b]) => b.offset - a.offset)) {
        if ((await judge(candidate, position, undefined)).verdict === "copy") return this.#adopt(id, position, seen, candidate);
      }
      for (const file of standing.filter((each) => mayHoldSame(candidate, each))) {
        const verdict = await this.#judgeStanding(candidate, file);
        if (verdict === "watch") return file;
        const known = this.follows(file) ? undefined : this.#lost.get(file.id);
        if (known === undefined) continue;
        if (verdict === "copy") return this.#adopt(file.id, known, seen, candidate);
        kin.lost.set(stem, [...(kin.lost.get(stem) ?? []), [file.id, known]]); // the next one may be its copy
      }
      return isUnpacking(this.#options.context, candidate, seen, [...lost.map(([, known]) => known), ...standing.map((file) => file.position())])
        ? "moved"
        : "another";
    });
    if (owner === "moved") return true; // a later look will tell
    if (owner === "another") return unchanged && this.#skipRead(seen, watched.id);
    if (inodeKey(owner) !== key) this.#watched.set(key, { id: owner.id, bytes: seen.stat.bytes, modifiedMs: seen.stat.modifiedMs });
    return true;
  }

  /**
   * The verdict on a candidate and a file we follow. That file may have been truncated since we last read of it, and a comparison with what it
   * holds now says nothing then: so it is asked after the comparison whether it still holds what was read, and is taken for cut if not.
   */
  async #judgeStanding(candidate: Candidate, file: Tracked): Promise<Verdict> {
    if (file.packed !== undefined) return (await judge(candidate, file.position(), undefined)).verdict === "copy" ? "watch" : "new";
    if (!(await this.open(file)) || file.handle === undefined) return "new";
    const known = file.position();
    const { verdict } = await judge(candidate, known, file.handle);
    if (verdict === "watch" || (await file.stands())) return verdict;
    await this.cut(file);
    return (await judge(candidate, known, undefined)).verdict;
  }

  /** A copy that was given up half way: all it holds was read from the original, which is gone. */
  #skipRead(seen: Found, id: string): boolean {
    const known = this.#lost.get(id);
    return known !== undefined && seen.stat.bytes <= known.offset;
  }

  /** What is there at the very first start is taken as read, up to its last line end. */
  async #startAtEnd(file: Tracked): Promise<void> {
    if (!(await this.open(file)) || file.handle === undefined) return;
    await startAtEnd(file, file.handle, this.#options.context.buffers.bytesEach, this.#options.config.encoding);
    this.#options.commit({ [file.id]: positionToJson(file.durable) });
    this.#options.enqueue(file);
  }

  #adopt(id: string, position: Position, seen: Found, candidate: Candidate): Tracked {
    this.#lost.delete(id);
    this.#watched.delete(inodeKey(seen.stat));
    const { device, inode } = candidate;
    const file = this.#track(id, { ...position, path: seen.path, device, inode, packed: undefined, forget: undefined }, seen);
    file.setHead(candidate.head.slice(0, position.offset));
    // None is read to its end yet that could be closed for it: without room it is opened when its turn comes.
    if (this.#descriptors.hasRoom) this.#descriptors.attach(file, candidate);
    file.drained = candidate.bytes === position.offset;
    if (!file.drained || file.handle !== undefined) this.#options.enqueue(file);
    return file;
  }

  /** Follows a compressed file from `position` on, which was that of `id`; with a handle that reads its content if there is any to be read. */
  follow(id: string | undefined, position: Position, seen: Found, candidate: Candidate | undefined): Tracked {
    if (id !== undefined) this.#lost.delete(id);
    const { path, stat } = seen;
    const { device, inode } = stat;
    const file = this.#track(id ?? this.#newId(), { ...position, path, device, inode, forget: undefined }, seen);
    file.goal = Number.POSITIVE_INFINITY;
    file.drained = candidate === undefined;
    if (candidate !== undefined) this.#descriptors.attach(file, candidate);
    return file;
  }

  #track(id: string, position: Position, seen: Found): Tracked {
    const file = new Tracked(id, position);
    file.target = seen.target;
    file.seen(seen.stat, this.#now);
    file.grewAt = this.#now;
    if (this.#options.context.once) file.goal = seen.stat.bytes;
    this.files.set(id, file);
    this.#byInode.set(inodeKey(file), file);
    return file;
  }

  /** The generation before it has to be read to its end first. */
  #order(file: Tracked, family: readonly Tracked[]): void {
    file.after = generationBefore(
      file,
      family.filter((other) => this.follows(other)),
    );
    if (file.after === undefined) return;
    file.after.drained = false;
    this.#options.enqueue(file.after);
  }

  /**
   * Opens `seen`, lets `use` judge it, and closes it again unless it was attached to a file. `moved`: it could not be opened, or
   * its name has gone over to another file since the look; then nothing is known of it, not even that it is new.
   */
  async #withCandidate<T>(seen: Found, strange: boolean, use: (candidate: Candidate) => Promise<T>): Promise<T | "moved"> {
    let candidate: Candidate | undefined;
    try {
      candidate = await this.#descriptors.candidate(seen.path, seen.target, strange, seen.stat);
      return candidate === undefined ? "moved" : await use(candidate);
    } catch (cause) {
      this.#options.report(unreadable("open", seen.path, cause), seen.path);
      return "moved";
    } finally {
      if (candidate?.kept === false) await candidate.handle.close();
    }
  }

  #newId(): string {
    return Buffer.from(this.#options.context.doors.random.bytes(8)).toString("hex");
  }
}
