/**
 * Holds a compressed file against the files we know: decompresses as much of it as the table in compressed.ts asks for, and keeps nothing.
 *
 * What is compared lies at offsets, so one pass does for all known files, from the smallest offset to the largest.
 */
import type { Ending } from "../../core/unpack.ts";
import { decidePacked, type PackedFacts, type PackedVerdict } from "./compressed.ts";
import { readAt } from "./examine.ts";
import { headBytesMax, markOf, tailBytesMax } from "./identity.ts";
import type { Position } from "./position.ts";
import type { Tracked } from "./tracked.ts";
import type { Unpacked } from "./unpacked.ts";

/** A file we know: by its position, and itself while it stands. */
export interface Known {
  readonly id: string;
  readonly position: Position;
  readonly file: Tracked | undefined;
  readonly kin: PackedFacts["kin"];
}

export interface Outcome {
  readonly verdict: PackedVerdict;
  /** What it is a copy of; undefined where it is new. */
  readonly known: Known | undefined;
  /** It was held against files that stand. */
  readonly standing: boolean;
}

export interface SkimOptions {
  readonly handle: Unpacked;
  /** Its bytes on disk. */
  readonly rawBytes: number;
  readonly known: readonly Known[];
  /** Whether more may come, with what it ended as. */
  readonly growing: (ending: Ending | undefined) => boolean;
  /** An original that stands with the same first bytes is waited for, without a comparison of the rest. */
  readonly patient: boolean;
  /** So much is decompressed between two yields. */
  readonly stepBytes: number;
}

const first: readonly PackedVerdict[] = ["watch", "copy", "done", "short", "wait"];

/** Yields often; returns what the file is. Rejects when it or an original cannot be read. */
export async function* skim(options: SkimOptions): AsyncGenerator<undefined, Outcome> {
  const { handle, known, growing, patient, stepBytes } = options;
  const head = await readAt(handle, 0, headBytesMax);
  const outcomes: Outcome[] = [];
  const alike: (readonly [Known, PackedFacts])[] = [];
  for (const each of known) {
    const facts = await factsOf(options, each, head);
    const { verdict } = decidePacked(facts);
    if (verdict === "done") return { verdict, known: each, standing: false };
    if (verdict !== "new") alike.push([each, facts]);
  }
  const standing = alike.filter(([{ file }]) => file !== undefined);
  const [waited] = standing.find(([{ file }]) => patient || isAway(file)) ?? [];
  if (waited !== undefined) return { verdict: "wait", known: waited, standing: true };
  if (standing.length > 0) while (!(await handle.reach(Number.POSITIVE_INFINITY, stepBytes))) yield;
  for (const [each, facts] of standing) {
    if (isAway(each.file)) return { verdict: "wait", known: each, standing: true };
    const end = (await endsAlike(handle, each)) ? "equal" : "different";
    outcomes.push({ known: each, standing: true, ...decidePacked({ ...facts, end, growing: growing(handle.ending) }) });
  }
  for (const [each, facts] of alike.filter(([{ file }]) => file === undefined).toSorted(([a], [b]) => a.position.offset - b.position.offset)) {
    const { offset, tail } = each.position;
    while (!(await handle.reach(offset, stepBytes))) yield;
    const reaches = handle.reached >= offset;
    const same = reaches && markOf(await readAt(handle, offset - tail.n, tail.n)).hash === tail.hash;
    const compared = { ...facts, length: reaches ? "reaches" : "below", tail: same ? "equal" : "different" } as const;
    outcomes.unshift({ known: each, standing: standing.length > 0, ...decidePacked({ ...compared, growing: growing(handle.ending) }) });
  }
  for (const verdict of first) {
    const found = outcomes.find((outcome) => outcome.verdict === verdict);
    if (found !== undefined) return found;
  }
  return { verdict: "new", known: undefined, standing: standing.length > 0 };
}

/** It cannot be compared now: its descriptor was given to another, or it is compressed itself and being read. */
function isAway(file: Tracked | undefined): boolean {
  return file !== undefined && (file.packed === undefined) === (file.handle === undefined);
}

/** What is known without the content; the rest stands for "not compared yet". */
async function factsOf({ handle, rawBytes, growing }: SkimOptions, known: Known, head: Uint8Array): Promise<PackedFacts> {
  const done = known.position.packed?.done;
  const sameBytes = done?.bytes === rawBytes && (await rawHash(handle, rawBytes)) === done.hash;
  return {
    bytes: sameBytes ? "equal" : "other",
    kin: known.kin,
    original: known.file === undefined ? "gone" : "stands",
    head: await compareHead(known, head, growing(handle.ending)),
    growing: false,
    length: "reaches",
    tail: "equal",
    end: "equal",
  };
}

async function compareHead({ position, file }: Known, head: Uint8Array, growing: boolean): Promise<PackedFacts["head"]> {
  const { n, hash } = position.head;
  if (file?.handle !== undefined && file.packed === undefined) {
    // What stands can be compared beyond what was read of it, which may be nothing.
    const same = head.byteLength > 0 && Buffer.compare(await readAt(file.handle, 0, head.byteLength), head) === 0;
    return !same ? "different" : head.byteLength === headBytesMax ? "equal" : "shorter";
  }
  if (n === 0) return "different";
  if (head.byteLength < n) return growing ? "shorter" : "different";
  return markOf(head.subarray(0, n)).hash !== hash ? "different" : n === headBytesMax ? "equal" : "shorter";
}

/** Whether the content, read to its end, is what the original holds up to there. */
async function endsAlike(handle: Unpacked, { position, file }: Known): Promise<boolean> {
  const count = Math.min(handle.reached, tailBytesMax);
  const at = handle.reached - count;
  if (file?.handle !== undefined && file.packed === undefined)
    return Buffer.compare(await readAt(handle, at, count), await readAt(file.handle, at, count)) === 0;
  // A compressed one that was read to its end is not opened again.
  return (
    handle.reached === position.offset && markOf(await readAt(handle, position.offset - position.tail.n, position.tail.n)).hash === position.tail.hash
  );
}

/** Hash of the last bytes on disk: checksum and size of the content in a gzip file. */
export async function rawHash({ raw }: Unpacked, bytes: number): Promise<string> {
  const count = Math.min(bytes, tailBytesMax);
  return markOf(await readAt(raw, bytes - count, count)).hash;
}
