/** Holds a file on disk against one we know: reads what the table in identity.ts asks for. */
import type { DiskFile } from "../../core/disk.ts";
import { decide, headBytesMax, isKin, markOf, rotatedFrom, tailBytesMax, type Facts, type Verdict } from "./identity.ts";
import type { Position } from "./position.ts";
import type { Tracked } from "./tracked.ts";

/** A file just opened. */
export interface Candidate {
  readonly path: string;
  readonly device: number;
  readonly inode: number;
  readonly bytes: number;
  readonly handle: DiskFile;
  /** Its first bytes, up to 1 KiB. */
  readonly head: Uint8Array;
  /** Its handle went over to a tracked file. */
  kept: boolean;
}

/** `original`: the open file itself while it stands with what was read of it; undefined when it is gone, cut, or is the candidate. */
export async function judge(candidate: Candidate, known: Position, original: DiskFile | undefined): Promise<{ verdict: Verdict; row: number }> {
  const sameInode = candidate.device === known.device && candidate.inode === known.inode;
  const reaches = candidate.bytes >= known.offset;
  const head = await compareHead(candidate, known, original);
  // Then nothing else is asked for: there may be thousands that it is held against.
  const strange = !sameInode && head === "different";
  const facts: Facts = {
    inode: sameInode ? "same" : "other",
    kin: original === undefined ? isKin(candidate.path, known.path) : mayBeCopy(candidate.path, known),
    original: original === undefined ? "gone" : "intact",
    head,
    size: reaches ? "reaches" : "below",
    tail: reaches && !strange && (await hashAt(candidate.handle, known.offset, known.tail.n)) === known.tail.hash ? "equal" : "different",
    end: original === undefined || strange || (await endsAlike(candidate, original)) ? "equal" : "different",
    unread: known.offset === 0,
  };
  return decide(facts);
}

/** False when what was read of `file` tells at once, without a look at the disk, that `candidate` is no copy of it. */
export function mayHoldSame(candidate: Candidate, file: Tracked): boolean {
  const { n, hash } = file.head;
  if (candidate.head.byteLength < n) return file.beginsLike(candidate.head);
  return file.beginsLike(candidate.head) && markOf(candidate.head.subarray(0, n)).hash === hash;
}

/** Whether a file at `path` may be a copy of the known one, which still stands: kin, and no sign of rotation by rename. */
function mayBeCopy(path: string, known: Position): boolean {
  if (!isKin(path, known.path) || known.path !== known.name) return false;
  return !(rotatedFrom(path) === path && rotatedFrom(known.path) !== known.path);
}

/** Up to `count` bytes from `position` on. */
export async function readAt(handle: DiskFile, position: number, count: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(count);
  return count === 0 ? bytes : bytes.subarray(0, await handle.read(bytes, position));
}

async function hashAt(handle: DiskFile, end: number, count: number): Promise<string> {
  return markOf(await readAt(handle, end - count, count)).hash;
}

async function compareHead(candidate: Candidate, known: Position, original: DiskFile | undefined): Promise<Facts["head"]> {
  const { n, hash } = known.head;
  if (candidate.head.byteLength >= n) return markOf(candidate.head.subarray(0, n)).hash === hash ? "equal" : "different";
  if (original === undefined) return "different";
  const same = Buffer.compare(await readAt(original, 0, candidate.head.byteLength), candidate.head) === 0;
  return same ? "prefix" : "different";
}

async function endsAlike(candidate: Candidate, original: DiskFile): Promise<boolean> {
  const count = Math.min(candidate.bytes, tailBytesMax);
  const at = candidate.bytes - count;
  return Buffer.compare(await readAt(candidate.handle, at, count), await readAt(original, at, count)) === 0;
}

/** The first bytes of a file, as far as a head reaches. */
export function readHead(handle: DiskFile): Promise<Uint8Array> {
  return readAt(handle, 0, headBytesMax);
}
