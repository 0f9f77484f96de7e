/**
 * Compressed files that are read: each comes to its end, or ends in the middle and may go on, or is damaged.
 *
 * Their lines are read by turns like those of any other file (reader.ts); here is what only they need.
 */
import type { PositionDelta, SourceContext } from "../../core/contract.ts";
import type { Catalog } from "./catalog.ts";
import type { Descriptors } from "./descriptors.ts";
import { packedDamaged, unreadable } from "./faults.ts";
import { positionToJson } from "./position.ts";
import type { Reader } from "./reader.ts";
import { rawHash } from "./skim.ts";
import type { Tracked } from "./tracked.ts";
import { Unpacked } from "./unpacked.ts";

/** A file that changed within this time is being written: gzip and zstd write every few milliseconds while they read. */
export const quietMs = 1000;
/** One that ends in the middle of a member is being written until it has not changed for so long: its writer may wait for its own input. */
export const cutMs = 30_000;
/** What a step decompresses: 1 to 2 ms. */
export const stepBytes = 2 ** 20;
export const againMs = 1000;

/** Bytes on disk when last looked at, since when, and when it is looked at next; monotonic milliseconds. */
interface Reading {
  rawBytes: number;
  since: number;
  again: number;
}

export interface ReadingsOptions {
  readonly catalog: Catalog;
  readonly context: SourceContext;
  readonly descriptors: Descriptors;
  readonly enqueue: (file: Tracked) => void;
  readonly commit: (delta: PositionDelta) => void;
}

export class Readings {
  readonly #options: ReadingsOptions;
  readonly #reading = new Map<Tracked, Reading>();
  /** Bytes on disk of what was read as far as it goes, and closed. */
  readonly #closed = new WeakMap<Tracked, number>();

  constructor(options: ReadingsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#reading.size;
  }

  /** One is read now, and does not wait for more to be written. */
  get busy(): boolean {
    return this.#reading.values().some(({ again }) => again <= this.#now);
  }

  get dueAt(): number {
    let due = Number.POSITIVE_INFINITY;
    for (const [{ queued, inFlight, rejected }, { again }] of this.#reading) if (!queued && !rejected && inFlight === 0) due = Math.min(due, again);
    return due;
  }

  /** `file` is in the queue to be read, had `rawBytes` on disk and has not changed since then. */
  begin(file: Tracked, rawBytes: number, since: number): void {
    this.#reading.set(file, { rawBytes, since, again: 0 });
  }

  /** It was read as far as it goes, and had `rawBytes` on disk. */
  ended(file: Tracked, rawBytes: number): void {
    this.#closed.set(file, rawBytes);
    file.bytes = file.readOffset;
  }

  /** Whether one that was read as far as it goes has changed since. */
  hasChanged(file: Tracked, rawBytes: number): boolean {
    const closed = this.#closed.get(file);
    return file.handle === undefined && closed !== undefined && closed !== rawBytes;
  }

  /** Does a little of what there is to do; false when there is nothing now. */
  async step(reader: Reader): Promise<boolean> {
    for (const [file, reading] of this.#reading) {
      if (!this.#options.catalog.follows(file)) this.#reading.delete(file);
      else if (await this.#look(file, reading, reader)) return true;
    }
    return false;
  }

  get #now(): number {
    return this.#options.context.doors.clock.monotonic();
  }

  /** Looks after a file that is read: is it over, or has it grown? True when it did something. */
  async #look(file: Tracked, reading: Reading, reader: Reader): Promise<boolean> {
    const handle = file.handle;
    if (!(handle instanceof Unpacked)) {
      this.#options.catalog.lose(file, "gone"); // its file server has forgotten it: the next look finds it again
      return true;
    }
    file.bytes = handle.sizeOf(reading.rawBytes);
    if (file.queued || file.inFlight > 0 || file.rejected || this.#now < reading.again) return false;
    try {
      if (handle.ending === "cut" && !this.#options.context.once && (await this.#grows(handle, reading))) return false;
      if (handle.ending === undefined || file.fault !== undefined) {
        if (!(await handle.reach(file.readOffset, stepBytes))) return true;
        reading.again = file.fault === undefined ? 0 : this.#now + againMs;
        this.#options.enqueue(file);
        return true;
      }
      if (file.restBytes > 0) return (await reader.partial(file)) !== "wait";
      if (reader.holds(file)) reader.flush(file);
      else await this.#close(file, handle, handle.ending);
    } catch (cause) {
      file.fault = unreadable("read", file.path, cause);
      reading.again = this.#now + againMs;
    }
    return true;
  }

  /** Whether a file that ends in the middle of a member may still go on; if it has, it is decompressed anew. */
  async #grows(handle: Unpacked, reading: Reading): Promise<boolean> {
    const { bytes } = await handle.raw.stat();
    const now = this.#now;
    if (bytes !== reading.rawBytes) {
      reading.rawBytes = bytes;
      reading.since = now;
      handle.anew();
      handle.rest();
      reading.again = now + quietMs;
      return true;
    }
    if (now - reading.since >= cutMs) return false;
    handle.rest(); // what waits holds no memory
    reading.again = now + againMs;
    return true;
  }

  /** It was read as far as it goes. */
  async #close(file: Tracked, handle: Unpacked, ending: NonNullable<Unpacked["ending"]>): Promise<void> {
    const { context, catalog, descriptors, commit } = this.#options;
    const { bytes } = await handle.raw.stat();
    if (ending !== "whole") context.board.count(`sources.${context.name}`, packedDamaged(file.path, ending, handle.reached));
    if (ending === "whole" || ending === "foreign") file.packed = { packing: handle.packing, done: { bytes, hash: await rawHash(handle, bytes) } };
    this.#reading.delete(file);
    this.ended(file, bytes);
    file.durable = file.position();
    commit({ [file.id]: positionToJson(file.durable) });
    descriptors.close(file);
    if (!file.named) catalog.lose(file, "deleted");
  }
}
