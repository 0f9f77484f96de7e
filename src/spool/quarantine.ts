/**
 * What is damaged: said, counted, and its bytes kept aside as `quarantine/{segment}-{offset}.bin`, at most `quarantineBytes` in all.
 *
 * Health is degraded by a damage until somebody has taken what was kept of it out of quarantine/ (or a foreign file out of
 * segments/): a disk that changes bytes is worth a look also when everything since has gone well, and a restart does not
 * make it unseen.
 */
import type { Board } from "../core/board.ts";
import type { Clock } from "../core/clock.ts";
import type { Disk } from "../core/disk.ts";
import { Fault } from "../core/fault.ts";
import { quarantineBytes } from "../core/limits.ts";
import { segmentName } from "./layout.ts";
import { readFully } from "./scan.ts";

const chunkBytes = 1024 * 1024;
/** How often it is looked whether what stands was taken away. */
const lookMs = 5000;
/** Damages that stand by name in health; more are counted only. */
const standingMax = 20;

export interface Damage {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}

export interface QuarantineOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly board: Board;
  readonly dir: string;
  readonly segmentsDir: string;
  /** Aborted: the process ends. */
  readonly over: AbortSignal;
}

export class Quarantine {
  readonly #options: QuarantineOptions;
  /** Places that were reported: each is counted once. */
  readonly #known = new Set<string>();
  /** What degrades health, by the path that has to go for it to end. */
  readonly #standing = new Map<string, { code: string; stored: boolean }>();
  readonly #closing = new AbortController();
  #watching = false;

  constructor(options: QuarantineOptions) {
    this.#options = options;
  }

  /** What lies there from before degrades health from the start. */
  async open(): Promise<void> {
    const { disk, dir } = this.#options;
    for (const name of (await disk.list(dir)).toSorted()) {
      this.#stand(`${dir}/${name}`, {
        code: "spool_quarantine_kept",
        message: `open spool: ${dir}/${name} was kept of an earlier damage`,
        hint: "look at it and at the disk, then remove the file",
      });
    }
  }

  /** Copies damaged bytes of a segment aside and counts them, once for each place. Never rejects: it only helps a person. */
  async keep(
    segment: number,
    at: number,
    length: number,
    code: "spool_frame_corrupt" | "spool_block_corrupt" = "spool_frame_corrupt",
  ): Promise<void> {
    const { dir, segmentsDir } = this.#options;
    const path = `${segmentsDir}/${segmentName(segment)}`;
    const hint = `they are kept in ${dir} for inspection; check the disk. Everything else is read on`;
    await this.keepOf(path, at, length, { code, message: `read segment ${path}: ${length} damaged bytes at byte ${at}`, hint });
  }

  /** The same for any file of the spool. */
  async keepOf(path: string, at: number, length: number, damage: Damage): Promise<void> {
    const kept = `${this.#options.dir}/${(path.split("/").at(-1) ?? "").replace(/\.zst$/, "")}-${at}.bin`;
    if (this.#known.has(kept)) return;
    this.#known.add(kept);
    let stored = false;
    try {
      stored = (await this.#held()) + length <= quarantineBytes;
      if (stored) await this.#copy(path, at, length, kept);
    } catch {
      stored = false; // full or unreadable disk: the damage stands and is counted all the same
    }
    this.#stand(kept, damage, stored);
  }

  async keepWhole(path: string, damage: Damage): Promise<void> {
    await this.keepOf(path, 0, (await this.#options.disk.stat(path))?.bytes ?? 0, damage);
  }

  /** A damage of which no bytes are left: a text in their place says what is missing. */
  async missing(name: string, damage: Damage): Promise<void> {
    const { disk, dir } = this.#options;
    const path = `${dir}/${name}.txt`;
    const text = Buffer.from(`${damage.code}: ${damage.message}\n`);
    let stored = true;
    try {
      await using file = await disk.open(path, "write");
      await file.write([text], 0);
      await file.truncate(text.byteLength);
    } catch {
      stored = false;
    }
    this.#stand(path, damage, stored);
  }

  /** A place that cannot be read, given up: of its bytes there is nothing to keep. */
  async unreadable(segment: number, at: number | undefined, { message, hint = "" }: Fault): Promise<void> {
    const name = `${segmentName(segment).replace(/\.zst$/, "")}-${at ?? "headers"}-unreadable`;
    await this.missing(name, { code: at === undefined ? "spool_segment_unreadable" : "spool_frame_unreadable", message, hint });
  }

  /** A file that is in the way where it lies: degrades until it is gone from there. */
  foreign(path: string, damage: Damage): void {
    this.#stand(path, damage);
  }

  close(): void {
    this.#closing.abort();
  }

  /** `stored`: something lies at `path`, and once it is gone the damage has been seen. Otherwise it stands until the next start. */
  #stand(path: string, { code, message, hint }: Damage, stored = true): void {
    const { board } = this.#options;
    const fault = new Fault({ code, retry: "never", message, hint });
    if (this.#standing.size >= standingMax && !this.#standing.has(path)) return board.count("spool", fault);
    this.#standing.set(path, { code, stored });
    board.raise("spool", "degraded", fault, path);
    if (this.#watching) return;
    this.#watching = true;
    void this.#watch();
  }

  /** While something stands: what lay at a path that is gone stands no more. */
  async #watch(): Promise<void> {
    const { clock, board, over } = this.#options;
    while (this.#standing.size > 0) {
      await clock.sleep(lookMs, this.#closing.signal, over);
      if (this.#closing.signal.aborted || over.aborted) return;
      for (const [path, { code, stored }] of this.#standing) {
        if (!stored || (await this.#isThere(path))) continue;
        this.#standing.delete(path);
        board.clear("spool", code, path);
      }
    }
    this.#watching = false;
  }

  async #isThere(path: string): Promise<boolean> {
    try {
      return (await this.#options.disk.stat(path)) !== undefined;
    } catch {
      return true; // unknown: it stands
    }
  }

  async #held(): Promise<number> {
    const { disk, dir } = this.#options;
    let bytes = 0;
    for (const name of await disk.list(dir)) bytes += (await disk.stat(`${dir}/${name}`))?.bytes ?? 0;
    return bytes;
  }

  async #copy(from: string, at: number, length: number, to: string): Promise<void> {
    const { disk } = this.#options;
    await using source = await disk.open(from, "read");
    await using target = await disk.open(to, "write");
    for (let done = 0; done < length;) {
      const part = new Uint8Array(Math.min(chunkBytes, length - done));
      const count = await readFully(source, part, at + done);
      if (count === 0) return;
      await target.write([part.subarray(0, count)], done);
      done += count;
    }
  }
}
