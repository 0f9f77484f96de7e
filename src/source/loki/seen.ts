/**
 * What has been emitted: keys of entries by bucket of their time, for as long as late entries are looked for.
 *
 * Exactly as durable as the records themselves: the keys of a chunk are in its position (`k:N`, 8 bytes an entry in base64), in
 * the commit group of its records. From time to time those that are durable move into a file of ours, which is synced, and one
 * position says at once how long the file is now (`f:N`) and which keys it replaces. What a file holds beyond is not there.
 *
 *     file      NNNNNNNN.keys: blocks one after the other; a new one every 16 MiB, gone when all its buckets are
 *     block     u32 bucket, u32 n, u32 CRC-32 of the keys, n keys of u32 high, u32 low; little endian
 *
 * Memory: 8 bytes an entry that is not in a file yet (16,384 at most before they move), 9.1 to 18.3 for buckets that are asked
 * for, 8 MiB of these together; others are read again when an entry of their time comes. On disk 8 bytes an entry.
 */
import { assert } from "../../core/assert.ts";
import type { Json, PositionDelta } from "../../core/contract.ts";
import type { Disk } from "../../core/disk.ts";
import type { Entry } from "./entry.ts";
import { KeySet } from "./keys.ts";

const fileBytesMax = 16 * 1024 * 1024;
const residentBytesMax = 8 * 1024 * 1024;
const headBytes = 12;
const keyBytes = 8;
/** Keys in positions before they move into a file, and positions that hold them. */
const looseKeysMax = 16_384;
const piecesMax = 256;

interface Block {
  readonly file: number;
  /** Where its keys begin. */
  readonly at: number;
  readonly count: number;
}

interface Bucket {
  count: number;
  readonly blocks: Block[];
  /** High and low halves of keys that are in positions only. */
  loose: number[];
  set: KeySet | undefined;
  used: number;
}

interface KeyFile {
  bytes: number;
  lastBucket: number;
}

/** Keys of one chunk: bucket → halves. */
type Piece = Map<number, number[]>;

export interface SeenOptions {
  readonly disk: Disk;
  /** Without one nothing moves into files. */
  readonly directory: string | undefined;
  readonly positions: ReadonlyMap<string, Json>;
  /** A file that is not what its position says: from there on its keys are gone, and entries may come twice. */
  readonly damaged: (path: string) => void;
}

export class Seen {
  readonly #options: SeenOptions;
  readonly #buckets = new Map<number, Bucket>();
  readonly #files = new Map<number, KeyFile>();
  readonly #pieces = new Map<number, Piece>();
  readonly #durable = new Set<number>();
  readonly #loading = new Map<number, Promise<void>>();
  #nextPiece = 0;
  #looseKeys = 0;
  #residentBytes = 0;
  #turn = 0;
  #moving = false;

  constructor(options: SeenOptions) {
    this.#options = options;
  }

  /** Reads what the positions name. */
  static async open(options: SeenOptions): Promise<Seen> {
    const seen = new Seen(options);
    for (const [key, value] of options.positions) {
      const number = Number(key.slice(2));
      if (key.startsWith("k:") && Array.isArray(value)) seen.#takePiece(number, value);
      if (key.startsWith("f:") && typeof value === "number") await seen.#takeFile(number, value);
    }
    await seen.#removeStrangers();
    return seen;
  }

  /** Entries of a bucket so far. */
  count(bucket: number): number {
    return this.#buckets.get(bucket)?.count ?? 0;
  }

  /** Bytes of tables in memory. */
  get residentBytes(): number {
    return this.#residentBytes;
  }

  /** Calls `then` once `add` is possible for all of `entries`; not after it has returned. */
  async ensure<T>(entries: readonly Entry[], then: () => T): Promise<T> {
    const wanted = new Set<number>();
    for (const { bucket } of entries) wanted.add(bucket);
    this.#turn++;
    for (;;) {
      const missing = [...wanted].filter((bucket) => !this.#touch(bucket));
      if (missing.length === 0) break;
      for (const bucket of missing) await this.#load(bucket);
    }
    const result = then();
    this.#evict();
    return result;
  }

  /** False when it was there before. */
  add({ bucket, high, low }: Entry): boolean {
    const held = this.#buckets.get(bucket);
    assert(held?.set !== undefined, "a bucket must be loaded before it is asked");
    const before = held.set.bytes;
    if (!held.set.add(high, low)) return false;
    this.#residentBytes += held.set.bytes - before;
    held.count++;
    held.loose.push(high, low);
    return true;
  }

  /** The position of a chunk of entries that were added: commits their keys with it. `number` for `settled`. */
  piece(entries: readonly Entry[]): { readonly number: number; readonly position: PositionDelta } {
    const piece: Piece = new Map();
    for (const { bucket, high, low } of entries) {
      const halves = piece.get(bucket);
      if (halves === undefined) piece.set(bucket, [high, low]);
      else halves.push(high, low);
    }
    const number = this.#nextPiece++;
    this.#pieces.set(number, piece);
    this.#looseKeys += entries.length;
    const json: Json[] = [];
    for (const [bucket, halves] of piece) json.push(bucket, Buffer.from(Uint32Array.from(halves).buffer).toString("base64"));
    return { number, position: { [`k:${number}`]: json } };
  }

  /** The chunk of this piece is durable. */
  settled(number: number): void {
    this.#durable.add(number);
  }

  /** Moves durable keys into a file when there are many (or `all`). Returns the position to commit then, undefined for none. */
  async move(all = false): Promise<PositionDelta | undefined> {
    const { directory, disk } = this.#options;
    const due = all || this.#looseKeys >= looseKeysMax || this.#pieces.size >= piecesMax;
    if (directory === undefined || !due || this.#moving || this.#durable.size === 0) return undefined;
    this.#moving = true;
    try {
      const numbers = [...this.#durable];
      const merged = this.#merge(numbers);
      const number = this.#currentFile();
      const file = this.#files.get(number) ?? { bytes: 0, lastBucket: -1 };
      const parts = [...merged].flatMap(([bucket, halves]) => blockOf(bucket, halves));
      await disk.makeDirectory(directory);
      await using handle = await disk.open(pathOf(directory, number), "write");
      await handle.write(parts, file.bytes);
      await handle.datasync();
      if (file.bytes === 0) await disk.syncDirectory(directory);
      for (const [bucket, halves] of merged) this.#placed(number, file, bucket, halves);
      this.#files.set(number, file);
      return { [`f:${number}`]: file.bytes, ...this.#drop(numbers) };
    } finally {
      this.#moving = false;
    }
  }

  /** Forgets buckets below `bound`. Returns the position that says so, and files to remove once it is durable. */
  expire(bound: number): { readonly position: PositionDelta; readonly files: readonly string[] } {
    for (const [bucket, { set }] of this.#buckets) {
      if (bucket >= bound) continue;
      this.#residentBytes -= set?.bytes ?? 0;
      set?.free();
      this.#buckets.delete(bucket);
    }
    const gone = [...this.#durable].filter((number) => [...(this.#pieces.get(number)?.keys() ?? [])].every((bucket) => bucket < bound));
    const position: Record<string, Json> = this.#moving ? {} : this.#drop(gone);
    const files: string[] = [];
    const current = this.#currentFile();
    for (const [number, { lastBucket }] of this.#files) {
      if (lastBucket >= bound || number === current || this.#moving) continue;
      this.#files.delete(number);
      position[`f:${number}`] = null;
      if (this.#options.directory !== undefined) files.push(pathOf(this.#options.directory, number));
    }
    return { position, files };
  }

  #merge(numbers: readonly number[]): Piece {
    const merged: Piece = new Map();
    for (const number of numbers) {
      for (const [bucket, halves] of this.#pieces.get(number) ?? []) {
        const before = merged.get(bucket) ?? [];
        for (const half of halves) before.push(half);
        merged.set(bucket, before);
      }
    }
    return merged;
  }

  /** A block of `bucket` lies at the end of the file: its keys are not loose any more. */
  #placed(number: number, file: KeyFile, bucket: number, halves: readonly number[]): void {
    const count = halves.length / 2;
    const at = file.bytes + headBytes;
    file.bytes = at + count * keyBytes;
    file.lastBucket = Math.max(file.lastBucket, bucket);
    const held = this.#buckets.get(bucket);
    if (held === undefined) return; // expired meanwhile
    held.blocks.push({ file: number, at, count });
    if (held.loose.length === halves.length) {
      held.loose = [];
      return;
    }
    const moved = new KeySet(count);
    for (let half = 0; half < halves.length; half += 2) moved.add(halves[half] as number, halves[half + 1] as number);
    const rest: number[] = [];
    for (let half = 0; half < held.loose.length; half += 2) {
      const high = held.loose[half] as number;
      const low = held.loose[half + 1] as number;
      if (moved.add(high, low)) rest.push(high, low);
    }
    held.loose = rest;
  }

  #drop(numbers: readonly number[]): Record<string, null> {
    const position: Record<string, null> = {};
    for (const number of numbers) {
      for (const halves of this.#pieces.get(number)?.values() ?? []) this.#looseKeys -= halves.length / 2;
      this.#pieces.delete(number);
      this.#durable.delete(number);
      position[`k:${number}`] = null;
    }
    return position;
  }

  #currentFile(): number {
    const last = Math.max(0, ...this.#files.keys());
    return (this.#files.get(last)?.bytes ?? 0) >= fileBytesMax ? last + 1 : last;
  }

  #bucket(bucket: number): Bucket {
    let held = this.#buckets.get(bucket);
    if (held === undefined) {
      held = { count: 0, blocks: [], loose: [], set: undefined, used: 0 };
      this.#buckets.set(bucket, held);
    }
    return held;
  }

  /** True when it is loaded, which it is at once when there is nothing to load. */
  #touch(bucket: number): boolean {
    const held = this.#bucket(bucket);
    held.used = this.#turn;
    if (held.set === undefined && held.blocks.length === 0) this.#fill(held, []);
    return held.set !== undefined;
  }

  async #load(bucket: number): Promise<void> {
    const loading = this.#loading.get(bucket) ?? this.#read(bucket).finally(() => this.#loading.delete(bucket));
    this.#loading.set(bucket, loading);
    await loading;
  }

  async #read(bucket: number): Promise<void> {
    const held = this.#bucket(bucket);
    const blocks: Uint32Array[] = [];
    for (let index = 0; index < held.blocks.length; index++) {
      const { file, at, count } = held.blocks[index] as Block;
      const path = pathOf(this.#options.directory ?? "", file);
      await using handle = await this.#options.disk.open(path, "read");
      const bytes = new Uint8Array(count * keyBytes);
      if ((await handle.read(bytes, at)) < bytes.length) this.#options.damaged(path);
      blocks.push(new Uint32Array(bytes.buffer));
    }
    if (held.set === undefined) this.#fill(held, blocks);
  }

  #fill(held: Bucket, blocks: readonly Uint32Array[]): void {
    const set = new KeySet(held.count);
    for (const block of blocks) for (let at = 0; at < block.length; at += 2) set.add(block[at] as number, block[at + 1] as number);
    for (let at = 0; at < held.loose.length; at += 2) set.add(held.loose[at] as number, held.loose[at + 1] as number);
    held.set = set;
    this.#residentBytes += set.bytes;
  }

  #evict(): void {
    if (this.#residentBytes <= residentBytesMax) return;
    const loaded = [...this.#buckets.values()].filter((held) => held.set !== undefined && held.used !== this.#turn);
    for (const held of loaded.toSorted((a, b) => a.used - b.used)) {
      if (this.#residentBytes <= residentBytesMax / 2) break;
      this.#residentBytes -= held.set?.bytes ?? 0;
      held.set?.free();
      held.set = undefined;
    }
  }

  #takePiece(number: number, json: readonly Json[]): void {
    const piece: Piece = new Map();
    for (let at = 0; at + 1 < json.length; at += 2) {
      const bytes = Buffer.from(textOf(json[at + 1]), "base64");
      const halves: number[] = [];
      for (let half = 0; half + 4 <= bytes.length; half += 4) halves.push(bytes.readUInt32LE(half));
      piece.set(Number(json[at]), halves);
      const held = this.#bucket(Number(json[at]));
      for (const half of halves) held.loose.push(half);
      held.count += halves.length / 2;
      this.#looseKeys += halves.length / 2;
    }
    this.#pieces.set(number, piece);
    this.#durable.add(number);
    this.#nextPiece = Math.max(this.#nextPiece, number + 1);
  }

  async #takeFile(number: number, length: number): Promise<void> {
    const path = pathOf(this.#options.directory ?? "", number);
    const bytes = Buffer.alloc(length);
    try {
      await using handle = await this.#options.disk.open(path, "read");
      if ((await handle.read(bytes, 0)) < length) this.#options.damaged(path);
    } catch {
      this.#options.damaged(path);
    }
    const file: KeyFile = { bytes: length, lastBucket: -1 };
    this.#files.set(number, file);
    for (let at = 0; at + headBytes <= length;) {
      const bucket = bytes.readUInt32LE(at);
      const count = bytes.readUInt32LE(at + 4);
      const end = at + headBytes + count * keyBytes;
      if (end > length || count === 0 || Bun.hash.crc32(bytes.subarray(at + headBytes, end)) !== bytes.readUInt32LE(at + 8)) {
        this.#options.damaged(path);
        return;
      }
      const held = this.#bucket(bucket);
      held.blocks.push({ file: number, at: at + headBytes, count });
      held.count += count;
      file.lastBucket = Math.max(file.lastBucket, bucket);
      at = end;
    }
  }

  /** Files that no position names: left by an end between two steps. */
  async #removeStrangers(): Promise<void> {
    const { directory, disk } = this.#options;
    if (directory === undefined || (await disk.stat(directory)) === undefined) return;
    for (const name of await disk.list(directory)) {
      if (/^\d{8}\.keys$/.test(name) && !this.#files.has(Number(name.slice(0, 8)))) await disk.remove(`${directory}/${name}`);
    }
  }
}

function textOf(json: Json | undefined): string {
  return typeof json === "string" ? json : "";
}

function pathOf(directory: string, number: number): string {
  return `${directory}/${String(number).padStart(8, "0")}.keys`;
}

function blockOf(bucket: number, halves: readonly number[]): [Uint8Array, Uint8Array] {
  const keys = new Uint8Array(Uint32Array.from(halves).buffer);
  const head = Buffer.alloc(headBytes);
  head.writeUInt32LE(bucket, 0);
  head.writeUInt32LE(halves.length / 2, 4);
  head.writeUInt32LE(Bun.hash.crc32(keys), 8);
  return [head, keys];
}
