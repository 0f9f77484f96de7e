/**
 * Which file is this compressed one? Rotation compresses what we have read, or are reading: it is known by its content.
 *
 * As identity.ts, one table for a compressed file held against one file we know; the first row that fits decides, `·` fits anything.
 * All of it is about the content, uncompressed; offset, first bytes and bytes before the offset are those of the known position.
 *
 * - `bytes`: the known one is a compressed file itself that was read to its end, and had the same size and the same last bytes on disk.
 * - `kin`: `near` = the same inode, or the same folder and name stem; `far` = that stem in another folder, and 1 KiB of first bytes to
 *   compare (`olddir` of logrotate); else `no`.
 * - `original`: `stands` = it is followed, under a name or by its open descriptor; `gone` = only its position is left.
 * - `growing`: the file changed within the last second; or it ends in the middle of a member and changed within the last 30.
 * - `length`: of the content, as far as it can be decompressed, against the offset.
 * - `tail`: the bytes before the offset. `end`: its last bytes, held against what the original has in the same place.
 *
 *     row  bytes  kin   original  head       growing  length   tail       end        verdict
 *     1    equal  near  ·         ·          ·        ·        ·          ·          done   it was read to its end before: not decompressed
 *     2    ·      no    ·         ·          ·        ·        ·          ·          new
 *     3    ·      ·     ·         different  ·        ·        ·          ·          new
 *     4    ·      ·     stands    ·          yes      ·        ·          ·          wait   gzip is at work: the original goes on
 *     5    ·      ·     stands    ·          no       ·        ·          equal      watch  both stand (gzip -k, zstd): the original goes on
 *     6    ·      ·     stands    ·          no       ·        ·          different  new    two generations that begin alike
 *     7    ·      ·     gone      ·          ·        reaches  equal      ·          copy   goes on at the offset, where nothing may be left
 *     8    ·      ·     gone      ·          ·        reaches  different  ·          new
 *     9    ·      ·     gone      ·          yes      below    ·          ·          wait
 *     10   ·      ·     gone      1 KiB      no       below    ·          ·          short  ends before our offset: taken as read, and counted
 *     11   ·      ·     gone      shorter    no       below    ·          ·          new
 *
 * Of several known files: a row that says watch, else the copy with the largest offset, else done or short, else wait, else new. While an
 * original stands and the first bytes are equal, the comparison of row 5 and 6, which takes the whole file, is put off for 15 seconds: as a
 * rule the original is gone by then. What waits is looked at again when it changes, and when what it waits for is gone.
 *
 * Row 10 is what a compressor leaves that reads a file its writer still writes to: what came after its last read we have from the
 * descriptor, nobody else has it. What cannot be told: a file nobody knew, longer than 1 KiB and shorter than what was read of a known one
 * that is gone, with the same first 1 KiB as that one; it is taken as read.
 */

import { basename } from "node:path";
import type { FileStat } from "../../core/disk.ts";
import { headBytesMax, isKin, stemOf } from "./identity.ts";
import type { Position } from "./position.ts";

export interface PackedFacts {
  readonly bytes: "equal" | "other";
  readonly kin: "near" | "far" | "no";
  readonly original: "stands" | "gone";
  /** `equal`, all 1 KiB of it; `shorter`: less is known, and equal. */
  readonly head: "equal" | "shorter" | "different";
  readonly growing: boolean;
  readonly length: "reaches" | "below";
  readonly tail: "equal" | "different";
  readonly end: "equal" | "different";
}

export type PackedVerdict = "done" | "watch" | "copy" | "short" | "wait" | "new";

/** The table above. `row` is for the tests. */
export function decidePacked(facts: PackedFacts): { verdict: PackedVerdict; row: number } {
  if (facts.bytes === "equal" && facts.kin === "near") return { verdict: "done", row: 1 };
  if (facts.kin === "no") return { verdict: "new", row: 2 };
  if (facts.head === "different") return { verdict: "new", row: 3 };
  return facts.original === "stands" ? decideStands(facts) : decideGone(facts);
}

function decideStands({ growing, end }: PackedFacts): { verdict: PackedVerdict; row: number } {
  if (growing) return { verdict: "wait", row: 4 };
  return end === "equal" ? { verdict: "watch", row: 5 } : { verdict: "new", row: 6 };
}

function decideGone({ head, growing, length, tail }: PackedFacts): { verdict: PackedVerdict; row: number } {
  if (length === "reaches") return tail === "equal" ? { verdict: "copy", row: 7 } : { verdict: "new", row: 8 };
  if (growing) return { verdict: "wait", row: 9 };
  return head === "equal" ? { verdict: "short", row: 10 } : { verdict: "new", row: 11 };
}

const named = /\.(?:gz|gzip|zst|zstd)$/i;

/** Whether a compressor would have given it this name; what it holds decides. */
export function isPackedName(path: string): boolean {
  return named.test(path);
}

/** What a decompressor would call its content. */
export function plainName(path: string): string {
  return path.replace(named, "");
}

/** `kin` of the table: the file at `path` against a known one. */
export function kinOf(path: string, stat: FileStat, known: Position): PackedFacts["kin"] {
  if (stat.inode === known.inode && stat.device === known.device) return "near";
  const base = basename(known.path);
  if (basename(path)[0] !== base[0]) return "no"; // cheap, for the thousands that are none
  if (isKin(path, known.path)) return "near";
  return known.head.n === headBytesMax && stemOf(basename(path)) === stemOf(base) ? "far" : "no";
}
