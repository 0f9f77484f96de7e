/**
 * Door to the disk. Everything durable goes through it, so that the simulation can forget, tear, fill up and fail.
 *
 * All calls reject with the system's error (`code` as in errno(3)); whoever calls says what it was doing.
 * Names need not be UTF-8: a byte that is not part of a character stands in a path as the lone surrogate U+DC00 + byte, and leads
 * back to the file (PEP 383 has the scheme). Such a path is made well-formed before it is shown.
 * Reads and writes run off the main thread.
 */
import { constants, watch, type Stats } from "node:fs";
import * as fs from "node:fs/promises";

export type FileKind = "file" | "directory" | "symlink" | "socket" | "other";

export interface FileStat {
  kind: FileKind;
  bytes: number;
  device: number;
  inode: number;
  links: number;
  /** Last change of the content, wall milliseconds. */
  modifiedMs: number;
}

export interface DiskFile extends AsyncDisposable {
  readonly path: string;
  /** Reads into `into` from `position`; returns the bytes read: fewer than asked at the end of the file, 0 beyond it. */
  read(into: Uint8Array, position: number): Promise<number>;
  /** Writes all of `parts`, one after the other, from `position`. A short write goes on; on rejection any part may be there. */
  write(parts: readonly Uint8Array[], position: number): Promise<void>;
  /** fdatasync(2). */
  datasync(): Promise<void>;
  truncate(bytes: number): Promise<void>;
  stat(): Promise<FileStat>;
  /** Where what is open lies, by the kernel's word and whatever its name leads to by now. Undefined where there is no such word. */
  place?(): Promise<string | undefined>;
  close(): Promise<void>;
}

/**
 * How a file is opened. `read`: must exist, never blocks on a FIFO. `nofollow`: the same, and refuses a symlink (ELOOP).
 * `write`: read and write, made when missing. `create`: must not exist yet (EEXIST).
 */
export type OpenMode = "read" | "nofollow" | "write" | "create";

/** Events of a folder until `close`. */
export interface Watch {
  close(): void;
}

/** Called with the name in the folder (undefined: not known) that was written to (`change`), or came or went (`names`). */
export type OnEvent = (name: string | undefined, kind: "change" | "names") => void;

export interface Disk {
  open(path: string, mode: OpenMode, permissions?: number): Promise<DiskFile>;
  /** Names in a directory, unsorted, without `.` and `..`. */
  list(path: string): Promise<string[]>;
  /** Follows symlinks unless `follow` is false; undefined when there is nothing. */
  stat(path: string, follow?: boolean): Promise<FileStat | undefined>;
  /** The path with every symlink resolved. */
  realpath(path: string): Promise<string>;
  makeDirectory(path: string, permissions?: number): Promise<void>;
  /** Replaces what is at `to`. */
  rename(from: string, to: string): Promise<void>;
  /** A second name; EEXIST when `to` is taken: the atomic way to never overwrite. */
  link(from: string, to: string): Promise<void>;
  /** No error when it is gone already. */
  remove(path: string): Promise<void>;
  /** Makes names in a directory durable: after create, rename, link and remove. */
  syncDirectory(path: string): Promise<void>;
  /** Bytes an unprivileged process may still write, and the size, of the file system that holds `path`. */
  space(path: string): Promise<{ freeBytes: number; totalBytes: number }>;
  /**
   * Tells what happens in a folder, within milliseconds; nothing of what happens in folders below. Undefined where the file system
   * does not tell all (over the network, in user space); rejects when no more can be watched. A simulated disk has none.
   */
  watch?(folder: string, onEvent: OnEvent): Promise<Watch | undefined>;
  /** The process's standard input, a pipe as a rule: pieces as they come, each in memory of its own, no more read than asked for. A simulated disk has none. */
  input?(): ReadableStream<Uint8Array>;
}

const flags: Record<OpenMode, number> = {
  read: constants.O_RDONLY | constants.O_NONBLOCK,
  nofollow: constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW,
  write: constants.O_RDWR | constants.O_CREAT,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
};

export const systemDisk: Disk = {
  async open(path, mode, permissions = 0o640) {
    return new SystemFile(path, await fs.open(native(path), flags[mode], permissions));
  },
  async list(path) {
    const names = await fs.readdir(native(path));
    // What is no character has become U+FFFD: asked again, since these names would lead nowhere.
    return names.some((name) => name.includes("\ufffd")) ? (await fs.readdir(native(path), { encoding: "buffer" })).map(fromNative) : names;
  },
  async stat(path, follow = true) {
    try {
      return toStat(follow ? await fs.stat(native(path)) : await fs.lstat(native(path)));
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw cause;
    }
  },
  realpath: async (path) => (path.isWellFormed() ? fs.realpath(path) : fromNative(await fs.realpath(native(path), { encoding: "buffer" }))),
  async makeDirectory(path, permissions = 0o750) {
    await fs.mkdir(path, { recursive: true, mode: permissions });
  },
  rename: (from, to) => fs.rename(from, to),
  link: (from, to) => fs.link(from, to),
  remove: (path) => fs.rm(path, { force: true }),
  async syncDirectory(path) {
    await using directory = await fs.open(path, constants.O_RDONLY);
    await directory.sync();
  },
  async space(path) {
    const found = await fs.statfs(path);
    return { freeBytes: found.bavail * found.bsize, totalBytes: found.blocks * found.bsize };
  },
  input: () => Bun.stdin.stream(),
  async watch(folder, onEvent) {
    if (process.platform !== "linux" || !localSystems.has((await fs.statfs(folder)).type)) return undefined;
    const watcher = watch(folder, { persistent: false }, (kind, name) => onEvent(name ?? undefined, kind === "change" ? "change" : "names"));
    watcher.on("error", () => onEvent(undefined, "names"));
    return watcher;
  },
};

/** Magic numbers, from statfs(2), of file systems where every write comes from this kernel: ext, xfs, btrfs, tmpfs, overlay, zfs, f2fs. */
const localSystems: ReadonlySet<number> = new Set([0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630, 0x2fc12fc1, 0xf2f52010]);

class SystemFile implements DiskFile {
  readonly path: string;
  readonly #handle: fs.FileHandle;

  constructor(path: string, handle: fs.FileHandle) {
    this.path = path;
    this.#handle = handle;
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    const { bytesRead } = await this.#handle.read(into, 0, into.byteLength, position);
    return bytesRead;
  }

  async write(parts: readonly Uint8Array[], position: number): Promise<void> {
    let rest = parts.filter((part) => part.byteLength > 0);
    let at = position;
    while (rest.length > 0) {
      // One call as a rule. writev(2) takes at most 1,024 parts and writes short when the disk fills up.
      const { bytesWritten } = await this.#handle.writev(rest.slice(0, 1024), at);
      if (bytesWritten === 0) throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
      at += bytesWritten;
      rest = skip(rest, bytesWritten);
    }
  }

  datasync(): Promise<void> {
    return this.#handle.datasync();
  }

  truncate(bytes: number): Promise<void> {
    return this.#handle.truncate(bytes);
  }

  async stat(): Promise<FileStat> {
    return toStat(await this.#handle.stat());
  }

  async place(): Promise<string | undefined> {
    return process.platform === "linux" ? fs.readlink(`/proc/self/fd/${this.#handle.fd}`).catch(() => undefined) : undefined;
  }

  close(): Promise<void> {
    return this.#handle.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** A path as the system takes it. */
function native(path: string): string | Buffer {
  if (path.isWellFormed()) return path;
  const parts = path.split(/([\udc80-\udcff])/u);
  return Buffer.concat(parts.map((part) => (/^[\udc80-\udcff]$/u.test(part) ? Buffer.of(part.charCodeAt(0) & 0xff) : Buffer.from(part))));
}

/** A name as the system has it, character by character; what is none, byte by byte. */
function fromNative(name: Buffer): string {
  const text = name.toString("utf8");
  if (!text.includes("\ufffd")) return text;
  let path = "";
  for (let at = 0; at < name.byteLength;) {
    const first = name[at] ?? 0;
    const length = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    const char = name.toString("utf8", at, at + length);
    const whole = char.length > 0 && Buffer.byteLength(char) === length && Buffer.compare(Buffer.from(char), name.subarray(at, at + length)) === 0;
    path += whole ? char : String.fromCharCode(0xdc00 + first);
    at += whole ? length : 1;
  }
  return path;
}

/** What is left of `parts` after their first `count` bytes. */
function skip(parts: readonly Uint8Array[], count: number): Uint8Array[] {
  const rest: Uint8Array[] = [];
  let left = count;
  for (const part of parts) {
    if (left >= part.byteLength) left -= part.byteLength;
    else {
      rest.push(left === 0 ? part : part.subarray(left));
      left = 0;
    }
  }
  return rest;
}

function toStat(found: Stats): FileStat {
  return { kind: kindOf(found), bytes: found.size, device: found.dev, inode: found.ino, links: found.nlink, modifiedMs: found.mtimeMs };
}

function kindOf(found: Stats): FileKind {
  if (found.isFile()) return "file";
  if (found.isDirectory()) return "directory";
  if (found.isSymbolicLink()) return "symlink";
  return found.isSocket() ? "socket" : "other";
}
