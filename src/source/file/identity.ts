/**
 * Which file is this? A file is known by what it holds, not by its name.
 *
 * Known of a file we have read from: device and inode (a hint: inodes are reused), the hash of its first n bytes (n up to
 * 1 KiB, never beyond our offset, growing with it), and the hash of up to 256 bytes before our offset. A file found on
 * disk is held against that by this table; the first row that fits decides, `·` fits anything. `kin` = same folder and
 * same name stem, and while the original stands also: the original was not renamed, and the found file does not bear the live name
 * of which the original is a rotation (both are marks of rotation by rename, where nothing is copied); `original` = whether the known file still stands with at least what we have read of it; `end` = the
 * last bytes of the found file equal what the original holds in the same place.
 *
 *     row  inode  kin  original  head          size     tail       end        verdict
 *     1    same   ·    ·         ·             below    ·          ·          new    cut to less than we have read
 *     2    same   ·    ·         not equal     ·        ·          ·          new    inode reused, or written anew
 *     3    same   ·    ·         equal         reaches  different  ·          new    cut, and grown past the offset again
 *     4    same   ·    ·         equal         reaches  equal      ·          same   goes on at the offset
 *     5    other  no   ·         ·             ·        ·          ·          new    two files that begin alike
 *     6    other  yes  intact    different     ·        ·          ·          new
 *     7    other  yes  intact    ·             ·        ·          different  new    begins alike, goes on differently
 *     8    other  yes  intact    prefix/equal  below    ·          equal      watch  a copy, perhaps still being made
 *     9    other  yes  intact    equal         reaches  different  ·          new
 *     10   other  yes  intact    equal         reaches  equal      equal      watch  a copy: read by the original
 *     11   other  yes  gone      equal         reaches  equal      ·          copy   takes over, at the offset
 *     12   other  yes  gone      ·             ·        ·          ·          new
 *
 * A known file of which nothing was read (offset 0) has no content to be known by: the inode alone decides (row 0).
 * What cannot be told: a file deleted and written anew under a reused inode while we hold it closed, whose first bytes and
 * whose bytes before our offset are the same as before; it is taken for the old one.
 */

export const headBytesMax = 1024;
export const tailBytesMax = 256;

/** So many bytes and their xxHash64, 16 hex digits: a published algorithm, so that it outlives the runtime's version. */
export interface Mark {
  readonly n: number;
  readonly hash: string;
}

export function markOf(bytes: Uint8Array): Mark {
  return { n: bytes.byteLength, hash: Bun.hash.xxHash64(bytes).toString(16).padStart(16, "0") };
}

export const emptyMark: Mark = markOf(new Uint8Array(0));

export interface Facts {
  readonly inode: "same" | "other";
  readonly kin: boolean;
  readonly original: "intact" | "gone";
  /** `prefix`: shorter than the known first bytes, and equal as far as it goes. */
  readonly head: "equal" | "prefix" | "different";
  /** Its size against our offset. */
  readonly size: "below" | "reaches";
  readonly tail: "equal" | "different";
  readonly end: "equal" | "different";
  /** Nothing was read of the known file. */
  readonly unread: boolean;
}

/** `same`: go on. `copy`: go on, in the place of the original. `watch`: leave it alone for now. `new`: another file, from 0. */
export type Verdict = "same" | "copy" | "watch" | "new";

/** The table above. `row` is for the log and the tests. */
export function decide(facts: Facts): { verdict: Verdict; row: number } {
  if (facts.unread) return { verdict: facts.inode === "same" ? "same" : "new", row: 0 };
  return facts.inode === "same" ? decideSame(facts) : decideOther(facts);
}

function decideSame(facts: Facts): { verdict: Verdict; row: number } {
  if (facts.size === "below") return { verdict: "new", row: 1 };
  if (facts.head !== "equal") return { verdict: "new", row: 2 };
  if (facts.tail === "different") return { verdict: "new", row: 3 };
  return { verdict: "same", row: 4 };
}

function decideOther(facts: Facts): { verdict: Verdict; row: number } {
  if (!facts.kin) return { verdict: "new", row: 5 };
  const holdsAll = facts.head === "equal" && facts.size === "reaches" && facts.tail === "equal";
  if (facts.original === "gone") return holdsAll ? { verdict: "copy", row: 11 } : { verdict: "new", row: 12 };
  if (facts.head === "different") return { verdict: "new", row: 6 };
  if (facts.end === "different") return { verdict: "new", row: 7 };
  if (facts.size === "below") return { verdict: "watch", row: 8 };
  return holdsAll ? { verdict: "watch", row: 10 } : { verdict: "new", row: 9 };
}

/** What rotation puts behind a name: `.1`, `-20261123`, `.2026-11-23T01:30`, `.old`, `.gz`, also several of them. */
const suffix = /(?:[.\-_~](?:\d[\dT:.\-_]*|old|bak|orig|gz|zst|bz2|xz))+$/i;
/** What it puts before the extension: `app-20261123.log`, `app.1.log`. */
const infix = /[.\-_]\d[\dT:.\-_]*(\.[a-z]+)$/i;

/** The name a rotated file once had, as far as its name shows it: `app.log` of `app.log.1`; itself when it shows nothing. */
export function rotatedFrom(path: string): string {
  const slash = path.lastIndexOf("/") + 1;
  const name = path.slice(slash);
  const base = name.replace(suffix, "");
  return base === "" ? path : path.slice(0, slash) + base;
}

/** What the names of all generations of a log have in common, rotation before the extension included. */
export function stemOf(path: string): string {
  return rotatedFrom(path).replace(infix, "$1");
}

/** Same folder and same name stem: one may be the rotation of the other. */
export function isKin(a: string, b: string): boolean {
  return stemOf(a) === stemOf(b);
}
