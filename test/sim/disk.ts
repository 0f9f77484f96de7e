/**
 * A disk that keeps its word and not a bit more: what was not synced may be gone after a crash, in part or in any order.
 *
 * - A file's writes since its last sync survive a power loss each or not, and cut at any byte; its size likewise.
 * - Names (create, rename, link, remove) survive in the order they were made, up to some point after the last sync of the folder.
 * - A kill of the process alone loses nothing: the kernel still has it all.
 * - It fills up (a write stops anywhere), fails a sync (what it covered is then neither on disk nor written again by the next
 *   sync, as after a real failed fsync), reads short, and changes bytes at rest when told to.
 */
import type { Disk, DiskFile, FileStat, OpenMode } from "../../src/core/disk.ts";
import type { World } from "./world.ts";

interface Node {
  readonly inode: number;
  readonly kind: "file" | "directory";
  /** As every process sees it. */
  bytes: Uint8Array;
  /** As it is on the medium. */
  durable: Uint8Array;
  /** Since the last sync, in order. Dirty no more once a sync of them failed. */
  pending: { at: number; bytes: Uint8Array | undefined; size: number; lost: boolean }[];
}

type NameChange = { readonly path: string; readonly node: Node | undefined };

export interface DiskFaults {
  /** Chance of each: a sync fails, a read comes short. */
  syncFails: number;
  shortReads: number;
  /** Bytes all files may take. */
  capacity: number;
}

const failed = (code: string, path: string): Error => Object.assign(new Error(`${code} ${path}`), { code });

export class SimDisk implements Disk {
  readonly #world: World;
  readonly faults: DiskFaults = { syncFails: 0, shortReads: 0, capacity: Infinity };
  #names = new Map<string, Node>();
  /** What a power loss would leave of the names, and the changes since, per folder. */
  #durableNames = new Map<string, Node>();
  #changes = new Map<string, NameChange[]>();
  #inodes = 1;

  constructor(world: World) {
    this.#world = world;
    const root: Node = { inode: 0, kind: "directory", bytes: new Uint8Array(), durable: new Uint8Array(), pending: [] };
    this.#names.set("/", root);
    this.#durableNames.set("/", root);
  }

  /** The power fails: only what was synced is sure. */
  powerLoss(): void {
    const { random } = this.#world;
    for (const changes of this.#changes.values()) {
      for (const { path, node } of changes.slice(0, random.below(changes.length + 1))) setName(this.#durableNames, path, node);
    }
    this.#changes.clear();
    this.#names = new Map(this.#durableNames);
    for (const node of new Set(this.#names.values())) {
      let bytes = node.durable;
      for (const write of node.pending)
        if (!write.lost && random.chance(0.5))
          bytes = applied(bytes, write, random.chance(0.5) ? undefined : random.below((write.bytes?.byteLength ?? 0) + 1));
      node.bytes = bytes;
      node.durable = bytes;
      node.pending = [];
    }
  }

  /** Changes one byte at rest of a file that `matches`; returns where, or undefined when there is none. */
  rot(matches: (path: string) => boolean): { path: string; at: number } | undefined {
    const found = [...this.#names].filter(([path, node]) => node.kind === "file" && node.durable.byteLength > 0 && matches(path));
    const [path, node] = this.#world.random.pick(found) ?? [];
    if (path === undefined || node === undefined) return undefined;
    const at = this.#world.random.below(node.durable.byteLength);
    const flip = 1 << this.#world.random.below(8);
    node.durable = node.durable.slice();
    node.durable[at] = (node.durable[at] ?? 0) ^ flip;
    if (at < node.bytes.byteLength) {
      node.bytes = node.bytes.slice();
      node.bytes[at] = node.durable[at] ?? 0;
    }
    return { path, at };
  }

  /** Everything as it is now, as a copy of the folder by a snapshot or `cp`. */
  copyFrom(other: SimDisk): void {
    this.#names = new Map(
      [...other.#names].map(([path, node]) => [path, { ...node, bytes: node.bytes.slice(), durable: node.bytes.slice(), pending: [] }]),
    );
    this.#durableNames = new Map(this.#names);
    this.#changes.clear();
  }

  paths(): string[] {
    return [...this.#names].filter(([, node]) => node.kind === "file").map(([path]) => path);
  }

  contentOf(path: string): Uint8Array | undefined {
    return this.#names.get(path)?.bytes;
  }

  usedBytes(): number {
    let bytes = 0;
    for (const node of new Set(this.#names.values())) bytes += node.bytes.byteLength;
    return bytes;
  }

  #change(path: string, node: Node | undefined): void {
    setName(this.#names, path, node);
    const dir = parent(path);
    const changes = this.#changes.get(dir) ?? [];
    changes.push({ path, node });
    this.#changes.set(dir, changes);
  }

  open(path: string, mode: OpenMode): Promise<DiskFile> {
    return this.#world.later(`open ${path} ${mode}`, () => {
      let node = this.#names.get(path);
      if (node?.kind === "directory") throw failed("EISDIR", path);
      if (mode === "create" && node !== undefined) throw failed("EEXIST", path);
      if (node === undefined) {
        if (mode === "read" || mode === "nofollow" || !this.#names.has(parent(path))) throw failed("ENOENT", path);
        node = { inode: this.#inodes++, kind: "file", bytes: new Uint8Array(), durable: new Uint8Array(), pending: [] };
        this.#change(path, node);
      }
      return new SimFile(this.#world, this, path, node);
    });
  }

  list(path: string): Promise<string[]> {
    return this.#world.later(`list ${path}`, () => {
      if (this.#names.get(path)?.kind !== "directory") throw failed("ENOENT", path);
      return [...this.#names.keys()]
        .filter((name) => name !== "/" && parent(name) === path)
        .map((name) => name.slice(path.length + (path === "/" ? 0 : 1)));
    });
  }

  stat(path: string): Promise<FileStat | undefined> {
    return this.#world.later(`stat ${path}`, () => {
      const node = this.#names.get(path);
      return node === undefined ? undefined : statOf(node);
    });
  }

  realpath(path: string): Promise<string> {
    return Promise.resolve(path);
  }

  makeDirectory(path: string): Promise<void> {
    return this.#world.later(`mkdir ${path}`, () => {
      const parts = path.split("/").filter((part) => part !== "");
      for (let i = 1; i <= parts.length; i++) {
        const dir = `/${parts.slice(0, i).join("/")}`;
        if (this.#names.has(dir)) continue;
        this.#change(dir, { inode: this.#inodes++, kind: "directory", bytes: new Uint8Array(), durable: new Uint8Array(), pending: [] });
      }
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.#world.later(`rename ${from} ${to}`, () => {
      const node = this.#names.get(from);
      if (node === undefined) throw failed("ENOENT", from);
      this.#change(from, undefined);
      this.#change(to, node);
    });
  }

  link(from: string, to: string): Promise<void> {
    return this.#world.later(`link ${from} ${to}`, () => {
      const node = this.#names.get(from);
      if (node === undefined) throw failed("ENOENT", from);
      if (this.#names.has(to)) throw failed("EEXIST", to);
      this.#change(to, node);
    });
  }

  remove(path: string): Promise<void> {
    return this.#world.later(`remove ${path}`, () => {
      if (this.#names.has(path)) this.#change(path, undefined);
    });
  }

  syncDirectory(path: string): Promise<void> {
    return this.#world.later(`sync folder ${path}`, () => {
      if (this.#world.random.chance(this.faults.syncFails)) throw failed("EIO", path);
      for (const { path: name, node } of this.#changes.get(path) ?? []) setName(this.#durableNames, name, node);
      this.#changes.delete(path);
      // Synced under a folder whose own name is not: as ext4, which commits the parents with it.
      for (let dir = path; dir !== "/"; dir = parent(dir)) {
        const node = this.#names.get(dir);
        if (node !== undefined && !this.#durableNames.has(dir)) this.#durableNames.set(dir, node);
      }
    });
  }

  space(): Promise<{ freeBytes: number; totalBytes: number }> {
    return this.#world.later("space", () => ({ freeBytes: Math.max(0, this.faults.capacity - this.usedBytes()), totalBytes: this.faults.capacity }));
  }
}

class SimFile implements DiskFile {
  readonly path: string;
  readonly #world: World;
  readonly #disk: SimDisk;
  readonly #node: Node;

  constructor(world: World, disk: SimDisk, path: string, node: Node) {
    this.#world = world;
    this.#disk = disk;
    this.path = path;
    this.#node = node;
  }

  read(into: Uint8Array, position: number): Promise<number> {
    return this.#world.later(`read ${this.path} ${position}`, () => {
      const { random } = this.#world;
      const wanted = Math.max(0, Math.min(into.byteLength, this.#node.bytes.byteLength - position));
      const count = wanted > 1 && random.chance(this.#disk.faults.shortReads) ? 1 + random.below(wanted - 1) : wanted;
      into.set(this.#node.bytes.subarray(position, position + count));
      return count;
    });
  }

  write(parts: readonly Uint8Array[], position: number): Promise<void> {
    const bytes = Buffer.concat(parts);
    return this.#world.later(`write ${this.path} ${position}+${bytes.byteLength}`, () => {
      const grows = Math.max(0, position + bytes.byteLength - this.#node.bytes.byteLength);
      const free = this.#disk.faults.capacity - this.#disk.usedBytes();
      if (grows > free) {
        const part = Math.max(0, bytes.byteLength - grows + Math.max(0, free));
        this.#put({ at: position, bytes: bytes.subarray(0, part), size: position + part });
        throw failed("ENOSPC", this.path);
      }
      this.#put({ at: position, bytes, size: position + bytes.byteLength });
    });
  }

  #put(write: { at: number; bytes: Uint8Array | undefined; size: number }): void {
    const change = { ...write, lost: false };
    this.#node.pending.push(change);
    this.#node.bytes = applied(this.#node.bytes, change);
  }

  datasync(): Promise<void> {
    return this.#world.later(`sync ${this.path}`, () => {
      const node = this.#node;
      if (this.#world.random.chance(this.#disk.faults.syncFails)) {
        for (const write of node.pending) write.lost = true;
        throw failed("EIO", this.path);
      }
      for (const write of node.pending) if (!write.lost) node.durable = applied(node.durable, write);
      node.pending = node.pending.filter((write) => write.lost);
    });
  }

  truncate(bytes: number): Promise<void> {
    return this.#world.later(`truncate ${this.path} ${bytes}`, () => this.#put({ at: bytes, bytes: undefined, size: bytes }));
  }

  stat(): Promise<FileStat> {
    return this.#world.later(`fstat ${this.path}`, () => statOf(this.#node));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** A write (of its first `bytesMax` bytes) or, without bytes, a truncation. */
function applied(content: Uint8Array, write: { at: number; bytes: Uint8Array | undefined; size: number }, bytesMax?: number): Uint8Array {
  if (write.bytes === undefined) {
    const cut = new Uint8Array(write.size);
    cut.set(content.subarray(0, write.size));
    return cut;
  }
  const part = write.bytes.subarray(0, bytesMax ?? write.bytes.byteLength);
  const grown = new Uint8Array(Math.max(content.byteLength, write.at + part.byteLength));
  grown.set(content);
  grown.set(part, write.at);
  return grown;
}

function setName(names: Map<string, Node>, path: string, node: Node | undefined): void {
  if (node === undefined) names.delete(path);
  else names.set(path, node);
}

function parent(path: string): string {
  const at = path.lastIndexOf("/");
  return at <= 0 ? "/" : path.slice(0, at);
}

function statOf(node: Node): FileStat {
  return { kind: node.kind, bytes: node.bytes.byteLength, device: 1, inode: node.inode, links: 1, modifiedMs: 0 };
}
