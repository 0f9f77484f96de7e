/** 8 MiB of real bytes on disk, given up when the disk is full so that journals and checkpoints can still be written. */
import type { Disk } from "../core/disk.ts";
import { reserveBytes } from "../core/limits.ts";

export class Reserve {
  readonly #disk: Disk;
  readonly #path: string;
  held = false;

  constructor(disk: Disk, path: string) {
    this.#disk = disk;
    this.#path = path;
  }

  /** Takes it, or takes it back. Resolves false when the disk has no room for it. */
  async take(): Promise<boolean> {
    if (this.held) return true;
    try {
      await using file = await this.#disk.open(this.#path, "write");
      const { bytes } = await file.stat();
      const zeros = new Uint8Array(1024 * 1024);
      // Written, not only declared: a sparse file keeps no room.
      for (let at = bytes; at < reserveBytes; at += zeros.byteLength)
        await file.write([zeros.subarray(0, Math.min(zeros.byteLength, reserveBytes - at))], at);
      this.held = true;
    } catch {
      await this.release();
    }
    return this.held;
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
