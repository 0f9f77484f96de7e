/** 8 MiB of real bytes on disk, given up when the disk is full so that journals and checkpoints can still be written. */
import type { Disk } from "../core/disk.ts";
import { errnoOf } from "../core/fault.ts";
import { reserveBytes } from "../core/limits.ts";

const partBytes = 1024 * 1024;

export class Reserve {
  readonly #disk: Disk;
  readonly #path: string;
  held = false;

  constructor(disk: Disk, path: string) {
    this.#disk = disk;
    this.#path = path;
  }

  /** Whether an earlier process left it whole; it is then held again without needing room. A part, as a power cut leaves it, is given back. */
  async adopt(): Promise<boolean> {
    const bytes = (await this.#disk.stat(this.#path).catch(() => undefined))?.bytes ?? 0;
    this.held = bytes >= reserveBytes;
    if (!this.held && bytes > 0) await this.release();
    return this.held;
  }

  /**
   * Takes it, or takes it back. Resolves false when there is no room for it, and leaves none of it behind then. A disk that
   * refuses for another reason is no matter of room: whatever is written next fails, and says why.
   */
  async take(): Promise<boolean> {
    if (this.held) return true;
    try {
      await using file = await this.#disk.open(this.#path, "write");
      const { bytes } = await file.stat();
      // Written, not only declared: a sparse file keeps no room.
      const zeros = new Uint8Array(partBytes);
      for (let at = bytes; at < reserveBytes; at += partBytes) await file.write([zeros.subarray(0, Math.min(partBytes, reserveBytes - at))], at);
      this.held = true;
      return true;
    } catch (cause) {
      await this.release();
      return !["ENOSPC", "EDQUOT"].includes(errnoOf(cause) ?? "");
    }
  }

  async release(): Promise<void> {
    this.held = false;
    try {
      await using file = await this.#disk.open(this.#path, "write");
      await file.truncate(0);
    } catch {
      // no permission or a read-only disk: there is nothing to free
    }
  }
}
