/**
 * A folder as a file server shows it, played over a real one: handles that the server forgets, files that are renamed to `.nfs…`
 * instead of being removed while somebody holds them, sizes and folder times that are some seconds old, inodes that come back with
 * another content, and no events.
 */
import { renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { systemDisk, type Disk, type DiskFile, type FileStat } from "../../src/core/disk.ts";

export class NfsDisk {
  /** By path: the size it had, as long as that is what is told. */
  readonly sizes = new Map<string, number>();
  /** By path: the time a folder had, as long as that is what is told. */
  readonly times = new Map<string, number>();
  /** By path: the inode that whatever has this name has. */
  readonly inodes = new Map<string, number>();
  readonly #open = new Set<NfsFile>();
  #silly = 0;

  readonly disk: Disk = {
    ...systemDisk,
    open: async (path, mode) => {
      const file = new NfsFile(await systemDisk.open(path, mode), this, (closed) => this.#closed(closed));
      this.#open.add(file);
      return file;
    },
    stat: async (path, follow) => {
      const found = await systemDisk.stat(path, follow);
      return found === undefined ? undefined : this.told(path, found);
    },
    watch: () => Promise.resolve(undefined),
  };

  /** What the client's cache makes of `stat`. */
  told(path: string, stat: FileStat): FileStat {
    const { sizes, times, inodes } = this;
    return { ...stat, bytes: sizes.get(path) ?? stat.bytes, modifiedMs: times.get(path) ?? stat.modifiedMs, inode: inodes.get(path) ?? stat.inode };
  }

  /** The server does not know the handles of `path` any more. */
  forget(path: string): void {
    for (const file of this.#open) if (file.path === path) file.stale = true;
  }

  /** Removes `path` as a client of such a server does. */
  remove(path: string): void {
    const held = [...this.#open].filter((file) => file.path === path && file.silly === undefined);
    if (held.length === 0) return rmSync(path);
    const silly = join(dirname(path), `.nfs${(++this.#silly).toString(16).padStart(8, "0")}`);
    renameSync(path, silly);
    for (const file of held) file.silly = silly;
  }

  #closed(file: NfsFile): void {
    this.#open.delete(file);
    if (file.silly !== undefined && ![...this.#open].some((other) => other.silly === file.silly)) rmSync(file.silly, { force: true });
  }
}

class NfsFile implements DiskFile {
  readonly path: string;
  stale = false;
  silly: string | undefined;
  readonly #file: DiskFile;
  readonly #disk: NfsDisk;
  readonly #onClose: (file: NfsFile) => void;

  constructor(file: DiskFile, disk: NfsDisk, onClose: (file: NfsFile) => void) {
    this.path = file.path;
    this.#file = file;
    this.#disk = disk;
    this.#onClose = onClose;
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    this.#check();
    return this.#file.read(into, position);
  }

  async stat(): Promise<FileStat> {
    this.#check();
    return this.#disk.told(this.silly ?? this.path, await this.#file.stat());
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

  async close(): Promise<void> {
    await this.#file.close();
    this.#onClose(this);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #check(): void {
    if (this.stale) throw Object.assign(new Error("ESTALE: stale file handle"), { code: "ESTALE" });
  }
}
