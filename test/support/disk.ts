/** A disk in memory that forgets what was not synced, when the test says that the power is gone. */
import type { Disk, DiskFile, FileStat } from "../../src/core/disk.ts";

interface Inode {
  readonly number: number;
  /** As read by the process, and as it would be found after a power cut. */
  bytes: Uint8Array;
  synced: Uint8Array;
}

const errno = (code: string, path: string): Error => Object.assign(new Error(`${code}: ${path}`), { code });

/** Knows files of one folder level only: folders are taken to be there, and `syncDirectory` makes all names durable. */
export class MemoryDisk implements Disk {
  #names = new Map<string, Inode>();
  #durable = new Map<string, Inode>();
  #inodes = 0;

  /** Power off and on: names as last synced or as they are; of unsynced bytes a beginning is left. `random` in [0, 1). */
  crash(random: () => number): void {
    this.#names = new Map(random() < 0.5 ? this.#durable : this.#names);
    for (const inode of this.#names.values()) {
      let same = 0;
      while (same < inode.synced.length && inode.synced[same] === inode.bytes[same]) same++;
      const kept = same === inode.synced.length ? same + Math.floor(random() * (inode.bytes.length - same + 1)) : inode.bytes.length;
      inode.bytes = inode.bytes.slice(0, kept);
      inode.synced = inode.bytes;
    }
    this.#durable = new Map(this.#names);
  }

  async open(path: string, mode: Parameters<Disk["open"]>[1]): Promise<DiskFile> {
    let inode = this.#names.get(path);
    if (inode !== undefined && mode === "create") throw errno("EEXIST", path);
    if (inode === undefined) {
      if (mode === "read" || mode === "nofollow") throw errno("ENOENT", path);
      inode = { number: ++this.#inodes, bytes: new Uint8Array(), synced: new Uint8Array() };
      this.#names.set(path, inode);
    }
    return openFile(path, inode);
  }

  async list(path: string): Promise<string[]> {
    return [...this.#names.keys()].filter((name) => name.startsWith(`${path}/`)).map((name) => name.slice(path.length + 1));
  }

  async stat(path: string): Promise<FileStat | undefined> {
    const inode = this.#names.get(path);
    return inode === undefined ? undefined : statOf(inode);
  }

  realpath(path: string): Promise<string> {
    return Promise.resolve(path);
  }

  makeDirectory(): Promise<void> {
    return Promise.resolve();
  }

  async rename(from: string, to: string): Promise<void> {
    const inode = this.#names.get(from);
    if (inode === undefined) throw errno("ENOENT", from);
    this.#names.set(to, inode);
    this.#names.delete(from);
  }

  async link(from: string, to: string): Promise<void> {
    const inode = this.#names.get(from);
    if (inode === undefined) throw errno("ENOENT", from);
    if (this.#names.has(to)) throw errno("EEXIST", to);
    this.#names.set(to, inode);
  }

  async remove(path: string): Promise<void> {
    this.#names.delete(path);
  }

  async syncDirectory(): Promise<void> {
    await Promise.resolve();
    this.#durable = new Map(this.#names);
  }

  space(): Promise<{ freeBytes: number; totalBytes: number }> {
    return Promise.resolve({ freeBytes: 2 ** 30, totalBytes: 2 ** 30 });
  }
}

const statOf = (inode: Inode): FileStat => ({ kind: "file", bytes: inode.bytes.length, device: 1, inode: inode.number, links: 1, modifiedMs: 0 });

function openFile(path: string, inode: Inode): DiskFile {
  return {
    path,
    async read(into, position) {
      const found = inode.bytes.subarray(position, position + into.length);
      into.set(found);
      return found.length;
    },
    async write(parts, position) {
      const added = Buffer.concat(parts);
      const bytes = new Uint8Array(Math.max(inode.bytes.length, position + added.length));
      bytes.set(inode.bytes);
      bytes.set(added, position);
      inode.bytes = bytes;
      await Promise.resolve();
    },
    async datasync() {
      await Promise.resolve();
      inode.synced = inode.bytes;
    },
    async truncate(bytes) {
      inode.bytes = inode.bytes.slice(0, bytes);
    },
    stat: () => Promise.resolve(statOf(inode)),
    close: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
