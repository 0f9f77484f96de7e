/** An open file of the simulated disk. */
import type { DiskFile, FileStat } from "../../src/core/disk.ts";
import type { Write } from "./content.ts";
import { failed, statOf, type DiskFaults, type Node } from "./node.ts";
import type { Seeded } from "./random.ts";
import type { Life } from "./world.ts";

/** What an open file needs of its disk. */
export interface Medium {
  readonly life: Life;
  readonly random: Seeded;
  readonly faults: DiskFaults;
  strikes(odds: "syncFails" | "writeFails" | "readFails"): boolean;
  usedBytes(): number;
  grown(bytes: number): void;
  dropPending(node: Node): void;
  readonly unsynced: Set<string>;
  readonly unreadable: readonly { readonly path: string; readonly at: number }[];
}

export class SimFile implements DiskFile {
  readonly path: string;
  readonly #disk: Medium;
  readonly #node: Node;
  #open = true;

  constructor(disk: Medium, path: string, node: Node) {
    this.#disk = disk;
    this.path = path;
    this.#node = node;
  }

  #later<T>(what: string, effect: () => T): Promise<T> {
    if (!this.#open) return Promise.reject(failed("EBADF", this.path));
    return this.#disk.life.later(`${what} ${this.path}`, effect);
  }

  read(into: Uint8Array, position: number): Promise<number> {
    return this.#later(`read ${position}+${into.byteLength}`, () => {
      const { random, faults } = this.#disk;
      if (this.#disk.strikes("readFails")) throw failed("EIO", this.path);
      const { unreadable } = this.#disk;
      if (unreadable.some(({ path, at }) => path === this.path && at >= position && at < position + into.byteLength)) throw failed("EIO", this.path);
      const wanted = Math.max(0, Math.min(into.byteLength, this.#node.bytes.length - position));
      const count = wanted > 1 && random.chance(faults.shortReads) ? 1 + random.below(wanted - 1) : wanted;
      into.set(this.#node.bytes.view().subarray(position, position + count));
      return count;
    });
  }

  write(parts: readonly Uint8Array[], position: number): Promise<void> {
    const bytes = Buffer.concat(parts);
    return this.#later(`write ${position}+${bytes.byteLength}`, () => {
      const disk = this.#disk;
      const grows = Math.max(0, position + bytes.byteLength - this.#node.bytes.length);
      const free = Math.max(0, disk.faults.capacity - disk.usedBytes());
      if (grows > free) {
        this.#put({ at: position, bytes: bytes.subarray(0, Math.max(0, bytes.byteLength - grows + free)) });
        throw failed("ENOSPC", this.path);
      }
      if (disk.strikes("writeFails")) {
        if (disk.random.chance(0.5)) this.#put({ at: position, bytes: bytes.subarray(0, disk.random.below(bytes.byteLength + 1)) });
        throw failed("EIO", this.path);
      }
      this.#put({ at: position, bytes });
    });
  }

  #put(asked: Write): void {
    const write = hole(asked, this.#node.bytes.length);
    const before = this.#node.bytes.length;
    this.#node.pending.push(write);
    this.#disk.unsynced.add(this.path);
    this.#node.bytes.apply(write);
    this.#disk.grown(this.#node.bytes.length - before);
  }

  datasync(): Promise<void> {
    return this.#later("sync", () => {
      const node = this.#node;
      this.#disk.unsynced.delete(this.path);
      if (this.#disk.strikes("syncFails")) {
        this.#disk.dropPending(node);
        throw failed("EIO", this.path);
      }
      for (const write of node.pending) node.durable.apply(write);
      node.pending = [];
    });
  }

  truncate(bytes: number): Promise<void> {
    return this.#later(`truncate ${bytes}`, () => {
      if (this.#disk.strikes("writeFails")) throw failed("EIO", this.path);
      this.#put({ at: bytes, bytes: undefined });
    });
  }

  stat(): Promise<FileStat> {
    return this.#later("fstat", () => statOf(this.#node));
  }

  close(): Promise<void> {
    this.#open = false;
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

const zeros = Buffer.alloc(1024 * 1024);

/** Zeroes behind the end (the spool's reserve) are kept as a size only: nothing reads them, and they would be most of what is written. */
function hole(write: Write, length: number): Write {
  const { at, bytes } = write;
  if (bytes === undefined || at < length || bytes.byteLength < 65_536 || bytes.byteLength > zeros.byteLength) return write;
  return zeros.subarray(0, bytes.byteLength).equals(bytes) ? { at: at + bytes.byteLength, bytes: undefined } : write;
}
