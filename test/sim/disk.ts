/**
 * A disk that keeps its word and not a bit more: what was not synced may be gone after a crash, in part or in any order.
 *
 * - A file's writes since its last sync survive a power loss each or not, cut at any byte, or any of their sectors; its size likewise.
 * - Names (create, rename, link, remove) survive in the order they were made, up to some point after the last sync of their
 *   folder; a folder whose own name is gone is gone with all in it.
 * - A kill of the process alone loses nothing: the kernel still has it all.
 * - It fills up (a write stops anywhere), fails a write, fails a sync (of what it covered some is on the medium, the rest is
 *   neither there nor written by the next sync, as after a real failed fsync), reads short, fails a read, and changes bytes at
 *   rest when told to. A handle that was closed cannot be used.
 */
import type { Disk, DiskFile, FileStat, OpenMode } from "../../src/core/disk.ts";
import { Content, type Write } from "./content.ts";
import { SimFile } from "./file.ts";
import { failed, noDiskFaults, statOf, type DiskFaults, type Node } from "./node.ts";
import type { Seeded } from "./random.ts";
import type { Life } from "./world.ts";

/** Names that change together: a rename is one. */
type NameChange = readonly { readonly path: string; readonly node: Node | undefined }[];

/** What a disk writes at once: of a long write any of them may be there. */
const sectorBytes = 512;

export class SimDisk implements Disk {
  readonly random: Seeded;
  readonly faults: DiskFaults = { ...noDiskFaults };
  /** The process that uses it now. */
  life: Life;
  syncsFailed = 0;
  /** Bytes that cannot be read any more. */
  readonly unreadable: { readonly path: string; readonly at: number }[] = [];
  /** Paths with writes that no sync has covered yet. */
  readonly unsynced = new Set<string>();
  #names = new Map<string, Node>();
  /** What a power loss would leave of the names, and the changes since, per folder. */
  #durableNames = new Map<string, Node>();
  #changes = new Map<string, NameChange[]>();
  #inodes = 1;
  #used = 0;

  /** `folders` are there from the start. */
  constructor(random: Seeded, life: Life, folders: readonly string[]) {
    this.random = random;
    this.life = life;
    for (const path of folders) this.#names.set(path, this.#make("directory"));
    this.#durableNames = new Map(this.#names);
  }

  #make(kind: Node["kind"]): Node {
    return { inode: this.#inodes++, kind, bytes: new Content(), durable: new Content(), pending: [] };
  }

  /** The power fails: only what was synced is sure. */
  powerLoss(): void {
    const { random } = this;
    for (const changes of this.#changes.values()) {
      for (const change of changes.slice(0, random.below(changes.length + 1))) setNames(this.#durableNames, change);
    }
    this.#changes.clear();
    this.unsynced.clear();
    for (const path of this.#durableNames.keys()) if (path !== "/" && !this.#reachable(path)) this.#durableNames.delete(path);
    this.#names = new Map(this.#durableNames);
    for (const node of new Set(this.#names.values())) {
      for (const write of node.pending) this.#happenInPart(node, write, 0.5);
      node.pending = [];
      node.bytes = node.durable.clone();
    }
    this.count();
  }

  #reachable(path: string): boolean {
    for (let dir = parent(path); dir !== "/"; dir = parent(dir)) if (!this.#durableNames.has(dir)) return false;
    return true;
  }

  /** With `share` as the odds, a write reaches the medium: whole, up to any byte of it, or any of its sectors. */
  #happenInPart(node: Node, write: Write, share: number): void {
    const { random } = this;
    if (!random.chance(share)) return;
    const { at, bytes } = write;
    if (bytes === undefined || random.chance(0.4)) return node.durable.apply(write);
    if (random.chance(0.4)) return node.durable.apply({ at, bytes: bytes.subarray(0, random.below(bytes.byteLength + 1)) });
    for (let from = 0; from < bytes.byteLength;) {
      const end = Math.min(bytes.byteLength, from + sectorBytes - ((at + from) % sectorBytes));
      if (random.chance(0.7)) node.durable.apply({ at: at + from, bytes: bytes.subarray(from, end) });
      from = end;
    }
  }

  /** A sync that failed: some of it is there all the same, nothing of the rest will be. */
  dropPending(node: Node): void {
    for (const write of node.pending) this.#happenInPart(node, write, 0.3);
    node.pending = [];
  }

  /** Changes one bit at rest. */
  flip(path: string, at: number): void {
    const node = this.#names.get(path);
    const bit = 1 << this.random.below(8);
    node?.durable.flip(at, bit);
    node?.bytes.flip(at, bit);
  }

  /** The files of `other` for which `wanted` holds, as a process sees them now, in place of our own. */
  copyFrom(other: SimDisk, wanted: (path: string) => boolean): void {
    for (const [path, node] of other.#names) {
      if (!wanted(path)) continue;
      const copy: Node = { ...node, bytes: node.bytes.clone(), durable: node.bytes.clone(), pending: [] };
      this.#names.set(path, copy);
      this.#durableNames.set(path, copy);
    }
    this.#inodes = Math.max(this.#inodes, other.#inodes);
    this.count();
  }

  /** Puts a file back, durably, as an operator would. */
  restore(path: string, content: Uint8Array): void {
    const node = this.#make("file");
    for (const copy of [node.bytes, node.durable]) copy.apply({ at: 0, bytes: content });
    this.#names.set(path, node);
    this.#durableNames.set(path, node);
    this.count();
  }

  /** As the far end of a mistake: the file is gone, durably. */
  destroy(path: string): void {
    this.#names.delete(path);
    this.#durableNames.delete(path);
    this.#changes.delete(parent(path));
    this.count();
  }

  paths(): string[] {
    return [...this.#names].filter(([, node]) => node.kind === "file").map(([path]) => path);
  }

  contentOf(path: string): Uint8Array | undefined {
    return this.#names.get(path)?.bytes.view();
  }

  /** As it is on the medium. */
  durableOf(path: string): Uint8Array | undefined {
    return this.#names.get(path)?.durable.view();
  }

  /** Bytes of all files. */
  usedBytes(): number {
    return this.#used;
  }

  grown(bytes: number): void {
    this.#used += bytes;
  }

  /** Counts anew what files take: after names went. */
  count(): void {
    this.#used = 0;
    for (const node of new Set(this.#names.values())) this.#used += node.bytes.length;
  }

  /** Whether a fault comes now, by its odds. */
  strikes(odds: "syncFails" | "writeFails" | "readFails"): boolean {
    const strikes = this.faults[odds] > 0 && this.random.chance(this.faults[odds]);
    if (strikes && odds === "syncFails") this.syncsFailed++;
    return strikes;
  }

  #change(...change: NameChange): void {
    setNames(this.#names, change);
    const dir = parent(change[0]?.path ?? "/");
    const changes = this.#changes.get(dir) ?? [];
    changes.push(change);
    this.#changes.set(dir, changes);
  }

  open(pathGiven: string, mode: OpenMode): Promise<DiskFile> {
    const path = clean(pathGiven);
    return this.life.later(`open ${path} ${mode}`, () => {
      let node = this.#names.get(path);
      if (node?.kind === "directory") throw failed("EISDIR", path);
      if (mode === "create" && node !== undefined) throw failed("EEXIST", path);
      if (node === undefined) {
        if (mode === "read" || mode === "nofollow" || !this.#names.has(parent(path))) throw failed("ENOENT", path);
        node = this.#make("file");
        this.#change({ path, node });
      }
      return new SimFile(this, path, node);
    });
  }

  list(pathGiven: string): Promise<string[]> {
    const path = clean(pathGiven);
    return this.life.later(`list ${path}`, () => {
      if (this.#names.get(path)?.kind !== "directory") throw failed("ENOENT", path);
      const inside = [...this.#names.keys()].filter((name) => name !== "/" && parent(name) === path);
      return inside.map((name) => name.slice(path.length + (path === "/" ? 0 : 1)));
    });
  }

  stat(pathGiven: string): Promise<FileStat | undefined> {
    const path = clean(pathGiven);
    return this.life.later(`stat ${path}`, () => {
      const node = this.#names.get(path);
      return node === undefined ? undefined : statOf(node);
    });
  }

  realpath(path: string): Promise<string> {
    return Promise.resolve(path);
  }

  makeDirectory(pathGiven: string): Promise<void> {
    const path = clean(pathGiven);
    return this.life.later(`mkdir ${path}`, () => {
      const parts = path.split("/").filter((part) => part !== "");
      for (let i = 1; i <= parts.length; i++) {
        const dir = `/${parts.slice(0, i).join("/")}`;
        if (!this.#names.has(dir)) this.#change({ path: dir, node: this.#make("directory") });
      }
    });
  }

  rename(fromGiven: string, toGiven: string): Promise<void> {
    const from = clean(fromGiven);
    const to = clean(toGiven);
    return this.life.later(`rename ${from} ${to}`, () => {
      const node = this.#names.get(from);
      if (node === undefined) throw failed("ENOENT", from);
      this.#change({ path: from, node: undefined }, { path: to, node });
      this.count();
    });
  }

  link(fromGiven: string, toGiven: string): Promise<void> {
    const from = clean(fromGiven);
    const to = clean(toGiven);
    return this.life.later(`link ${from} ${to}`, () => {
      const node = this.#names.get(from);
      if (node === undefined) throw failed("ENOENT", from);
      if (this.#names.has(to)) throw failed("EEXIST", to);
      this.#change({ path: to, node });
    });
  }

  remove(pathGiven: string): Promise<void> {
    const path = clean(pathGiven);
    return this.life.later(`remove ${path}`, () => {
      if (!this.#names.has(path)) return;
      this.#change({ path, node: undefined });
      this.count();
    });
  }

  syncDirectory(pathGiven: string): Promise<void> {
    const path = clean(pathGiven);
    return this.life.later(`sync folder ${path}`, () => {
      if (this.strikes("syncFails")) throw failed("EIO", path);
      for (const change of this.#changes.get(path) ?? []) setNames(this.#durableNames, change);
      this.#changes.delete(path);
    });
  }

  space(): Promise<{ freeBytes: number; totalBytes: number }> {
    return this.life.later("space", () => {
      if (this.strikes("readFails")) throw failed("EIO", "statfs");
      return { freeBytes: Math.max(0, this.faults.capacity - this.#used), totalBytes: this.faults.capacity };
    });
  }
}

function setNames(names: Map<string, Node>, change: NameChange): void {
  for (const { path, node } of change) {
    if (node === undefined) names.delete(path);
    else names.set(path, node);
  }
}

/** A slash too many names the same. */
function clean(path: string): string {
  return path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
}

function parent(path: string): string {
  const at = path.lastIndexOf("/");
  return at <= 0 ? "/" : path.slice(0, at);
}
