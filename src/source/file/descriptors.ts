/** Opens files so that nothing is read that should not be, and keeps the number of open ones below `open_files_max`. */
import type { Disk, DiskFile, FileStat } from "../../core/disk.ts";
import { errnoOf, type Fault } from "../../core/fault.ts";
import { readHead, type Candidate } from "./examine.ts";
import { notRegular, symlinkRefused } from "./faults.ts";
import { inodeKey } from "./found.ts";
import type { Tracked } from "./tracked.ts";

export class Descriptors {
  readonly #disk: Disk;
  readonly #max: number;
  readonly #report: (fault: Fault, detail: string) => void;
  readonly #allows: (place: string) => boolean;
  readonly #open = new Set<Tracked>();

  /** `allows`: whether what really lies at a place may be read. */
  constructor(disk: Disk, max: number, allows: (place: string) => boolean, report: (fault: Fault, detail: string) => void) {
    this.#disk = disk;
    this.#max = max;
    this.#allows = allows;
    this.#report = report;
  }

  get hasRoom(): boolean {
    return this.#open.size < this.#max;
  }

  /**
   * Opens `target` without following a symlink or waiting for a FIFO, and looks at what was opened. Undefined when there is
   * nothing any more, no regular file, another one than was `seen`, or `strange`: one that is not known by what was read of it, and
   * lies where a folder on its path was swapped for a symlink since the look. Rejects with the system's error.
   */
  async candidate(path: string, target: string, strange: boolean, seen?: FileStat): Promise<Candidate | undefined> {
    let handle: DiskFile | undefined;
    try {
      handle = await this.#disk.open(target, "nofollow");
      const stat = await handle.stat();
      const place = strange ? ((await handle.place?.()) ?? (await this.#disk.realpath(target))) : undefined;
      if (stat.kind !== "file") this.#report(notRegular(path, stat.kind), path);
      else if (place !== undefined && !this.#allows(place)) this.#report(symlinkRefused(path, place), path);
      else if (seen === undefined || inodeKey(stat) === inodeKey(seen)) {
        const { device, inode, bytes } = stat;
        return { path, device, inode, bytes, handle, head: await readHead(handle), kept: false };
      }
    } catch (cause) {
      await handle?.close();
      // Between listing and opening it may go, or be swapped for a symlink: the next look sees what there is.
      if (["ENOENT", "ELOOP"].includes(errnoOf(cause) ?? "")) return undefined;
      throw cause;
    }
    await handle.close();
    return undefined;
  }

  attach(file: Tracked, candidate: Candidate): void {
    file.handle = candidate.handle;
    file.lookAt = 0;
    candidate.kept = true;
    this.#open.add(file);
  }

  /** `handle`, which was `from`'s, is `to`'s. */
  move(from: Tracked, to: Tracked, handle: DiskFile): void {
    this.#open.delete(from);
    this.#open.add(to);
    to.handle = handle;
  }

  close(file: Tracked): void {
    const { handle } = file;
    if (handle === undefined) return;
    file.handle = undefined;
    this.#open.delete(file);
    void handle.close().catch(() => {}); // a descriptor that was only read from has nothing left to fail
  }

  /** Makes sure one more may be opened, by closing the one least recently grown; false when all have something to read. */
  makeRoom(): boolean {
    if (this.hasRoom) return true;
    let oldest: Tracked | undefined;
    for (const file of this.#open) {
      if (file.packed !== undefined || file.queued || !file.drained || file.inFlight > 0 || file.readEnd < file.bytes) continue;
      if (!file.skipping && file.durable.offset < file.readOffset) continue; // an event begun in it ends when it stays quiet
      if (file.state !== "live" && file.restBytes > 0) continue; // it could not be found again for its last line
      if (oldest === undefined || file.grewAt < oldest.grewAt) oldest = file;
    }
    if (oldest === undefined) return false;
    this.close(oldest);
    return true;
  }
}
