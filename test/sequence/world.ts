/**
 * The logs of a sequence: real files in a real folder, and the model of what is in them.
 *
 * A *node* is a file (an inode), a *generation* is what was written into one between two truncations. A copy takes the generation along:
 * what it holds is to be delivered once, whichever of the two it is read from. Of every complete line the model knows
 * whether it must arrive (once) or may (once or not at all): the latter when its last bytes were taken away before anybody could have read them.
 *
 * Inodes and modification times are the world's own: inodes are used again at once or never, times have the kernel's granularity of 4 ms.
 */
import * as fs from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import type { OnEvent } from "../../src/core/disk.ts";
import type { Seeded } from "../sim/random.ts";

export interface Line {
  readonly text: string;
  may: boolean;
}

export class Generation {
  readonly lines: Line[] = [];
  #rest = Buffer.alloc(0);
  /** What is written from now on may be lost too. */
  abandoned = false;

  /** What follows the last line end: of a compressed file, which never grows, it may come as a partial line. */
  get rest(): string {
    return this.#rest.toString();
  }

  take(bytes: Uint8Array): void {
    let all = Buffer.concat([this.#rest, bytes]);
    for (let end = all.indexOf(10); end >= 0; end = all.indexOf(10)) {
      this.lines.push({ text: all.toString("utf8", 0, end), may: this.abandoned });
      all = all.subarray(end + 1);
    }
    this.#rest = all;
  }
}

export interface Node {
  readonly inode: number;
  readonly key: string;
  /** The writer's, append only; undefined once it is closed. */
  fd: number | undefined;
  /** The path it has; undefined once it is deleted. */
  path: string | undefined;
  /** Whether a look finds it: its path matches the globs, or a symlink that does leads to it. */
  named: boolean;
  generation: Generation;
  modifiedMs: number;
  /** The other half of a line that was cut. */
  unfinished: Uint8Array;
  /** The folder where a look last found it; a copy has none, since positions know files by their inodes. */
  home: string | undefined;
}

/** A compressed copy in the making. */
export interface Pack {
  readonly node: Node;
  readonly copy: Node;
  readonly rest: Uint8Array;
}

/** What the world asks of whoever reads it. */
export interface Audience {
  /** Has it open for good, so that it can be read whatever becomes of its name. */
  holds(node: Node): boolean;
  /** Has it open, perhaps just to look at it. */
  opens(node: Node): boolean;
  /** Its lines that are durable. */
  durable(text: string): boolean;
}

export interface WorldOptions {
  readonly root: string;
  readonly random: Seeded;
  readonly now: () => number;
  /** An inode that is free is used again at once. */
  readonly reuse: boolean;
  readonly note: (words: string) => void;
  readonly audience: Audience;
}

/** What some logs begin with, each time anew: longer than what a file is known by. */
const banner = `# ${"started ".repeat(150)}\n`;

export function isBanner(text: string): boolean {
  return text.startsWith("# ");
}

const granularityMs = 4;
const nothing = new Uint8Array(0);

export class World {
  readonly root: string;
  readonly random: Seeded;
  readonly nodes = new Set<Node>();
  readonly generations: Generation[] = [];
  audience: Audience;
  readonly #now: () => number;
  readonly #reuse: boolean;
  readonly #byKey = new Map<string, Node>();
  readonly #free: number[] = [];
  readonly #folders = new Map<string, number>();
  readonly #watches = new Map<string, Set<OnEvent>>();
  readonly #note: (words: string) => void;
  #inodes = 1000;
  #line = 0;

  constructor(options: WorldOptions) {
    this.root = options.root;
    this.random = options.random;
    this.#now = options.now;
    this.#reuse = options.reuse;
    this.#note = options.note;
    this.audience = options.audience;
  }

  note(words: string): void {
    this.#note(words.replaceAll(`${this.root}/`, ""));
  }

  /** The inode and times of what was found at `path`, or behind an open descriptor. */
  translate(stat: fs.Stats, path: string): { inode: number; device: number; modifiedMs: number } {
    const node = this.#byKey.get(keyOf(stat));
    if (node !== undefined) return { inode: node.inode, device: 1, modifiedMs: node.modifiedMs };
    const below = path.startsWith(`${this.root}/`) || path === this.root;
    return { inode: stat.ino, device: stat.dev, modifiedMs: below && stat.isDirectory() ? (this.#folders.get(path) ?? 0) : stat.mtimeMs };
  }

  nodeOf(stat: fs.Stats): Node | undefined {
    return this.#byKey.get(keyOf(stat));
  }

  watch(folder: string, onEvent: OnEvent): () => void {
    const all = this.#watches.get(folder) ?? new Set();
    this.#watches.set(folder, all.add(onEvent));
    return () => all.delete(onEvent);
  }

  folder(path: string): string {
    fs.mkdirSync(path, { recursive: true });
    this.#touchFolder(path);
    return path;
  }

  create(path: string, named: boolean, generation = new Generation()): Node {
    const fd = fs.openSync(path, fs.constants.O_CREAT | fs.constants.O_EXCL | fs.constants.O_RDWR | fs.constants.O_APPEND, 0o600);
    const key = keyOf(fs.fstatSync(fd));
    const inode = (this.#reuse ? this.#free.pop() : undefined) ?? this.#inodes++;
    const node: Node = { inode, key, fd, path, named, generation, modifiedMs: this.#stamp(), unfinished: nothing, home: undefined };
    this.nodes.add(node);
    this.#byKey.set(key, node);
    if (named && generation.lines.length === 0) node.home = dirname(path);
    if (!this.generations.includes(generation)) this.generations.push(generation);
    this.note(`create ${path} as inode ${inode}`);
    this.#names(path);
    return node;
  }

  /** Appends `count` lines; `cut`: the last one only in part, its other half comes with the next ones. */
  append(node: Node, count: number, cut: boolean): void {
    const first = this.#line;
    let text = "";
    for (let i = 0; i < count; i++) text += this.#nextLine();
    const parts = [node.unfinished, Buffer.from(text)];
    node.unfinished = nothing;
    if (cut) {
      const line = Buffer.from(this.#nextLine());
      const at = 1 + this.random.below(line.byteLength - 1);
      parts.push(line.subarray(0, at));
      node.unfinished = line.subarray(at);
    }
    this.#write(node, Buffer.concat(parts));
    this.note(`append ${first} to ${this.#line - 1} to ${node.path ?? node.inode}${cut ? ", the last one cut" : ""}`);
  }

  /** The line that all generations of some logs begin with. */
  begin(node: Node): void {
    this.note(`begin ${node.path}`);
    this.#write(node, Buffer.from(banner));
  }

  rename(node: Node, to: string, named: boolean): void {
    const from = node.path ?? "";
    fs.renameSync(from, to);
    this.note(`rename ${from} to ${to}`);
    node.path = to;
    this.#names(from);
    this.#names(to);
    this.name(node, named);
  }

  remove(node: Node): void {
    const path = node.path ?? "";
    fs.unlinkSync(path);
    this.note(`delete ${path}`);
    node.path = undefined;
    this.#names(path);
    this.name(node, false);
  }

  /** What it holds is gone, as with `> file`; unless `copy` took it along. */
  truncate(node: Node): void {
    if (node.fd === undefined) return;
    this.#unreachable(node);
    fs.ftruncateSync(node.fd, 0);
    node.generation = new Generation();
    this.generations.push(node.generation);
    node.unfinished = nothing;
    node.modifiedMs = this.#stamp();
    this.note(`truncate ${node.path}`);
    this.#changed(node);
  }

  /** A copy under another name, which takes the generation along; `named`: and is found there. */
  copy(node: Node, to: string, named: boolean): Node {
    const bytes = fs.readFileSync(node.path ?? "");
    const copy = this.create(to, named, node.generation);
    if (copy.fd !== undefined) fs.writeSync(copy.fd, bytes);
    this.note(`copy ${node.path} to ${to}`);
    this.close(copy);
    return copy;
  }

  /** Begins a compressed copy beside it, which takes the generation along; of its bytes a part is there. */
  pack(node: Node, packing: "gz" | "zst", named: boolean): Pack {
    const raw = fs.readFileSync(node.path ?? "");
    const bytes = packing === "gz" ? gzipSync(raw) : Bun.zstdCompressSync(raw);
    const copy = this.create(`${node.path}.${packing}`, named, node.generation);
    const written = this.random.below(bytes.byteLength + 1);
    if (copy.fd !== undefined) fs.writeSync(copy.fd, bytes.subarray(0, written));
    this.note(`pack ${node.path}: ${written} of ${bytes.byteLength} bytes`);
    return { node, copy, rest: bytes.subarray(written) };
  }

  /** As gzip does: the rest, the times of the original, which is removed. */
  packed({ node, copy, rest }: Pack): void {
    if (copy.fd !== undefined) fs.writeSync(copy.fd, rest);
    copy.modifiedMs = node.modifiedMs;
    this.note(`packed ${copy.path}`);
    this.#changed(copy);
    this.close(copy);
    this.remove(node);
    this.release(node);
  }

  symlink(path: string, target: string): void {
    fs.symlinkSync(target, `${path}.next`);
    fs.renameSync(`${path}.next`, path);
    this.note(`link ${path} to ${target}`);
    this.#names(path);
  }

  /** The writer has done with it. */
  close(node: Node): void {
    if (node.fd !== undefined) fs.closeSync(node.fd);
    node.fd = undefined;
    this.release(node);
  }

  /** Its inode is free once nobody has it open. */
  release(node: Node, open = this.audience.opens(node)): void {
    if (node.path !== undefined || node.fd !== undefined || open || !this.nodes.delete(node)) return;
    this.#byKey.delete(node.key);
    this.#free.push(node.inode);
  }

  /** From now on a look finds it, or not. */
  name(node: Node, named: boolean): void {
    node.named = named;
    if (named && node.home !== undefined) node.home = dirname(node.path ?? "");
    if (!named && !this.audience.holds(node) && !this.#known(node)) this.#unreachable(node);
  }

  /** The reader is gone: what only it could still read is out of reach. */
  unread(): void {
    for (const node of this.nodes) if (!node.named && !this.#known(node)) this.#unreachable(node);
  }

  /** Unless a copy that a look finds has it too. */
  #unreachable(node: Node): void {
    const { generation } = node;
    if (![...this.nodes].some((other) => other !== node && other.named && other.generation === generation)) this.#giveUp(generation);
  }

  /** What is not durable of it may be lost. */
  #giveUp(generation: Generation): void {
    for (const line of generation.lines) if (!this.audience.durable(line.text)) line.may = true;
    generation.abandoned = true;
  }

  /** It has lost its name, but lies beside where it was, and a position leads to it. */
  #known(node: Node): boolean {
    const first = node.generation.lines.find(({ text }) => !isBanner(text));
    return node.path !== undefined && dirname(node.path) === node.home && first !== undefined && this.audience.durable(first.text);
  }

  #nextLine(): string {
    const n = this.#line++;
    const { random } = this;
    const filler = random.chance(0.1)
      ? "long ".repeat(random.below(300))
      : random.chance(0.1)
        ? "é日本😀".repeat(random.below(8))
        : "x".repeat(random.below(60));
    return `${n}<${filler}>${n}\n`;
  }

  #write(node: Node, bytes: Uint8Array): void {
    if (node.fd === undefined) return;
    fs.writeSync(node.fd, bytes);
    node.generation.take(bytes);
    node.modifiedMs = this.#stamp();
    this.#changed(node);
  }

  #stamp(): number {
    return Math.floor(this.#now() / granularityMs) * granularityMs;
  }

  #touchFolder(path: string): void {
    this.#folders.set(path, this.#stamp());
  }

  #names(path: string): void {
    this.#touchFolder(dirname(path));
    this.#tell(path, "names");
  }

  #changed(node: Node): void {
    if (node.path !== undefined) this.#tell(node.path, "change");
  }

  #tell(path: string, kind: "change" | "names"): void {
    const name = path.slice(dirname(path).length + 1);
    for (const onEvent of this.#watches.get(dirname(path)) ?? []) queueMicrotask(() => onEvent(name, kind));
  }

  join(...names: string[]): string {
    return join(this.root, ...names);
  }
}

function keyOf(stat: fs.Stats): string {
  return `${stat.dev}:${stat.ino}`;
}
