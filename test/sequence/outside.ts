/**
 * The doors of one life: the real disk by calls that return at once, time that stands still until it is let on, chance by seed.
 *
 * Before each call to the disk `point` is called: there the writer may go on, and the life may end. After its end nothing it asked for is ever
 * answered, and of what it is writing at that moment a part may be on disk.
 */
import * as fs from "node:fs";
import type { Clock } from "../../src/core/clock.ts";
import type { Disk, DiskFile, FileStat, OpenMode } from "../../src/core/disk.ts";
import { systemDoors, type Doors } from "../../src/core/doors.ts";
import { toError } from "../../src/core/fault.ts";
import type { Seeded } from "../sim/random.ts";
import { unpackAtOnce } from "./unpack.ts";
import type { World } from "./world.ts";

export interface OutsideOptions {
  readonly world: World;
  readonly clock: Clock;
  readonly random: Seeded;
  /** The share of file system events that come; 0: folders cannot be watched. */
  readonly events: number;
  readonly point: () => void;
}

const { O_RDONLY, O_NONBLOCK, O_NOFOLLOW, O_RDWR, O_CREAT, O_EXCL } = fs.constants;
const flags: Record<OpenMode, number> = {
  read: O_RDONLY | O_NONBLOCK,
  nofollow: O_RDONLY | O_NONBLOCK | O_NOFOLLOW,
  write: O_RDWR | O_CREAT,
  create: O_RDWR | O_CREAT | O_EXCL,
};
const never = new Promise<never>(() => {});

export class Outside {
  readonly doors: Doors;
  readonly #options: OutsideOptions;
  /** Descriptors that are open, and the inodes they lead to. */
  readonly #open = new Map<number, number>();
  #ended = false;

  constructor(options: OutsideOptions) {
    const { clock, random } = options;
    this.#options = options;
    this.doors = {
      ...systemDoors,
      disk: this.#disk(),
      clock: {
        now: () => clock.now(),
        monotonic: () => clock.monotonic(),
        sleep: (ms, ...signals) => (this.#ended ? never : clock.sleep(ms, ...signals)),
      },
      random,
      compress: { ...systemDoors.compress, zstd: (bytes, level) => Promise.resolve(Bun.zstdCompressSync(bytes, { level })), unpack: unpackAtOnce },
    };
  }

  /** Inodes that are open. */
  get open(): Set<number> {
    return new Set(this.#open.values());
  }

  /** Ends it: closes what is open, answers nothing any more. */
  end(): void {
    this.#ended = true;
    for (const fd of this.#open.keys()) this.#close(fd);
  }

  #call<T>(work: () => T): Promise<T> {
    if (!this.#ended) this.#options.point();
    if (this.#ended) return never;
    try {
      return Promise.resolve(work());
    } catch (cause) {
      return Promise.reject(toError(cause));
    }
  }

  #close(fd: number): void {
    const node = this.#options.world.nodeOf(fs.fstatSync(fd));
    this.#open.delete(fd);
    fs.closeSync(fd);
    if (node !== undefined) this.#options.world.release(node, this.open.has(node.inode));
  }

  #stat(stat: fs.Stats, path: string): FileStat {
    const kind = stat.isFile() ? "file" : stat.isDirectory() ? "directory" : stat.isSymbolicLink() ? "symlink" : "other";
    return { kind, bytes: stat.size, links: stat.nlink, ...this.#options.world.translate(stat, path) };
  }

  #file(path: string, fd: number): DiskFile {
    return {
      path,
      read: (into, position) => this.#call(() => fs.readSync(fd, into, 0, into.byteLength, position)),
      write: (parts, position) => this.#write(path, fd, Buffer.concat(parts), position),
      datasync: () => this.#call(() => {}),
      truncate: (bytes) => this.#call(() => fs.ftruncateSync(fd, bytes)),
      stat: () => this.#call(() => this.#stat(fs.fstatSync(fd), path)),
      close: () => this.#call(() => this.#close(fd)),
      [Symbol.asyncDispose]: () => this.#call(() => this.#close(fd)),
    };
  }

  /** A life that ends here may have written a part. */
  #write(path: string, fd: number, bytes: Uint8Array, position: number): Promise<void> {
    const before = this.#ended;
    const written = this.#call(() => void fs.writeSync(fd, bytes, 0, bytes.byteLength, position));
    if (this.#ended && !before) {
      const again = fs.openSync(path, O_RDWR);
      fs.writeSync(again, bytes, 0, this.#options.random.below(bytes.byteLength + 1), position);
      fs.closeSync(again);
    }
    return written;
  }

  #disk(): Disk {
    const { world, random, events } = this.#options;
    const call: <T>(work: () => T) => Promise<T> = (work) => this.#call(work);
    return {
      ...systemDoors.disk,
      open: (path, mode, permissions = 0o640) =>
        call(() => {
          const fd = fs.openSync(path, flags[mode], permissions);
          this.#open.set(fd, world.translate(fs.fstatSync(fd), path).inode);
          return this.#file(path, fd);
        }),
      list: (path) => call(() => fs.readdirSync(path)),
      stat: (path, follow = true) =>
        call(() => {
          const stat = follow ? fs.statSync(path, { throwIfNoEntry: false }) : fs.lstatSync(path, { throwIfNoEntry: false });
          return stat === undefined ? undefined : this.#stat(stat, path);
        }),
      realpath: (path) => call(() => fs.realpathSync(path)),
      makeDirectory: (path, permissions = 0o750) => call(() => void fs.mkdirSync(path, { recursive: true, mode: permissions })),
      rename: (from, to) => call(() => fs.renameSync(from, to)),
      link: (from, to) => call(() => fs.linkSync(from, to)),
      remove: (path) => call(() => fs.rmSync(path, { force: true })),
      syncDirectory: () => call(() => {}),
      space: () => Promise.resolve({ freeBytes: 2 ** 40, totalBytes: 2 ** 41 }),
      watch: (folder, onEvent) =>
        call(() => {
          if (events === 0) return undefined;
          const close = world.watch(folder, (name, kind) => {
            if (!this.#ended && random.chance(events)) onEvent(name, kind);
          });
          return { close };
        }),
    };
  }
}
