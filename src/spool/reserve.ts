/** 8 MiB of real bytes on disk, given up when the disk is full so that journals and checkpoints can still be written. */
import type { Disk } from "../core/disk.ts";
import { isNoSpace } from "../core/fault.ts";
import { reserveBytes } from "../core/limits.ts";

const partBytes = 1024 * 1024;

export class Reserve {
  readonly #disk: Disk;
  readonly #path: string;
  /** Bytes of it that are there: a part only where taking it or giving it back came to a stop half way. */
  #bytes = 0;
  #working: Promise<unknown> = Promise.resolve();

  constructor(disk: Disk, path: string) {
    this.#disk = disk;
    this.#path = path;
  }

  get held(): boolean {
    return this.#bytes >= reserveBytes;
  }

  /** What of it is not there yet: as much room must be free before it is taken. */
  get missingBytes(): number {
    return Math.max(0, reserveBytes - this.#bytes);
  }

  /** Finds what an earlier process left of it: that need not be written again. */
  async adopt(): Promise<void> {
    this.#bytes = (await this.#disk.stat(this.#path).catch(() => undefined))?.bytes ?? 0;
  }

  /**
   * Takes it, or takes it back. Resolves false when there is no room for it, and leaves none of it behind then. A disk that
   * refuses for another reason is no matter of room: whatever is written next fails, and says why.
   */
  take(): Promise<boolean> {
    return this.#alone(() => this.#take());
  }

  async #take(): Promise<boolean> {
    if (this.held) return true;
    try {
      await using file = await this.#disk.open(this.#path, "write");
      this.#bytes = (await file.stat()).bytes;
      // Written, not only declared: a sparse file keeps no room.
      const zeros = new Uint8Array(partBytes);
      while (!this.held) {
        const length = Math.min(partBytes, this.missingBytes);
        await file.write([zeros.subarray(0, length)], this.#bytes);
        this.#bytes += length;
      }
      return true;
    } catch (cause) {
      await this.#release();
      return !isNoSpace(cause);
    }
  }

  /** Gives it back, where the disk lets us; else what is left of it still counts as there. */
  release(): Promise<void> {
    return this.#alone(() => this.#release());
  }

  /** Journals, checkpoints and segments may be out of space at one time. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#working.then(work);
    this.#working = done.catch(() => {}); // the caller is told
    return done;
  }

  async #release(): Promise<void> {
    try {
      await using file = await this.#disk.open(this.#path, "write");
      this.#bytes = (await file.stat()).bytes;
      await file.truncate(0);
      this.#bytes = 0;
    } catch {
      // no permission or a read-only disk: there is nothing to free
    }
  }
}
