/**
 * The bytes of a segment file: skippable zstd frames (RFC 8878, 3.1.2) that carry what the payload frames between them
 * need, so that a segment is a valid zstd file and `zstdcat` prints its records. All numbers are little-endian.
 *
 *     block    u32 magic 0x184D2A5E, u32 bytes that follow,
 *              u8 kind, u8 version, u16 flags, body, u32 CRC-32 of everything before it
 *     head     (kind 1, first in the file) 16 spool id, u32 epoch, u64 segment, u64 previous segment,
 *              u64 bytes of the previous segment that count, u64 first sequence, u64 first group,
 *              u64 NDJSON bytes in all segments before, i64 µs first record time, u8 n, n writer,
 *              u32 bytes of the seal behind what counts of the previous segment, should it be there
 *     frame    (kind 2, before each payload; flag 1: mixed; flag 2: has contents) u64 first sequence, u32 records, u32 raw bytes,
 *              u32 payload bytes, i64 µs min and i64 µs max record time, u32 CRC-32 of the payload, u16 n, n stream (JSON);
 *              with contents u16 n, n contents (core/contents.ts), which a reader may leave unread
 *     commit   (kind 3, after the last payload of a group) u64 group, u64 group bytes, u64 next sequence,
 *              u32 CRC-32 over the group's frame blocks, u32 n, n position deltas (JSON),
 *              u32 n, n position deltas of the group before (JSON)
 *     seal     (kind 4, after the group was synced; itself not synced) u64 group, u32 n, n position deltas of the group (JSON):
 *              should the commit block of the newest group rot, no next one repeats them
 *
 * Sequences, sizes and times are below 2^53, so they are held in JavaScript numbers.
 *
 * What a reader of this version relies on in every later one, so that it can refuse with the name of the writer instead of
 * taking a newer spool for a damaged one:
 * - a block begins with magic, size, kind and version at these places and ends with the CRC-32 of all before;
 * - the head is the first block of the file, is of kind 1 and has at most `headBytesMax` bytes;
 * - its fields up to the writer stay where they are; a later version puts its own behind the writer.
 * A later reader of this version's files has the version byte; nothing else in a block says what is in it.
 */
import type { Stream } from "../core/contract.ts";

export const magic = 0x184d2a5e;
export const version = 1;

/** Position deltas of a group: source → key → value, null for a key to forget. */
export type GroupDelta = Record<string, Record<string, unknown>>;

export interface Head {
  kind: "head";
  /** 32 and 8 hex digits. */
  spoolId: string;
  epoch: string;
  segment: number;
  previousSegment: number;
  /** What counts of the previous segment: beyond it lies what a failed sync left. 0 when there is none. */
  previousBytes: number;
  firstSequence: number;
  firstGroup: number;
  rawBefore: number;
  /** Wall milliseconds. */
  minMs: number;
  writer: string;
  /** Of the seal that may stand behind what counts of the previous segment. */
  previousSealBytes: number;
}

export interface FrameHeader {
  kind: "frame";
  firstSequence: number;
  records: number;
  rawBytes: number;
  payloadBytes: number;
  minMs: number;
  maxMs: number;
  payloadCrc: number;
  mixed: boolean;
  stream: Stream;
  /** Of a mixed frame; left out where stream and contents together have no 16-bit length. */
  contents?: Uint8Array;
}

export interface Commit {
  kind: "commit";
  group: number;
  /** From the first frame block of the group to this commit block. */
  groupBytes: number;
  nextSequence: number;
  framesCrc: number;
  delta: GroupDelta;
  previousDelta: GroupDelta;
}

export interface Seal {
  kind: "seal";
  group: number;
  delta: GroupDelta;
}

export type Block = Head | FrameHeader | Commit | Seal;

const kinds = { head: 1, frame: 2, commit: 3, seal: 4 } as const;
const flagMixed = 1;
const flagContents = 2;

/** Magic, size, kind, version, flags. */
const prefixBytes = 12;
const crcBytes = 4;
/** No block is smaller, so a reader asks for this much first. */
export const blockBytesMin = prefixBytes + crcBytes;
/**
 * Nothing real is larger, so a damaged size must not make us allocate. A commit: 8 MiB of gathered lines name far fewer
 * positions. A frame: its stream has a 16-bit length. A head: its writer has an 8-bit length, and later versions keep to it.
 */
export const blockBytesMax = 64 * 1024 * 1024;
export const headBytesMax = 512;
const frameBlockBytesMax = prefixBytes + 8 + 4 * 3 + 8 * 2 + 4 + 2 + 0xffff + crcBytes;
const bytesMaxOf: readonly number[] = [0, headBytesMax, frameBlockBytesMax, blockBytesMax, blockBytesMax];

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** Writes fields one after the other into a buffer of the right size. */
class Cursor {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = at;
  }

  u16(value: number): void {
    this.view.setUint16(this.at, value, true);
    this.at += 2;
  }
  u32(value: number): void {
    this.view.setUint32(this.at, value, true);
    this.at += 4;
  }
  u64(value: number): void {
    this.view.setBigUint64(this.at, BigInt(value), true);
    this.at += 8;
  }
  micros(ms: number): void {
    this.view.setBigInt64(this.at, BigInt(Math.round(ms * 1000)), true);
    this.at += 8;
  }
  raw(bytes: Uint8Array): void {
    this.bytes.set(bytes, this.at);
    this.at += bytes.byteLength;
  }

  readU16(): number {
    this.at += 2;
    return this.view.getUint16(this.at - 2, true);
  }
  readU32(): number {
    this.at += 4;
    return this.view.getUint32(this.at - 4, true);
  }
  readU64(): number {
    this.at += 8;
    const value = Number(this.view.getBigUint64(this.at - 8, true));
    if (!Number.isSafeInteger(value)) throw new RangeError("number beyond 2^53");
    return value;
  }
  readMicros(): number {
    this.at += 8;
    return Number(this.view.getBigInt64(this.at - 8, true)) / 1000;
  }
  readJson(count: number): unknown {
    return JSON.parse(decoder.decode(this.readRaw(count)));
  }
  readRaw(count: number): Uint8Array {
    if (this.at + count > this.bytes.byteLength - crcBytes) throw new RangeError("block shorter than its fields");
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }
}

function block(kind: keyof typeof kinds, flags: number, bodyBytes: number, write: (cursor: Cursor) => void): Uint8Array {
  const bytes = new Uint8Array(prefixBytes + bodyBytes + crcBytes);
  const cursor = new Cursor(bytes, 0);
  cursor.u32(magic);
  cursor.u32(bytes.byteLength - 8);
  bytes[8] = kinds[kind];
  bytes[9] = version;
  cursor.at = 10;
  cursor.u16(flags);
  write(cursor);
  cursor.u32(Bun.hash.crc32(bytes.subarray(0, cursor.at)));
  return bytes;
}

/** The bytes of a block as laid out above. */
export function encodeBlock(value: Block): Uint8Array {
  if (value.kind === "head") return encodeHead(value);
  if (value.kind === "frame") return encodeFrame(value);
  if (value.kind === "commit") return encodeCommit(value);
  const delta = encoder.encode(JSON.stringify(value.delta));
  return block("seal", 0, 8 + 4 + delta.byteLength, (cursor) => {
    cursor.u64(value.group);
    cursor.u32(delta.byteLength);
    cursor.raw(delta);
  });
}

function encodeHead(head: Head): Uint8Array {
  const writer = encoder.encode(head.writer).subarray(0, 255);
  return block("head", 0, 16 + 4 + 8 * 7 + 1 + writer.byteLength + 4, (cursor) => {
    cursor.raw(Buffer.from(head.spoolId, "hex"));
    cursor.u32(Number.parseInt(head.epoch, 16));
    cursor.u64(head.segment);
    cursor.u64(head.previousSegment);
    cursor.u64(head.previousBytes);
    cursor.u64(head.firstSequence);
    cursor.u64(head.firstGroup);
    cursor.u64(head.rawBefore);
    cursor.micros(head.minMs);
    cursor.bytes[cursor.at++] = writer.byteLength;
    cursor.raw(writer);
    cursor.u32(head.previousSealBytes);
  });
}

function encodeFrame(frame: FrameHeader): Uint8Array {
  const stream = encoder.encode(JSON.stringify(frame.stream));
  // So that a reader which does not know contents takes the block for one of usual size.
  const contents = stream.byteLength + 2 + (frame.contents?.byteLength ?? 0) <= 0xffff ? frame.contents : undefined;
  const flags = (frame.mixed ? flagMixed : 0) | (contents === undefined ? 0 : flagContents);
  const bodyBytes = 8 + 4 * 3 + 8 * 2 + 4 + 2 + stream.byteLength + (contents === undefined ? 0 : 2 + contents.byteLength);
  return block("frame", flags, bodyBytes, (cursor) => {
    cursor.u64(frame.firstSequence);
    cursor.u32(frame.records);
    cursor.u32(frame.rawBytes);
    cursor.u32(frame.payloadBytes);
    cursor.micros(frame.minMs);
    cursor.micros(frame.maxMs);
    cursor.u32(frame.payloadCrc);
    cursor.u16(stream.byteLength);
    cursor.raw(stream);
    if (contents === undefined) return;
    cursor.u16(contents.byteLength);
    cursor.raw(contents);
  });
}

function encodeCommit(commit: Commit): Uint8Array {
  const delta = encoder.encode(JSON.stringify(commit.delta));
  const previous = encoder.encode(JSON.stringify(commit.previousDelta));
  return block("commit", 0, 8 * 3 + 4 * 3 + delta.byteLength + previous.byteLength, (cursor) => {
    cursor.u64(commit.group);
    cursor.u64(commit.groupBytes);
    cursor.u64(commit.nextSequence);
    cursor.u32(commit.framesCrc);
    cursor.u32(delta.byteLength);
    cursor.raw(delta);
    cursor.u32(previous.byteLength);
    cursor.raw(previous);
  });
}

/** A whole block of a version this build does not know. `writer` wrote it: the version its head names, undefined in other blocks. */
export class FutureVersion extends Error {
  readonly found: number;
  readonly writer: string | undefined;
  constructor(found: number, writer: string | undefined) {
    super(`format version ${found} is newer than ${version}`);
    this.found = found;
    this.writer = writer;
  }
}

/** How many bytes the block at the start of `bytes` takes, or 0 when no block begins there. Looks at 12 bytes. */
export function blockLength(bytes: Uint8Array, at: number): number {
  if (bytes.byteLength - at < prefixBytes) return 0;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, prefixBytes);
  if (view.getUint32(0, true) !== magic) return 0;
  const length = view.getUint32(4, true) + 8;
  const bytesMax = bytesMaxOf[view.getUint8(8)] ?? 0;
  return length < blockBytesMin || length > bytesMax ? 0 : length;
}

/**
 * The block that `bytes` (exactly one block) holds, or undefined when it is damaged: wrong CRC, fields that do not fit.
 * Throws `FutureVersion` when it is whole but of a later version.
 */
export function decodeBlock(bytes: Uint8Array): Block | undefined {
  const end = bytes.byteLength - crcBytes;
  if (end < prefixBytes) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(end, true) !== Bun.hash.crc32(bytes.subarray(0, end))) return undefined;
  const found = view.getUint8(9);
  const kind = view.getUint8(8);
  if (found > version) {
    const head = kind === kinds.head ? decodeFields(bytes, kind, 0) : undefined;
    throw new FutureVersion(found, head?.kind === "head" ? head.writer : undefined);
  }
  return found === version ? decodeFields(bytes, kind, view.getUint16(10, true)) : undefined;
}

function decodeFields(bytes: Uint8Array, kind: number, flags: number): Block | undefined {
  try {
    return decodeBody(kind, flags, new Cursor(bytes, prefixBytes));
  } catch {
    return undefined; // a CRC that fits by chance over nonsense: damage like any other
  }
}

function decodeBody(kind: number, flags: number, cursor: Cursor): Block | undefined {
  if (kind === kinds.head) {
    return {
      kind: "head",
      spoolId: Buffer.from(cursor.readRaw(16)).toString("hex"),
      epoch: cursor.readU32().toString(16).padStart(8, "0"),
      segment: cursor.readU64(),
      previousSegment: cursor.readU64(),
      previousBytes: cursor.readU64(),
      firstSequence: cursor.readU64(),
      firstGroup: cursor.readU64(),
      rawBefore: cursor.readU64(),
      minMs: cursor.readMicros(),
      writer: decoder.decode(cursor.readRaw(cursor.readRaw(1)[0] ?? 0)),
      previousSealBytes: cursor.readU32(),
    };
  }
  if (kind === kinds.frame) {
    return {
      kind: "frame",
      firstSequence: cursor.readU64(),
      records: cursor.readU32(),
      rawBytes: cursor.readU32(),
      payloadBytes: cursor.readU32(),
      minMs: cursor.readMicros(),
      maxMs: cursor.readMicros(),
      payloadCrc: cursor.readU32(),
      mixed: (flags & flagMixed) !== 0,
      stream: objectIn(cursor.readJson(cursor.readU16())),
      // A copy: the bytes of the block are the scan's.
      ...((flags & flagContents) === 0 ? {} : { contents: cursor.readRaw(cursor.readU16()).slice() }),
    };
  }
  if (kind === kinds.commit) {
    return {
      kind: "commit",
      group: cursor.readU64(),
      groupBytes: cursor.readU64(),
      nextSequence: cursor.readU64(),
      framesCrc: cursor.readU32(),
      delta: deltaIn(cursor.readJson(cursor.readU32())),
      previousDelta: deltaIn(cursor.readJson(cursor.readU32())),
    };
  }
  return kind === kinds.seal ? { kind: "seal", group: cursor.readU64(), delta: deltaIn(cursor.readJson(cursor.readU32())) } : undefined;
}

function objectIn(value: unknown): Record<string, never> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new TypeError("not an object");
  return value as Record<string, never>;
}

/** Positions as a commit block or a checkpoint has them: objects in an object. Throws TypeError for anything else. */
export function deltaIn(value: unknown): GroupDelta {
  const delta = objectIn(value);
  for (const keys of Object.values(delta)) objectIn(keys);
  return delta;
}
