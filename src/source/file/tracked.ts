/**
 * One file that is being read: where we are in it, what it is known by, and whether its descriptor is open.
 *
 * Two places count: `readOffset`, up to which chunks were handed to `emit`, and `durable`, the last position whose emit has
 * resolved. Both are line ends (or inside a cut line, `skipping`). The bytes before `readOffset` are kept, up to 256, so that
 * every read can begin with them and see that the file still is what it was.
 */
import type { DiskFile, FileStat } from "../../core/disk.ts";
import type { Json } from "../../core/contract.ts";
import type { Fault } from "../../core/fault.ts";
import { emptyMark, headBytesMax, markOf, tailBytesMax, type Mark } from "./identity.ts";
import type { Packed, Position } from "./position.ts";

/** Enough to get beyond a time and a level, and little for ten thousand files. */
const firstBytesMax = 128;

export class Tracked {
  readonly id: string;
  /** What its records call it: the name it was first found under. */
  readonly name: string;
  /** Where it was last seen, and what to open for it. */
  path: string;
  target: string;
  device: number;
  inode: number;
  handle: DiskFile | undefined;
  /** It is compressed: `handle` then reads its content (unpacked.ts), and copies.ts looks after it. */
  packed: Packed | undefined;
  readOffset: number;
  /** Inside a line that was cut: what comes up to its end is skipped. */
  skipping: boolean;
  /** Set while the line at `readOffset` fills a whole read: so many bytes from `readOffset` on hold no line end. */
  scanned = 0;
  /** What the pipeline has to know of what is read from `durable` on. */
  resume: Json | undefined;
  /** How far the file has been looked at: bytes at and after `readOffset` that were no whole line yet lie before it. */
  readEnd: number;
  /** Size and modification time when last looked at. */
  bytes = 0;
  modifiedMs = -1;
  /** Monotonic milliseconds when it was last seen to grow, and when it is looked at again. */
  grewAt = 0;
  lookAt = 0;
  /** `live`: under a name of the globs. `rotated`: renamed, or out of the globs. `deleted`: no name left, or gone unseen. */
  state: "live" | "rotated" | "deleted" = "live";
  /** Monotonic milliseconds when it was first seen to be deleted. */
  deletedAt = Number.POSITIVE_INFINITY;
  /** Under a name of the globs at the last look. */
  named = true;
  /** In the queue of files with something to read. */
  queued = false;
  /** No descriptor was free for it. */
  aside = false;
  /** Read to its end at least once since it was found, or not readable: who waits for it may go on. */
  drained = false;
  /** The older generation that has to be drained first. */
  after: Tracked | undefined;
  /** Emits not yet settled. */
  inFlight = 0;
  /** An emit was rejected: nothing is read until all in flight are settled, then again from `durable`. */
  rejected = false;
  /** Why it cannot be read now; reported with every look until it can be again. */
  fault: Fault | undefined;
  /** The newest that there was, and wall milliseconds when. */
  lastFault: { readonly fault: Fault; readonly atMs: number } | undefined;
  /** Wall milliseconds of the last read that brought something. */
  readAtMs: number | undefined;
  /** With `once`: nothing is read from beyond this. */
  goal = Number.POSITIVE_INFINITY;
  durable: Position;
  #head: Uint8Array | undefined;
  #headMark: Mark;
  /** Its very first bytes: most files that are not a copy of it are told by these alone. */
  #first: Uint8Array = new Uint8Array(0);
  /** Undefined after opening: then the first read is held against `durable.tail`. */
  tail: Uint8Array | undefined;

  constructor(id: string, position: Position) {
    this.id = id;
    this.name = position.name;
    this.path = position.path;
    this.target = position.path;
    this.device = position.device;
    this.inode = position.inode;
    this.readOffset = position.offset;
    this.readEnd = position.offset;
    this.skipping = position.skipping;
    this.resume = position.state;
    this.packed = position.packed;
    this.durable = position;
    this.#headMark = position.head;
    this.#head = position.offset === 0 ? new Uint8Array(0) : undefined;
    this.tail = position.offset === 0 ? new Uint8Array(0) : undefined;
  }

  /** Bytes before `readOffset` the next read begins with. */
  get tailBytes(): number {
    return this.tail?.byteLength ?? this.durable.tail.n;
  }

  /** Whether `bytes`, read from just before `readOffset`, are what was there before. */
  tailMatches(bytes: Uint8Array): boolean {
    if (this.tail !== undefined) return Buffer.compare(this.tail, bytes) === 0;
    return markOf(bytes).hash === this.durable.tail.hash;
  }

  /** Whether the open file still holds the bytes before `readOffset`. */
  async stands(): Promise<boolean> {
    const before = new Uint8Array(this.tailBytes);
    const got = await this.handle?.read(before, this.readOffset - before.byteLength);
    return got === before.byteLength && this.tailMatches(before);
  }

  /** Moves on over `bytes`, which lie at `readOffset`. `before` are the bytes before them, as far as a tail reaches. */
  advance(bytes: Uint8Array, before: Uint8Array): void {
    this.#growHead(bytes);
    this.readOffset += bytes.byteLength;
    this.readEnd = Math.max(this.readEnd, this.readOffset);
    this.scanned = 0;
    const own = bytes.subarray(Math.max(0, bytes.byteLength - tailBytesMax));
    const missing = tailBytesMax - own.byteLength;
    this.tail = Buffer.concat([before.subarray(Math.max(0, before.byteLength - missing)), own]);
  }

  /** Whether it may begin with `bytes`, as far as the first of them are at hand. */
  beginsLike(bytes: Uint8Array): boolean {
    const count = Math.min(bytes.byteLength, this.#first.byteLength);
    return Buffer.compare(bytes.subarray(0, count), this.#first.subarray(0, count)) === 0;
  }

  #growHead(bytes: Uint8Array): void {
    if (this.#first.byteLength < firstBytesMax && this.#first.byteLength === this.readOffset) {
      this.#first = Buffer.concat([this.#first, bytes.subarray(0, firstBytesMax - this.#first.byteLength)]);
    }
    if (this.#headMark.n >= headBytesMax || bytes.byteLength === 0) return;
    // Its bytes are not at hand after a rewind: it then grows no more, and still tells the file by what it covers.
    if (this.#head === undefined || this.#head.byteLength !== this.readOffset) return;
    this.#head = Buffer.concat([this.#head, bytes.subarray(0, headBytesMax - this.#head.byteLength)]);
    this.#headMark = markOf(this.#head);
    if (this.#headMark.n >= headBytesMax) this.#head = undefined;
  }

  /** The first bytes up to `readOffset`, as far as a head reaches, read again after a restart: lets the head grow on. */
  setHead(bytes: Uint8Array): void {
    this.#first = Buffer.from(bytes.subarray(0, firstBytesMax));
    this.#headMark = markOf(bytes);
    this.#head = bytes.byteLength < headBytesMax ? Buffer.from(bytes) : undefined;
  }

  /** All before `offset` counts as read. `inLine`: the offset lies inside a line, whose rest is skipped. */
  startAt(offset: number, inLine: boolean, head: Uint8Array, tail: Uint8Array): void {
    this.readOffset = offset;
    this.readEnd = offset;
    this.skipping = inLine;
    this.tail = tail;
    this.setHead(head);
    this.durable = this.position();
  }

  get head(): Mark {
    return this.#headMark;
  }

  /**
   * Positions inside `bytes`, which lie at `readOffset` and are not moved over yet: what `position` would be had it moved over the first
   * `index` of them. To be asked later, as long as `bytes` stand. `before` as in `advance`; `cut`: they end inside a line whose rest is
   * skipped.
   */
  places(bytes: Uint8Array, before: Uint8Array, cut: boolean): (index: number) => Position {
    const { path, name, device, inode, packed, readOffset } = this;
    const kept = before.slice(Math.max(0, before.byteLength - tailBytesMax));
    const head = this.#head?.byteLength === readOffset && this.#headMark.n < headBytesMax ? this.#head : undefined;
    const headMark = this.#headMark;
    return (index) => {
      const own = bytes.subarray(Math.max(0, index - tailBytesMax), index);
      const missing = tailBytesMax - own.byteLength;
      const tail = Buffer.concat([kept.subarray(Math.max(0, kept.byteLength - missing)), own]);
      const grown = head === undefined ? headMark : markOf(Buffer.concat([head, bytes.subarray(0, Math.min(index, headBytesMax - head.byteLength))]));
      return {
        path,
        name,
        device,
        inode,
        packed,
        head: grown,
        tail: markOf(tail),
        offset: readOffset + index,
        skipping: cut && index === bytes.byteLength,
        forget: undefined,
      };
    };
  }

  position(): Position {
    const { path, name, device, inode, packed, readOffset, skipping } = this;
    const tail = this.tail === undefined ? this.durable.tail : markOf(this.tail);
    return { path, name, device, inode, packed, head: this.#headMark, tail, offset: readOffset, skipping, forget: undefined };
  }

  /** Back to what is durable, after an emit was rejected. */
  rewind(): void {
    this.readOffset = this.durable.offset;
    this.readEnd = this.durable.offset;
    this.skipping = this.durable.skipping;
    this.resume = this.durable.state;
    this.scanned = 0;
    this.#headMark = this.durable.head;
    this.#head = this.readOffset === 0 ? new Uint8Array(0) : undefined;
    this.tail = this.readOffset === 0 ? new Uint8Array(0) : undefined;
    this.bytes = -1;
    this.lookAt = 0;
    this.drained = false;
    this.rejected = false;
  }

  /** It cannot be read now. */
  fail(fault: Fault, atMs: number): void {
    this.fault = fault;
    this.lastFault = { fault, atMs };
  }

  /** No name is left of it, as was seen at `now`. */
  goes(now: number): void {
    this.state = "deleted";
    this.deletedAt = Math.min(this.deletedAt, now);
  }

  /** Takes in what a stat says. True when there may be something new to read. */
  seen(stat: FileStat, now: number): boolean {
    const grown = stat.bytes !== this.bytes || stat.modifiedMs !== this.modifiedMs;
    if (grown && stat.bytes > this.bytes) this.grewAt = now;
    this.bytes = stat.bytes;
    this.modifiedMs = stat.modifiedMs;
    return grown;
  }

  /**
   * Bytes that are there and not durable. What has been looked at and is no whole line yet is not among them, nor what was
   * skipped: a writer that pauses inside a line keeps nobody waiting, and must not be called a stall.
   */
  get lagBytes(): number {
    const flying = this.inFlight > 0 || this.rejected ? this.readOffset - this.durable.offset : 0;
    return flying + Math.max(0, this.bytes - this.readEnd);
  }

  /** The bytes after the last line end, when all before them was read. */
  get restBytes(): number {
    return this.skipping ? 0 : this.readEnd - this.readOffset;
  }
}

/** The position of a file nothing was read of yet. */
export function unreadPosition(path: string, stat: FileStat): Position {
  const { device, inode } = stat;
  return { path, name: path, device, inode, head: emptyMark, tail: emptyMark, offset: 0, skipping: false, forget: undefined };
}
