/**
 * Compressed files of the globs: what waits for its compressor, what is held against what we know, and what is read.
 *
 * Nothing here is done at once: a look brings what is new (`take`), and the loop of the source asks for a `step` in every turn of its own,
 * which decompresses 1 MiB at most. One file at a time is compared or read, the oldest first, so that memory does not depend on how many
 * there are; its lines are read by turns like those of any other file (reader.ts), from the handle that decompresses (unpacked.ts).
 *
 * A file that is read to its end is closed and known by its size and last bytes on disk from then on: a restart does not decompress it
 * again. One that is cut or damaged is read as far as it goes, once it has not changed for 30 seconds, and again when it changes.
 */
import type { Fault } from "../../core/fault.ts";
import { readBytes } from "../../core/limits.ts";
import { isPackedName, kinOf } from "./compressed.ts";
import type { FileConfig } from "./config.ts";
import type { Candidate } from "./examine.ts";
import { packedShort, unreadable } from "./faults.ts";
import { inodeKey, type Found } from "./found.ts";
import { positionToJson, type Packed, type Position } from "./position.ts";
import type { Reader } from "./reader.ts";
import { againMs, cutMs, quietMs, Readings, stepBytes, type ReadingsOptions } from "./readings.ts";
import { rawHash, skim, type Known, type Outcome } from "./skim.ts";
import { unreadPosition, type Tracked } from "./tracked.ts";
import { packingOf, Unpacked } from "./unpacked.ts";

/** So long an original that stands is waited for without a comparison: gzip removes it, and its descriptor is kept for five seconds. */
const patientMs = 15_000;

interface Entry {
  seen: Found;
  /** Monotonic milliseconds since when it is as it is, and when it is examined next. */
  since: number;
  again: number;
  /** The file it waits for: it is examined again once that is gone. */
  owner: Tracked | undefined;
  /** All it holds is in its owner: bytes of content. */
  held: number | undefined;
  /** Nobody has looked into it yet. */
  fresh: boolean;
  /** Why it cannot be read now; reported with every look until it can be. */
  fault: Fault | undefined;
}

interface Examination {
  readonly key: string;
  readonly entry: Entry;
  readonly candidate: Candidate;
  readonly handle: Unpacked;
  readonly known: readonly Known[];
  readonly pass: AsyncGenerator<undefined, Outcome>;
}

export interface CopiesOptions extends ReadingsOptions {
  readonly config: FileConfig;
  readonly lost: ReadonlyMap<string, Position>;
  readonly report: (fault: Fault, detail: string) => void;
}

export class Copies {
  readonly #options: CopiesOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #readings: Readings;
  #examined: Examination | undefined;

  constructor(options: CopiesOptions) {
    this.#options = options;
    this.#readings = new Readings(options);
  }

  /** With `once`: all that is there was examined and read. */
  get idle(): boolean {
    return (
      this.#readings.size === 0 && this.#examined === undefined && this.#entries.values().every(({ again }) => again === Number.POSITIVE_INFINITY)
    );
  }

  /** Bytes on disk of what nobody has looked into yet. */
  get lagBytes(): number {
    let sum = 0;
    for (const { seen, fresh } of this.#entries.values()) if (fresh) sum += seen.stat.bytes;
    return sum;
  }

  /** Some cannot be read. */
  get faulty(): boolean {
    return this.#entries.values().some(({ fault }) => fault !== undefined);
  }

  /** When there is something to do next, monotonic milliseconds; Infinity when there is nothing. */
  get dueAt(): number {
    if (this.#examined !== undefined) return this.#now;
    let due = this.#readings.dueAt;
    for (const entry of this.#entries.values()) due = Math.min(due, this.#isFree(entry) ? this.#now : entry.again);
    return due;
  }

  /** Takes the compressed files out of what a look has found and nobody knows by its inode; returns the others. `atStart`: they count as read. */
  async take(unknown: readonly Found[], atStart: boolean): Promise<Found[]> {
    const rest: Found[] = [];
    const met = new Set<string>();
    for (const seen of unknown) {
      const key = inodeKey(seen.stat);
      const entry = this.#entries.get(key);
      const { bytes, modifiedMs } = entry?.seen.stat ?? {};
      const same = entry !== undefined && isPackedName(seen.path) && bytes === seen.stat.bytes && modifiedMs === seen.stat.modifiedMs;
      if (!same && !(await this.#isPacked(seen))) {
        rest.push(seen);
        continue;
      }
      met.add(key);
      if (entry === undefined) await this.#add(key, seen, atStart);
      else if (same) entry.seen = seen;
      else await this.#changed(entry, seen);
    }
    for (const [key, entry] of this.#entries) {
      if (entry.fault !== undefined) this.#options.report(entry.fault, entry.seen.path);
      if (met.has(key)) continue;
      this.#entries.delete(key);
      await this.#drop(entry);
    }
    return rest;
  }

  /** A file that is followed was found again. */
  meet(file: Tracked, seen: Found): void {
    file.path = seen.path;
    file.target = seen.target;
    if (this.#readings.hasChanged(file, seen.stat.bytes)) this.#options.catalog.lose(file, "gone"); // as an unknown one it is known again
  }

  /** Does a little of what there is to do; false when there is nothing now. */
  async step(reader: Reader): Promise<boolean> {
    if (await this.#readings.step(reader)) return true;
    if (this.#readings.busy) return false;
    this.#examined ??= await this.#begin();
    const examined = this.#examined;
    if (examined === undefined) return false;
    try {
      const { done, value } = await examined.pass.next();
      if (done !== true) return true;
      this.#examined = undefined;
      await this.#conclude(examined, value);
    } catch (cause) {
      this.#fail(examined.entry, unreadable("read", examined.entry.seen.path, cause));
      await this.#drop(examined.entry, examined);
    }
    return true;
  }

  get #now(): number {
    return this.#options.context.doors.clock.monotonic();
  }

  get #once(): boolean {
    return this.#options.context.once;
  }

  /** What it waits for is gone. */
  #isFree({ owner }: Entry): boolean {
    return owner !== undefined && !this.#options.catalog.follows(owner);
  }

  #fail(entry: Entry, fault: Fault): void {
    entry.fault = fault;
    this.#options.report(fault, entry.seen.path);
    entry.again = this.#once ? Number.POSITIVE_INFINITY : this.#now + againMs;
  }

  async #isPacked(seen: Found): Promise<boolean> {
    if (!isPackedName(seen.path)) return false;
    try {
      const candidate = await this.#options.descriptors.candidate(seen.path, seen.target, true, seen.stat);
      if (candidate === undefined) return false;
      await candidate.handle.close();
      // A compressor has made its name and not yet written to it.
      return candidate.head.byteLength < 4 || packingOf(candidate.head) !== undefined;
    } catch {
      return true; // its name says so, and who opens it next says why it cannot be
    }
  }

  async #add(key: string, seen: Found, atStart: boolean): Promise<void> {
    const { clock } = this.#options.context.doors;
    const old = clock.now() - seen.stat.modifiedMs;
    // The clock may be wrong: then it waits a second too long, or is found to end in the middle and waits for that.
    const since = this.#now - Math.min(Math.max(0, old), cutMs);
    const entry: Entry = { seen, since, again: since + (this.#once ? 0 : quietMs), owner: undefined, held: undefined, fresh: true, fault: undefined };
    this.#entries.set(key, entry);
    if (!atStart) return;
    const examined = await this.#open(key, entry);
    if (examined !== undefined) await this.#finished(examined, undefined, unreadPosition(seen.path, seen.stat));
  }

  async #changed(entry: Entry, seen: Found): Promise<void> {
    entry.seen = seen;
    entry.since = this.#now;
    entry.again = this.#now + quietMs;
    entry.owner = undefined;
    entry.held = undefined;
    entry.fault = undefined;
    await this.#drop(entry);
  }

  /** Closes what is examined, if it is `entry`. */
  async #drop(entry: Entry, examined = this.#examined): Promise<void> {
    if (examined?.entry !== entry) return;
    this.#examined = undefined;
    if (!examined.candidate.kept) await examined.handle.close();
  }

  /** Opens the oldest file that is due. */
  async #begin(): Promise<Examination | undefined> {
    const now = this.#now;
    const due = [...this.#entries].filter(([, entry]) => entry.again <= now || this.#isFree(entry));
    const [key, entry] = due.toSorted(([, a], [, b]) => a.seen.stat.modifiedMs - b.seen.stat.modifiedMs)[0] ?? [];
    if (key === undefined || entry === undefined) return undefined;
    const { owner, held } = entry;
    const known = owner === undefined || held === undefined ? undefined : this.#options.lost.get(owner.id);
    entry.owner = undefined;
    entry.held = undefined;
    const examined = await this.#open(key, entry);
    if (examined === undefined || owner === undefined || known === undefined || held === undefined || held > known.offset) return examined;
    await this.#finished(examined, owner.id, known); // all it holds was compared with the original, and read from there
    return undefined;
  }

  async #open(key: string, entry: Entry): Promise<Examination | undefined> {
    const { seen } = entry;
    const { context, config, descriptors } = this.#options;
    entry.fresh = false;
    entry.fault = undefined;
    entry.again = Number.POSITIVE_INFINITY;
    const candidate = await descriptors.candidate(seen.path, seen.target, true, seen.stat).catch((cause: unknown) => {
      this.#fail(entry, unreadable("open", seen.path, cause));
    });
    const packing = candidate === undefined ? undefined : packingOf(candidate.head);
    const { unpack } = context.doors.compress;
    if (candidate === undefined || packing === undefined || unpack === undefined) {
      await candidate?.handle.close();
      // Renamed since the look; while what holds nothing yet changes before it is worth another one.
      if (candidate === undefined && !this.#once) entry.again = this.#now + againMs;
      return undefined;
    }
    const handle = new Unpacked(candidate.handle, packing, unpack, config.line_bytes_max + 2 * readBytes);
    const known = await this.#known(seen);
    const age = this.#now - entry.since;
    const growing = (ending: unknown): boolean => !this.#once && (age < quietMs || (ending === "cut" && age < cutMs));
    const patient = !this.#once && age < patientMs;
    const pass = skim({ handle, rawBytes: candidate.bytes, known, growing, patient, stepBytes });
    return { key, entry, candidate, handle, known, pass };
  }

  /** What it may be a copy of: files that are gone, and those that stand, opened to be compared. */
  async #known({ path, stat }: Found): Promise<Known[]> {
    const { catalog, lost } = this.#options;
    const known: Known[] = [];
    // First what stands: one that turns out to be gone when it is opened is among the lost then.
    for (const file of catalog.files.values()) {
      const position = file.durable;
      const kin = inodeKey(file) === inodeKey(stat) ? "no" : kinOf(path, stat, { ...position, path: file.path });
      if (kin === "no") continue;
      if (file.packed === undefined) await catalog.open(file);
      if (catalog.follows(file)) known.push({ id: file.id, position: file.position(), kin, file });
    }
    for (const [id, position] of lost) {
      const kin = kinOf(path, stat, position);
      if (kin !== "no" && (position.offset > 0 || position.packed !== undefined)) known.push({ id, position, kin, file: undefined });
    }
    return known;
  }

  async #conclude(examined: Examination, { verdict, known, standing }: Outcome): Promise<void> {
    const { entry, handle } = examined;
    const { context, config, lost } = this.#options;
    const { path, stat } = entry.seen;
    const gone = known?.file === undefined && known !== undefined ? known : undefined;
    if (
      (standing && verdict !== "wait" && !(await this.#allStand(examined))) ||
      (gone !== undefined && lost.get(gone.id)?.offset !== gone.position.offset)
    ) {
      entry.again = this.#now + againMs; // what it was compared with has changed meanwhile
    } else if (verdict === "copy" && gone !== undefined) {
      return this.#follow(examined, gone.id, gone.position);
    } else if ((verdict === "done" || verdict === "short") && gone !== undefined) {
      if (verdict === "short")
        context.board.count(`sources.${context.name}`, packedShort(path, gone.position.path, gone.position.offset - handle.reached));
      return this.#finished(examined, gone.id, gone.position);
    } else if (verdict !== "new") {
      this.#wait(examined, verdict, known?.file);
    } else if (!this.#isOld(stat.modifiedMs, config.ignore_older)) {
      return this.#follow(examined, undefined, unreadPosition(path, stat));
    }
    await this.#drop(entry, examined);
  }

  /** It is left alone while `owner` stands, or until more of it is written, or is known not to be. */
  #wait({ entry, handle }: Examination, verdict: Outcome["verdict"], owner: Tracked | undefined): void {
    entry.owner = owner;
    // Done, or watched: the same as what was read, or is being read, of one that stands.
    const same = verdict === "done" || verdict === "watch";
    entry.held = same ? (verdict === "done" ? (owner?.readOffset ?? 0) : handle.reached) : undefined;
    if (same || this.#once) return;
    const reading = owner?.packed !== undefined;
    const untilMs = handle.ending === "cut" ? cutMs : owner === undefined ? quietMs : patientMs;
    entry.again = Math.max(this.#now + againMs, reading ? 0 : entry.since + untilMs);
  }

  #isOld(modifiedMs: number, olderMs: number | undefined): boolean {
    return olderMs !== undefined && this.#options.context.doors.clock.now() - modifiedMs > olderMs;
  }

  /** Whether what it was compared with stood all the while: an original that went or was cut meanwhile has compared as another file. */
  async #allStand({ known }: Examination): Promise<boolean> {
    for (const { file } of known) {
      if (file === undefined || file.packed !== undefined) continue;
      if (!this.#options.catalog.follows(file)) return false;
      if (file.handle === undefined) continue;
      if (!(await file.stands())) return false;
    }
    return true;
  }

  /** Reads it from `position` on. */
  #follow({ key, entry, candidate, handle }: Examination, id: string | undefined, position: Position): void {
    this.#entries.delete(key);
    const packed: Packed = { packing: handle.packing, done: undefined };
    const file = this.#options.catalog.follow(id, { ...position, packed }, entry.seen, { ...candidate, handle });
    candidate.kept = true;
    this.#readings.begin(file, candidate.bytes, entry.since);
    this.#options.enqueue(file);
  }

  /** All it holds was read. */
  async #finished({ key, entry, candidate, handle }: Examination, id: string | undefined, position: Position): Promise<void> {
    this.#entries.delete(key);
    const { bytes } = candidate;
    const packed: Packed = { packing: handle.packing, done: { bytes, hash: await rawHash(handle, bytes) } };
    const file = this.#options.catalog.follow(id, { ...position, packed }, entry.seen, undefined);
    this.#readings.ended(file, bytes);
    this.#options.commit({ [file.id]: positionToJson(file.durable) });
    await handle.close();
  }
}
