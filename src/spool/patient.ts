/**
 * A disk for the start, which takes what cannot be read for damage: a read that fails with EIO is tried again before that is
 * said. A path that flaps or a drive that resets fails a read once and not again; what is then called unreadable, torn or not
 * whole is cut, or lost to every sink that comes there.
 */
import type { Clock } from "../core/clock.ts";
import type { Disk, DiskFile } from "../core/disk.ts";
import { errnoOf } from "../core/fault.ts";

/** Tries of a read, and the pause before each but the first: most of a second for each sector that is really gone. */
const attemptsMax = 5;
const pauseMs = 200;

export function patientDisk(disk: Disk, clock: Clock): Disk {
  return {
    open: async (path, mode, permissions) => new PatientFile(await disk.open(path, mode, permissions), clock),
    list: (path) => disk.list(path),
    stat: (path, follow) => disk.stat(path, follow),
    realpath: (path) => disk.realpath(path),
    makeDirectory: (path, permissions) => disk.makeDirectory(path, permissions),
    rename: (from, to) => disk.rename(from, to),
    link: (from, to) => disk.link(from, to),
    remove: (path) => disk.remove(path),
    syncDirectory: (path) => disk.syncDirectory(path),
    space: (path) => disk.space(path),
  };
}

class PatientFile implements DiskFile {
  readonly path: string;
  readonly #file: DiskFile;
  readonly #clock: Clock;

  constructor(file: DiskFile, clock: Clock) {
    this.path = file.path;
    this.#file = file;
    this.#clock = clock;
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#file.read(into, position);
      } catch (cause) {
        if (errnoOf(cause) !== "EIO" || attempt >= attemptsMax) throw cause;
        await this.#clock.sleep(pauseMs);
      }
    }
  }

  write(parts: readonly Uint8Array[], position: number): Promise<void> {
    return this.#file.write(parts, position);
  }
  datasync(): Promise<void> {
    return this.#file.datasync();
  }
  truncate(bytes: number): Promise<void> {
    return this.#file.truncate(bytes);
  }
  stat(): ReturnType<DiskFile["stat"]> {
    return this.#file.stat();
  }
  close(): Promise<void> {
    return this.#file.close();
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.#file.close();
  }
}
