/**
 * Walks the blocks of a segment file without reading the payloads between them.
 *
 * Damage never ends the walk: what is not a whole block is passed over up to the next place where one begins (its magic
 * and its CRC both fit), and shown as one damaged piece. Memory: one window, or one block if that is larger. Time: linear,
 * also over bytes that somebody made up to look like blocks (see `searchBytesMax`).
 */
import type { DiskFile } from "../core/disk.ts";
import { errnoOf } from "../core/fault.ts";
import { blockLength, decodeBlock, FutureVersion, magic, type Block, type FrameHeader } from "./format.ts";

/** A block at `at` (with its payload behind it for a frame), or `length` damaged bytes. Lengths include the payload. */
export type Item =
  | { readonly at: number; readonly length: number; readonly block: Exclude<Block, FrameHeader> }
  | { readonly at: number; readonly length: number; readonly block: FrameHeader; readonly payloadAt: number }
  | { readonly at: number; readonly length: number; readonly block: undefined };

const windowBytes = 64 * 1024;
/**
 * While a block is searched behind damage, each place with a block's magic costs a checksum over the length it claims. Lines of
 * a log can hold any number of such places, each with a length up to the end of the file: 16 MiB of them would take hours. So
 * one walk may spend this much on claims that prove wrong (0.1 s); beyond it only blocks up to `searchBlockBytesMax` are found,
 * which nearly all are: a frame's header has about 100 bytes, a commit 200 for each file that moved.
 */
const searchBytesMax = 128 * 1024 * 1024;
const searchBlockBytesMax = 1024;
const magicBytes = Buffer.alloc(4);
magicBytes.writeUInt32LE(magic);

/** A file seen through one window that moves forward. */
class Window {
  readonly #file: DiskFile;
  readonly #end: number;
  #buffer = new Uint8Array(windowBytes);
  #at = 0;
  #length = 0;

  constructor(file: DiskFile, end: number) {
    this.#file = file;
    this.#end = end;
  }

  /** Up to `count` bytes from `at`: fewer only at the end. Valid until the next call. */
  async bytes(at: number, count: number): Promise<Uint8Array> {
    const wanted = Math.min(count, this.#end - at);
    if (at < this.#at || at + wanted > this.#at + this.#length) await this.#load(at, wanted);
    return this.#buffer.subarray(at - this.#at, Math.min(at - this.#at + wanted, this.#length));
  }

  async #load(at: number, wanted: number): Promise<void> {
    if (wanted > this.#buffer.byteLength) this.#buffer = new Uint8Array(wanted);
    this.#at = at;
    try {
      await this.#fill(at, Math.min(this.#buffer.byteLength, this.#end - at));
    } catch (cause) {
      // A bad sector in a payload that nobody asked for is no reason not to read the block before it.
      if (errnoOf(cause) !== "EIO") throw cause;
      await this.#fill(at, wanted);
    }
  }

  async #fill(at: number, goal: number): Promise<void> {
    this.#length = 0;
    while (this.#length < goal) {
      const count = await this.#file.read(this.#buffer.subarray(this.#length, goal), at + this.#length);
      if (count === 0) break;
      this.#length += count;
    }
  }
}

/**
 * The items of `file` from byte `from` (a block's start) up to `end`, in order, without holes between them.
 * Throws `FutureVersion` for a whole block of a later format.
 */
export async function* scan(file: DiskFile, from: number, end: number): AsyncGenerator<Item> {
  const window = new Window(file, end);
  const search = { spentBytes: 0 };
  let at = from;
  while (at < end) {
    const item = (await itemAt(window, at, end)) ?? { at, length: (await nextBlock(window, at + 1, end, search)) - at, block: undefined };
    yield item;
    at += item.length;
  }
}

async function itemAt(window: Window, at: number, end: number): Promise<Item | undefined> {
  // A header of one stream is below 256 bytes as a rule: ask for the window, not for each length in turn.
  const length = blockLength(await window.bytes(at, 12), 0);
  if (length === 0 || at + length > end) return undefined;
  const block = decodeBlock(await window.bytes(at, length));
  if (block === undefined) return undefined;
  if (block.kind !== "frame") return { at, length, block };
  const total = length + block.payloadBytes;
  return at + total > end ? undefined : { at, length: total, block, payloadAt: at + length };
}

/** Where the next whole block begins at or after `from`, or `end`. */
async function nextBlock(window: Window, from: number, end: number, search: { spentBytes: number }): Promise<number> {
  let at = from;
  while (at < end) {
    const bytes = await window.bytes(at, windowBytes);
    const found = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).indexOf(magicBytes);
    if (found < 0) {
      // The magic may lie across the edge of the window.
      at += Math.max(1, bytes.byteLength - 3);
      continue;
    }
    at += found;
    const claimed = blockLength(await window.bytes(at, 12), 0);
    if (search.spentBytes < searchBytesMax || claimed <= searchBlockBytesMax) {
      if (await isBlockAt(window, at, end)) return at;
      if (at + claimed <= end) search.spentBytes += claimed;
    }
    at++;
  }
  return end;
}

async function isBlockAt(window: Window, at: number, end: number): Promise<boolean> {
  try {
    return (await itemAt(window, at, end)) !== undefined;
  } catch (cause) {
    // In the middle of damage it is as little a block as any other: a file of a later version begins with one.
    if (cause instanceof FutureVersion) return false;
    throw cause;
  }
}

/** Fills `into` from `position`; returns the bytes read, fewer only at the end of the file. */
export async function readFully(file: DiskFile, into: Uint8Array, position: number): Promise<number> {
  let length = 0;
  while (length < into.byteLength) {
    const count = await file.read(into.subarray(length), position + length);
    if (count === 0) break;
    length += count;
  }
  return length;
}

/** The length of the whole seal that stands at `at`; 0 when none does. */
export async function sealBytesAt(file: DiskFile, at: number, end: number): Promise<number> {
  for await (const { block, length } of scan(file, at, end)) return block?.kind === "seal" ? length : 0;
  return 0;
}

/** Whether what lies from `at` to `end` can be a write of ours cut short: it begins with a block's first bytes, or where nothing reached the disk. */
export async function beginsAsOurs(file: DiskFile, at: number, end: number): Promise<boolean> {
  const first = new Uint8Array(Math.min(4, end - at));
  await readFully(file, first, at);
  return first.every((byte) => byte === 0) || first.every((byte, i) => byte === magicBytes[i]);
}
